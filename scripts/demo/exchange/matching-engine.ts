/**
 * The simulated exchange, without its HTTP: recorded bars move the price, orders are filled against them in pieces that
 * look random and follow from the seed alone. Each market has a clock of its own, which stands still unless it is told to
 * go on, so that two runs of a bot meet the same market at the same moment.
 *
 * It is careless on purpose: an order that comes twice is two orders. Whoever sends twice will see it in the book.
 */

import { add, compare, divide, greater, multiply, subtract, sum } from '../exact-decimal.ts'
import {
  type Answer,
  type CreateOrderAnswer,
  type CreateOrderRequest,
  type ExchangeFill,
  type ExchangeOrder,
  type ExchangePosition,
  type FillQuery,
  found,
  type MarketRules,
  notFound,
  type OrderReference,
} from '../holdfast.ts'
import { type Bar, closeTime } from '../market/bar.ts'
import { type Market, marketOf } from '../market/market.ts'
import type { MarketData } from '../market/market-data.ts'
import { type SeededRandom, seededRandom } from '../seeded-random.ts'
import type { BarNews, Book, OrderNews } from './exchange-api.ts'
import { splitQuantity } from './split-quantity.ts'

const FEE_RATE = '0.0005'
/** Share of triggered stops of which the last piece has to wait for the next bar. */
const SHARE_WAITING = 0.3
const MOST_SLIPPED_TICKS = 2

interface BookOrder {
  readonly id: string
  readonly request: CreateOrderRequest
  status: 'open' | 'filled' | 'canceled'
  readonly fills: ExchangeFill[]
  /** What a stop that was triggered still has to execute. */
  waiting: string | null
}

class MarketBook {
  readonly market: Market
  readonly bars: readonly Bar[]
  readonly orders: BookOrder[] = []
  readonly fills: ExchangeFill[] = []
  current = -1

  constructor(symbol: string, bars: readonly Bar[]) {
    this.market = marketOf(symbol)
    this.bars = bars
  }

  bar(index: number): Bar {
    const bar = this.bars[index]
    if (bar === undefined) throw new RangeError(`${this.market.symbol} has no bar ${index}`)
    return bar
  }
}

export class MatchingEngine {
  readonly #seed: string
  readonly #books: ReadonlyMap<string, MarketBook>

  constructor(data: MarketData, seed: number) {
    this.#seed = `${seed}`
    this.#books = new Map([...data].map(([symbol, bars]) => [symbol, new MarketBook(symbol, bars)] as const))
  }

