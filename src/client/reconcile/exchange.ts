/**
 * What `reconcile` asks of a venue. Every question has an explicit answer: `found`, or `not-found` when the venue
 * answered and knows of none. A query that failed throws, because "could not ask" must never read as "there is none".
 *
 * Amounts are decimals whose digits are kept: give strings as the venue sent them.
 */
import { z } from 'zod'
import { type Decimal, decimal, timestampMs } from '../../schema/decimal.ts'
import { compare } from './decimal-math.ts'
import type { OrderSide, OrderType, PositionSide } from './documents.ts'

/** What a venue answers: the thing asked for, or that there is none. */
export type Answer<T> = { readonly status: 'found'; readonly value: T } | { readonly status: 'not-found' }

/** @example return order === undefined ? notFound : found(order) */
export function found<T>(value: T): Answer<T> {
  return { status: 'found', value }
}

/** The venue answered, and knows of none. */
export const notFound: { readonly status: 'not-found' } = Object.freeze({ status: 'not-found' })

/** `unknown` when the venue's word can't be told apart: the order then stays unresolved. */
export type ExchangeOrderStatus = 'open' | 'filled' | 'canceled' | 'expired' | 'rejected' | 'unknown'

/** An order as the venue reports it. */
export interface ExchangeOrder {
  readonly exchangeOrderId: string
  readonly clientOrderId?: string | null | undefined
  readonly symbol: string
  readonly side: OrderSide
  readonly type?: OrderType | null | undefined
  readonly status: ExchangeOrderStatus
  /** Null when the venue does not say. */
  readonly quantity: Decimal | null
  /** Null when the venue does not say: then only its fills can tell. */
  readonly filledQuantity: Decimal | null
  readonly averagePrice?: Decimal | null | undefined
  readonly price?: Decimal | null | undefined
  readonly stopPrice?: Decimal | null | undefined
}

/** One execution as the venue reports it. `tradeId` is the venue's own, unique within the order. */
export interface ExchangeFill {
  readonly tradeId: string
  readonly exchangeOrderId: string
  readonly symbol: string
  readonly side: OrderSide
  readonly price: Decimal
  readonly quantity: Decimal
  readonly fee?: Decimal | null | undefined
  readonly feeCurrency?: string | null | undefined
  readonly liquidity?: 'maker' | 'taker' | null | undefined
  readonly filledAt: number
}

/** What the venue holds for the account on one side of a symbol. */
export interface ExchangePosition {
  readonly symbol: string
  readonly side: PositionSide
  readonly quantity: Decimal
  readonly entryPrice?: Decimal | null | undefined
}

/** Names an order by the ids that are known. `type` helps venues that keep conditional orders apart. */
export interface OrderReference {
  readonly symbol: string
  readonly clientOrderId: string | null
  readonly exchangeOrderId: string | null
  readonly type: OrderType | null
  readonly createdAtMs: number | null
}

/** The fills of one order, or those of the symbol since a moment. */
export interface FillQuery {
  readonly symbol: string
  readonly exchangeOrderId: string | null
  readonly sinceMs: number | null
}

/** Rules of a market. `contractSize` multiplies price × quantity into money; `inverse` contracts have no P&L here. */
export interface MarketRules {
  readonly tickSize?: Decimal | null | undefined
  readonly lotSize?: Decimal | null | undefined
  readonly contractSize?: Decimal | null | undefined
  readonly inverse?: boolean | undefined
}

/** An order to place. The venue must get `clientOrderId`: it is how the order is found again after a crash. */
export interface CreateOrderRequest {
  readonly clientOrderId: string
  readonly symbol: string
  readonly side: OrderSide
  readonly type: OrderType
  readonly quantity: Decimal
  readonly price: Decimal | null
  readonly stopPrice: Decimal | null
  readonly reduceOnly: boolean
}

/**
 * `refused` only when the venue has answered that it did not take the order. Throw for everything else (time-outs,
 * lost connections, "status unknown"): the order then stays an intent and is looked up by its client order id.
 */
