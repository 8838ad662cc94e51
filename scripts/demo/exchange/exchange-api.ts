/** What the simulated exchange answers over HTTP: one POST per method, parameters and result as JSON. */
import type {
  Answer,
  CreateOrderAnswer,
  CreateOrderRequest,
  ExchangeFill,
  ExchangeOrder,
  ExchangePosition,
  FillQuery,
  MarketRules,
  OrderReference,
} from '../holdfast.ts'
import type { Bar } from '../market/bar.ts'

/** An order that a bar has moved on, with what was executed in it. */
export interface OrderNews {
  readonly order: ExchangeOrder
  readonly fills: readonly ExchangeFill[]
}

export interface BarNews {
  readonly bar: Bar
  readonly orders: readonly OrderNews[]
}

export interface ExchangeApi {
  /** Lets the market go on to a bar; one that is over is answered from memory, without news of orders. */
  advance(request: { readonly symbol: string; readonly index: number }): BarNews
  /** The bar the market is at; -1 before the first. */
  currentBar(request: { readonly symbol: string }): number
  /** Bars that are over, `from` and `to` included. */
  bars(request: { readonly symbol: string; readonly from: number; readonly to: number }): readonly Bar[]
  findOrder(reference: OrderReference): Answer<ExchangeOrder>
  openOrders(request: { readonly symbol: string | null }): readonly ExchangeOrder[]
  findFills(query: FillQuery): readonly ExchangeFill[]
  findPosition(request: { readonly symbol: string }): Answer<ExchangePosition>
  lastPrice(request: { readonly symbol: string }): Answer<string>
  marketRules(request: { readonly symbol: string }): Answer<MarketRules>
  /** Takes every order it gets: two with one client order id are two orders. */
  createOrder(request: CreateOrderRequest): CreateOrderAnswer
  cancelOrder(reference: OrderReference): Answer<null>
  /** Everything it has ever taken. */
  book(request: Record<string, never>): Book
}

export interface Book {
  readonly orders: readonly ExchangeOrder[]
  readonly fills: readonly ExchangeFill[]
}

export type ExchangeMethod = keyof ExchangeApi

/** What may be asked for over HTTP. */
export const EXCHANGE_METHODS: Readonly<Record<ExchangeMethod, true>> = {
  advance: true,
  currentBar: true,
  bars: true,
  findOrder: true,
  openOrders: true,
  findFills: true,
  findPosition: true,
  lastPrice: true,
  marketRules: true,
  createOrder: true,
  cancelOrder: true,
  book: true,
}