  advance({ symbol, index }: { readonly symbol: string; readonly index: number }): BarNews {
    const book = this.#book(symbol)
    const bar = book.bar(index)
    if (index <= book.current) return { bar, orders: [] }
    if (index > book.current + 1) throw new RangeError(`${symbol} is at bar ${book.current}: ${index} is too far ahead`)
    book.current = index
    const news: OrderNews[] = []
    for (const order of book.orders) {
      if (order.status !== 'open') continue
      const fills = this.#matchStop(book, order, bar)
      if (fills.length > 0) news.push({ order: this.#report(order), fills })
    }
    return { bar, orders: news }
  }

  currentBar({ symbol }: { readonly symbol: string }): number {
    return this.#book(symbol).current
  }

  bars({ symbol, from, to }: { readonly symbol: string; readonly from: number; readonly to: number }): readonly Bar[] {
    const { bars, current } = this.#book(symbol)
    return bars.slice(Math.max(0, from), Math.min(to, current) + 1)
  }

  createOrder(request: CreateOrderRequest): CreateOrderAnswer {
    const book = this.#book(request.symbol)
    const isStop = request.type === 'stop'
    if (!isStop && request.type !== 'market') return { status: 'refused', reason: 'only market and stop orders' }
    const id = `${book.market.code}-${String(book.orders.length + 1).padStart(6, '0')}`
    const order: BookOrder = { id, request, status: 'open', fills: [], waiting: null }
    book.orders.push(order)
    if (!isStop) this.#fillAtMarket(book, order)
    return { status: 'accepted', order: this.#report(order) }
  }

  cancelOrder(reference: OrderReference): Answer<null> {
    const order = this.#find(reference)
    if (order?.status !== 'open') return notFound
    order.status = 'canceled'
    return found(null)
  }

  findOrder(reference: OrderReference): Answer<ExchangeOrder> {
    const order = this.#find(reference)
    return order === undefined ? notFound : found(this.#report(order))
  }

  openOrders({ symbol }: { readonly symbol: string | null }): readonly ExchangeOrder[] {
    const books = symbol === null ? [...this.#books.values()] : [this.#book(symbol)]
    const open = books.flatMap(({ orders }) => orders.filter((order) => order.status === 'open'))
    return open.map((order) => this.#report(order))
  }

  findFills({ symbol, exchangeOrderId, sinceMs }: FillQuery): readonly ExchangeFill[] {
    return this.#book(symbol).fills.filter((fill) =>
      exchangeOrderId === null ? fill.filledAt >= (sinceMs ?? 0) : fill.exchangeOrderId === exchangeOrderId,
    )
  }

  findPosition({ symbol }: { readonly symbol: string }): Answer<ExchangePosition> {
    const quantity = this.#book(symbol).fills.reduce(
      (held, fill) => (fill.side === 'buy' ? add : subtract)(held, `${fill.quantity}`),
      '0',
    )
    return compare(quantity, '0') === 0 ? notFound : found({ symbol, side: 'long', quantity })
  }

  lastPrice({ symbol }: { readonly symbol: string }): Answer<string> {
    const { bars, current } = this.#book(symbol)
    const bar = bars[current]
    return bar === undefined ? notFound : found(bar.close)
  }

  marketRules({ symbol }: { readonly symbol: string }): Answer<MarketRules> {
    const { tickSize, lotSize } = this.#book(symbol).market
    return found({ tickSize, lotSize })
  }

  book(): Book {
    const books = [...this.#books.values()]
    return {
      orders: books.flatMap(({ orders }) => orders.map((order) => this.#report(order))),
      fills: books.flatMap(({ fills }) => fills),
    }
  }

  /**
   * In how many bars a stop will be triggered, if until then the price never closes above where it is now: for so long
   * its owner would leave it alone. Null when that is not what happens next.
   */
  barsUntilTriggered(symbol: string, stopPrice: string): number | null {
    const { bars, current } = this.#book(symbol)
    const close = Number(bars[current]?.close)
    for (let index = current + 1; index < bars.length - 1; index++) {
      const bar = bars[index] as Bar
      if (Number(bar.close) > close) return null
      if (Number(bar.low) <= Number(stopPrice)) return index - current
    }
    return null
  }

  /** Lets the market go on until the order is final; returns the news of all its bars. */
  advanceUntilFinal(reference: OrderReference): BarNews[] {
    const news: BarNews[] = []
    const book = this.#book(reference.symbol)
    while (this.#find(reference)?.status === 'open') {
      news.push(this.advance({ symbol: reference.symbol, index: book.current + 1 }))
    }
    return news
  }

  #book(symbol: string): MarketBook {
    const book = this.#books.get(symbol)
    if (book === undefined) throw new RangeError(`there is no market ${symbol}`)
    return book
  }

  #find({ symbol, exchangeOrderId, clientOrderId }: OrderReference): BookOrder | undefined {
    return this.#book(symbol).orders.find((order) =>
      exchangeOrderId === null ? order.request.clientOrderId === clientOrderId : order.id === exchangeOrderId,
    )
  }

  /** A market order takes what is offered at the close, each piece up to two ticks further away. */
  #fillAtMarket(book: MarketBook, order: BookOrder): void {
    const { market, current } = book
    const bar = book.bar(current)
    const random = this.#random(order)
    let price = bar.close
    for (const [index, piece] of splitQuantity(`${order.request.quantity}`, market.lotSize, random).entries()) {
      const slip = multiply(`${random.whole(0, MOST_SLIPPED_TICKS)}`, market.tickSize)
      price = order.request.side === 'buy' ? add(price, slip) : subtract(price, slip)
      this.#fill(book, order, piece, price, closeTime(bar) + index)
    }
  }

  /** A sell stop is triggered where the price reaches it, or at the open when the market has jumped past it. */
  #matchStop(book: MarketBook, order: BookOrder, bar: Bar): readonly ExchangeFill[] {
    const { market } = book
    const before = order.fills.length
    if (order.waiting !== null) {
      this.#fill(book, order, order.waiting, bar.open, bar.openTime)
      order.waiting = null
      return order.fills.slice(before)
    }
    const stopPrice = `${order.request.stopPrice}`
    if (compare(bar.low, stopPrice) > 0) return []
    const random = this.#random(order)
    const pieces = splitQuantity(`${order.request.quantity}`, market.lotSize, random)
    if (pieces.length > 1 && random.next() < SHARE_WAITING) order.waiting = pieces.pop() ?? null
    let price = compare(bar.open, stopPrice) < 0 ? bar.open : stopPrice
    const reachedAt = bar.openTime + random.whole(1_000, 50_000)
    for (const [index, piece] of pieces.entries()) {
      this.#fill(book, order, piece, price, reachedAt + index)
      const slipped = subtract(price, multiply(`${random.whole(0, MOST_SLIPPED_TICKS)}`, market.tickSize))
      price = greater(bar.low, slipped)
    }
    return order.fills.slice(before)
  }

  #fill(book: MarketBook, order: BookOrder, quantity: string, price: string, filledAt: number): void {
    const { market } = book
    const { symbol, side } = order.request
    const fill: ExchangeFill = {
      tradeId: `${market.code}-T${String(book.fills.length + 1).padStart(6, '0')}`,
      exchangeOrderId: order.id,
      symbol,
      side,
      price,
      quantity,
      fee: multiply(multiply(price, quantity), FEE_RATE),
      feeCurrency: market.quoteCurrency,
      liquidity: 'taker',
      filledAt,
    }
    book.fills.push(fill)
    order.fills.push(fill)
    if (compare(filledQuantity(order), `${order.request.quantity}`) === 0) order.status = 'filled'
  }

  #report(order: BookOrder): ExchangeOrder {
    const { clientOrderId, symbol, side, type, quantity, stopPrice } = order.request
    const filled = filledQuantity(order)
    const notional = sum(order.fills.map((fill) => multiply(`${fill.price}`, `${fill.quantity}`)))
    return {
      exchangeOrderId: order.id,
      clientOrderId,
      symbol,
      side,
      type,
      status: order.status,
      quantity,
      filledQuantity: filled,
      averagePrice: filled === '0' ? null : divide(notional, filled),
      stopPrice,
    }
  }

  /** The same for the same order in every run. */
  #random({ id }: BookOrder): SeededRandom {
    return seededRandom(`${this.#seed}:${id}`)
  }
}

function filledQuantity({ fills }: BookOrder): string {
  return sum(fills.map((fill) => `${fill.quantity}`))
}