export type CreateOrderAnswer =
  | { readonly status: 'accepted'; readonly order: ExchangeOrder }
  | { readonly status: 'refused'; readonly reason: string }

/**
 * A venue, as `reconcile` needs it. Implement it over anything; `ccxtExchange` does so over a ccxt instance.
 *
 * @example
 * const exchange: Exchange = {
 *   async fetchOrder({ symbol, clientOrderId, exchangeOrderId }) {
 *     const order = await venue.order(symbol, { clientOrderId, exchangeOrderId })
 *     return order === undefined ? notFound : found(toExchangeOrder(order))
 *   },
 *   // fetchOpenOrders, fetchFills, fetchLastPrice, createOrder, cancelOrder
 * }
 */
export interface Exchange {
  /** Also finds orders that are filled or canceled, as long as the venue remembers them. */
  fetchOrder(reference: OrderReference): Promise<Answer<ExchangeOrder>>
  fetchOpenOrders(symbol: string): Promise<readonly ExchangeOrder[]>
  /** Open orders of every symbol, when the venue lists them at once. Without it foreign orders are seen only on the symbols in use. */
  fetchAllOpenOrders?(): Promise<readonly ExchangeOrder[]>
  fetchFills(query: FillQuery): Promise<readonly ExchangeFill[]>
  /** Left out, or `not-tracked` for a symbol, where the venue keeps balances only. `not-found`: it holds none on that side. */
  fetchPosition?(
    symbol: string,
    side: PositionSide,
  ): Promise<Answer<ExchangePosition> | { readonly status: 'not-tracked' }>
  /** The last traded price, or the best guess the venue has of it. */
  fetchLastPrice(symbol: string): Promise<Answer<Decimal>>
  fetchMarketRules?(symbol: string): Promise<Answer<MarketRules>>
  createOrder(request: CreateOrderRequest): Promise<CreateOrderAnswer>
  /** `not-found` when there is nothing left to cancel. */
  cancelOrder(reference: OrderReference): Promise<Answer<null>>
}

const id = z.string().min(1).max(256)
const amount = decimal.refine((value) => compare(value, 0) >= 0, 'expected zero or more')
const positive = decimal.refine((value) => compare(value, 0) > 0, 'expected more than zero')
const side = z.enum(['buy', 'sell'])

/** What comes back from a venue is checked before anything is decided on it. */
export const exchangeOrderSchema = z.object({
  exchangeOrderId: id,
  clientOrderId: id.nullish(),
  symbol: id,
  side,
  type: z.enum(['market', 'limit', 'stop', 'stop_limit', 'take_profit', 'trailing_stop']).nullish(),
  status: z.enum(['open', 'filled', 'canceled', 'expired', 'rejected', 'unknown']),
  quantity: amount.nullable(),
  filledQuantity: amount.nullable(),
  averagePrice: amount.nullish(),
  price: amount.nullish(),
  stopPrice: amount.nullish(),
}) satisfies z.ZodType<ExchangeOrder>

export const exchangeFillSchema = z.object({
  tradeId: id,
  exchangeOrderId: id,
  symbol: id,
  side,
  price: positive,
  quantity: positive,
  fee: decimal.nullish(),
  feeCurrency: z.string().max(32).nullish(),
  liquidity: z.enum(['maker', 'taker']).nullish(),
  filledAt: timestampMs,
}) satisfies z.ZodType<ExchangeFill>

export const exchangePositionSchema = z.object({
  symbol: id,
  side: z.enum(['long', 'short']),
  quantity: amount,
  entryPrice: amount.nullish(),
}) satisfies z.ZodType<ExchangePosition>

export const lastPriceSchema = positive

export const marketRulesSchema = z.object({
  tickSize: positive.nullish(),
  lotSize: positive.nullish(),
  contractSize: positive.nullish(),
  inverse: z.boolean().optional(),
}) satisfies z.ZodType<MarketRules>
