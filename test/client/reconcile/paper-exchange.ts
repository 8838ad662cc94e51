/** An exchange in memory: orders rest, are filled by the test, and every request is counted. */
import { add, compare, subtract } from '../../../src/client/reconcile/decimal-math.ts'
import type { PositionSide } from '../../../src/client/reconcile/documents.ts'
import {
  type Answer,
  type CreateOrderAnswer,
  type CreateOrderRequest,
  type Exchange,
  type ExchangeFill,
  type ExchangeOrder,
  type ExchangePosition,
  type FillQuery,
  found,
  type MarketRules,
  notFound,
  type OrderReference,
} from '../../../src/client/reconcile/exchange.ts'
import type { Decimal } from '../../../src/schema/decimal.ts'
import { Fuse } from './fuse.ts'

export type Question = 'order' | 'openOrders' | 'fills' | 'position' | 'lastPrice' | 'marketRules'

export class PaperExchange implements Exchange {
  readonly orders: ExchangeOrder[] = []
  readonly fills: ExchangeFill[] = []
  readonly prices = new Map<string, string>()
  readonly rules = new Map<string, MarketRules>()
  /** How much the venue holds on a side. Null: it keeps no positions. */
  held: ((symbol: string, side: PositionSide) => string) | null = null
  /** Client order ids of every request that arrived, in order. */
  readonly sent: string[] = []
  readonly canceled: string[] = []
  readonly asked: { question: Question; subject: string }[] = []
  fuse = new Fuse()
  /** Makes a question fail. */
  fails: (question: Question, subject: string) => boolean = () => false
  /** What becomes of a new order on arrival; undefined: it rests. */
  onCreate: (request: CreateOrderRequest) => CreateOrderAnswer | undefined = () => undefined
  onCancel: (exchangeOrderId: string) => void = () => undefined
  /** Called after each answer, as the market moves on. */
  afterAnswer: () => void = () => undefined
  fetchAllOpenOrders?: () => Promise<readonly ExchangeOrder[]>
  #lastId = 0

  /** From now on the venue lists the open orders of all symbols at once. */
  listAllOpenOrders(): void {
    this.fetchAllOpenOrders = async () => {
      this.#ask('openOrders', '*')
      return this.#answer(this.open())
    }
  }

  /** From now on the venue keeps positions, both sides apart: orders named "…-entry" open them, all others reduce them. */
  holdWhatWasFilled(): void {
    this.held = (symbol, side) => {
      let held = '0'
      for (const order of this.orders) {
        const isEntry = order.clientOrderId?.endsWith('-entry') === true
        const isOfSide = (order.side === 'buy') === (isEntry === (side === 'long'))
        if (order.symbol !== symbol || !isOfSide) continue
        held = isEntry ? add(held, order.filledQuantity ?? 0) : subtract(held, order.filledQuantity ?? 0)
      }
      return held
    }
  }

  /** Places an order the way the bot would have done before it crashed. */
  rest(
    order: Omit<ExchangeOrder, 'exchangeOrderId' | 'status' | 'filledQuantity'> & { exchangeOrderId?: string },
  ): string {
    this.#lastId += 1
    const exchangeOrderId = order.exchangeOrderId ?? `x${this.#lastId}`
    this.orders.push({ ...order, exchangeOrderId, status: 'open', filledQuantity: '0' })
    return exchangeOrderId
  }

  fill(exchangeOrderId: string, quantity: string, price: string, filledAt: number, fee?: Partial<ExchangeFill>): void {
    const order = this.#byId(exchangeOrderId)
    const filledQuantity = add(order.filledQuantity ?? 0, quantity)
    const isWhole = compare(filledQuantity, order.quantity ?? 0) === 0
    this.#replace({ ...order, filledQuantity, status: isWhole ? 'filled' : 'open' })
    const { symbol, side } = order
    const tradeId = `t${this.fills.length + 1}`
    this.fills.push({ tradeId, exchangeOrderId, symbol, side, price, quantity, filledAt, ...fee })
  }

  end(exchangeOrderId: string, status: 'canceled' | 'expired' | 'rejected'): void {
    this.#replace({ ...this.#byId(exchangeOrderId), status })
  }

  forget(exchangeOrderId: string): void {
    this.orders.splice(this.orders.indexOf(this.#byId(exchangeOrderId)), 1)
  }

  open(): readonly ExchangeOrder[] {
    return this.orders.filter((order) => order.status === 'open')
  }

  /** The same venue, as a restarted process meets it. */
  restarted(): PaperExchange {
    const copy = new PaperExchange()
    copy.orders.push(...structuredClone(this.orders))
    copy.fills.push(...structuredClone(this.fills))
    for (const [symbol, price] of this.prices) copy.prices.set(symbol, price)
    for (const [symbol, rules] of this.rules) copy.rules.set(symbol, rules)
    if (this.held !== null) copy.holdWhatWasFilled()
    copy.sent.push(...this.sent)
    copy.canceled.push(...this.canceled)
    copy.onCreate = this.onCreate
    if (this.fetchAllOpenOrders !== undefined) copy.listAllOpenOrders()
    copy.#lastId = this.#lastId
    return copy
  }

  async fetchOrder({ symbol, exchangeOrderId, clientOrderId }: OrderReference): Promise<Answer<ExchangeOrder>> {
    this.#ask('order', clientOrderId ?? exchangeOrderId ?? '')
    const order = this.orders.find(
      (each) =>
        each.symbol === symbol &&
        (exchangeOrderId === null ? each.clientOrderId === clientOrderId : each.exchangeOrderId === exchangeOrderId),
    )
    return this.#answer(order === undefined ? notFound : found(order))
  }

  async fetchOpenOrders(symbol: string): Promise<readonly ExchangeOrder[]> {
    this.#ask('openOrders', symbol)
    return this.#answer(this.open().filter((order) => order.symbol === symbol))
  }

  async fetchFills({ symbol, exchangeOrderId, sinceMs }: FillQuery): Promise<readonly ExchangeFill[]> {
    this.#ask('fills', exchangeOrderId ?? symbol)
    return this.#answer(
      this.fills.filter(
        (fill) =>
          fill.symbol === symbol &&
          (exchangeOrderId === null ? fill.filledAt >= (sinceMs ?? 0) : fill.exchangeOrderId === exchangeOrderId),
      ),
    )
  }

  async fetchPosition(
    symbol: string,
    side: PositionSide,
  ): Promise<Answer<ExchangePosition> | { readonly status: 'not-tracked' }> {
    this.#ask('position', symbol)
    if (this.held === null) return this.#answer({ status: 'not-tracked' } as const)
    const quantity = this.held(symbol, side)
    return this.#answer(compare(quantity, 0) === 0 ? notFound : found({ symbol, side, quantity }))
  }

  async fetchLastPrice(symbol: string): Promise<Answer<Decimal>> {
    this.#ask('lastPrice', symbol)
    const price = this.prices.get(symbol)
    return this.#answer(price === undefined ? notFound : found(price))
  }

  async fetchMarketRules(symbol: string): Promise<Answer<MarketRules>> {
    this.#ask('marketRules', symbol)
    const rules = this.rules.get(symbol)
    return this.#answer(rules === undefined ? notFound : found(rules))
  }

  async createOrder(request: CreateOrderRequest): Promise<CreateOrderAnswer> {
    return this.fuse.effect(() => {
      this.sent.push(request.clientOrderId)
      const decided = this.onCreate(request)
      if (decided !== undefined) return decided
      if (this.open().some((order) => order.clientOrderId === request.clientOrderId)) {
        return { status: 'refused', reason: 'duplicate client order id' }
      }
      const exchangeOrderId = this.rest({ ...request, exchangeOrderId: `x-${request.clientOrderId}` })
      return { status: 'accepted', order: this.#byId(exchangeOrderId) }
    })
  }

  async cancelOrder({ symbol, exchangeOrderId, clientOrderId }: OrderReference): Promise<Answer<null>> {
    return this.fuse.effect(() => {
      const order = this.open().find(
        (each) =>
          each.symbol === symbol &&
          (exchangeOrderId === null ? each.clientOrderId === clientOrderId : each.exchangeOrderId === exchangeOrderId),
      )
      if (order === undefined) return notFound
      this.canceled.push(order.exchangeOrderId)
      this.#replace({ ...order, status: 'canceled' })
      this.onCancel(order.exchangeOrderId)
      return found(null)
    })
  }

  remaining(exchangeOrderId: string): string {
    const order = this.#byId(exchangeOrderId)
    return subtract(order.quantity ?? 0, order.filledQuantity ?? 0)
  }

  #ask(question: Question, subject: string): void {
    this.fuse.check()
    this.asked.push({ question, subject })
    if (this.fails(question, subject)) throw new Error(`no answer about ${question}`)
  }

  #answer<T>(answer: T): T {
    const copy = structuredClone(answer)
    this.afterAnswer()
    return copy
  }

  #byId(exchangeOrderId: string): ExchangeOrder {
    const order = this.orders.find((each) => each.exchangeOrderId === exchangeOrderId)
    if (order === undefined) throw new Error(`there is no order ${exchangeOrderId}`)
    return order
  }

  #replace(order: ExchangeOrder): void {
    this.orders[this.orders.findIndex((each) => each.exchangeOrderId === order.exchangeOrderId)] = order
  }
}
