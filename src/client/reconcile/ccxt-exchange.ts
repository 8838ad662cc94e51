/**
 * `Exchange` over a ccxt instance. ccxt's exchanges differ in what they can be asked: some keep conditional orders in a
 * list of their own, some find an order by its client order id, some pretend to. What can't be asked reliably throws,
 * so that it stays unresolved.
 */
import { isStoreError, StoreError } from '../../protocol/store-error.ts'
import {
  toCcxtRequest,
  toExchangeFill,
  toExchangeOrder,
  toExchangePosition,
  toLastPrice,
  toMarketRules,
} from './ccxt-convert.ts'
import { errorName, exchangeError, isCcxtError, isRefusal } from './ccxt-error.ts'
import type { CcxtInstance, CcxtMarket, CcxtOrder, CcxtTrade } from './ccxt-instance.ts'
import type { PositionSide } from './documents.ts'
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
} from './exchange.ts'

export type { CcxtInstance } from './ccxt-instance.ts'

const DAY_MS = 86_400_000
const MAX_PAGES = 100
/** What ccxt throws where a venue can't search by client order id. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['ArgumentsRequired', 'BadRequest', 'NotSupported'])
/** Clocks of the store and the exchange may differ. */
const CLOCK_MARGIN_MS = 60_000

export interface CcxtExchangeOptions {
  /**
   * List the open orders of all symbols in one request, so that foreign orders on any symbol are seen. Only for accounts
   * where one request does list them all: with ccxt that is one kind of market (spot, or linear swaps).
   */
  readonly listAllOpenOrders?: boolean
  /**
   * `verify` (default): an order not found by its client order id is looked for among the recent orders as well, because
   * some venues take the parameter and ignore it. `direct`: the venue's first answer counts.
   */
  readonly clientOrderIdLookup?: 'verify' | 'direct'
}

/**
 * Makes an `Exchange` of a ccxt exchange instance. Tell ccxt to keep the digits as the venue sent them, otherwise they
 * have been through a double: `exchange.number = String`. Give the instance its keys; nothing else is changed on it.
 *
 * @example
 * import { binance } from 'ccxt'
 * const venue = new binance({ apiKey, secret })
 * venue.number = String
 * const report = await reconcile(store, ccxtExchange(venue), { trailingStopPercent: '5' })
 */
export function ccxtExchange(instance: CcxtInstance, options: CcxtExchangeOptions = {}): Exchange {
  const adapter = new CcxtAdapter(instance, options.clientOrderIdLookup ?? 'verify')
  const exchange: Exchange = {
    fetchOrder: (reference) => adapter.fetchOrder(reference),
    fetchOpenOrders: (symbol) => adapter.fetchOpenOrders(symbol),
    fetchFills: (query) => adapter.fetchFills(query),
    fetchPosition: (symbol, side) => adapter.fetchPosition(symbol, side),
    fetchLastPrice: (symbol) => adapter.fetchLastPrice(symbol),
    fetchMarketRules: (symbol) => adapter.fetchMarketRules(symbol),
    createOrder: (request) => adapter.createOrder(request),
    cancelOrder: (reference) => adapter.cancelOrder(reference),
  }
  if (options.listAllOpenOrders !== true) return exchange
  return { ...exchange, fetchAllOpenOrders: () => adapter.fetchAllOpenOrders() }
}

class CcxtAdapter {
  readonly #ccxt: CcxtInstance
  readonly #lookup: 'verify' | 'direct'

  constructor(instance: CcxtInstance, lookup: 'verify' | 'direct') {
    this.#ccxt = instance
    this.#lookup = lookup
  }

  async fetchOrder(reference: OrderReference): Promise<Answer<ExchangeOrder>> {
    await this.#market(reference.symbol)
    const { symbol, exchangeOrderId, clientOrderId } = reference
    if (exchangeOrderId !== null) {
      const order = await this.#orderBy(exchangeOrderId, reference, {})
      return order === null ? notFound : found(toExchangeOrder(order, symbol))
    }
    if (clientOrderId === null) throw this.#unable('fetchOrder', 'the order has no id')
    return await this.#orderByClientId(clientOrderId, reference)
  }

  async fetchOpenOrders(symbol: string): Promise<readonly ExchangeOrder[]> {
    await this.#market(symbol)
    this.#assertHas('fetchOpenOrders')
    return await this.#call('fetchOpenOrders', async () => {
      const listed = await this.#ccxt.fetchOpenOrders(symbol)
      const conditional = this.#keepsTriggersApart(symbol, 'fetchOpenOrders')
        ? await this.#ccxt.fetchOpenOrders(symbol, undefined, undefined, { trigger: true })
        : []
      return [...listed, ...conditional].map((order) => toExchangeOrder(order, symbol))
    })
  }

  async fetchAllOpenOrders(): Promise<readonly ExchangeOrder[]> {
    return await this.#call('fetchOpenOrders', async () => {
      await this.#ccxt.loadMarkets()
      const listed = await this.#ccxt.fetchOpenOrders()
      return listed.map((order) => toExchangeOrder(order, order.symbol ?? ''))
    })
  }

  async fetchFills({ symbol, exchangeOrderId, sinceMs }: FillQuery): Promise<readonly ExchangeFill[]> {
    await this.#market(symbol)
    const since = sinceMs === null ? undefined : Math.max(0, sinceMs - CLOCK_MARGIN_MS)
    return await this.#call('fetchFills', async () => {
      const trades =
        exchangeOrderId === null
          ? await this.#tradesSince(symbol, since)
          : await this.#tradesOfOrder(symbol, exchangeOrderId, since)
      return trades.map((trade) => toExchangeFill(trade, symbol))
    })
  }

  async fetchPosition(
    symbol: string,
    side: PositionSide,
  ): Promise<Answer<ExchangePosition> | { readonly status: 'not-tracked' }> {
    const market = await this.#market(symbol)
    if (market.contract !== true) return { status: 'not-tracked' }
    return await this.#call('fetchPositions', async () => {
      if (!this.#has('fetchPositions') && !this.#has('fetchPosition')) return { status: 'not-tracked' } as const
      const positions = this.#has('fetchPositions')
        ? await this.#ccxt.fetchPositions([symbol])
        : [await this.#ccxt.fetchPosition(symbol)]
      const held = positions.flatMap((position) => toExchangePosition(position, symbol, side) ?? [])
      if (held.length > 1) throw this.#unable('fetchPositions', 'it lists several positions on one side')
      return held[0] === undefined ? notFound : found(held[0])
    })
  }

  async fetchLastPrice(symbol: string): Promise<Answer<ExchangePosition['quantity']>> {
    await this.#market(symbol)
    this.#assertHas('fetchTicker')
    const price = await this.#call('fetchTicker', async () => toLastPrice(await this.#ccxt.fetchTicker(symbol)))
    return price === null ? notFound : found(price)
  }

  async fetchMarketRules(symbol: string): Promise<Answer<MarketRules>> {
    return found(toMarketRules(await this.#market(symbol), this.#ccxt.precisionMode))
  }

  async createOrder(request: CreateOrderRequest): Promise<CreateOrderAnswer> {
    const { symbol, side, quantity, price } = request
    const market = await this.#market(symbol)
    const mapped = toCcxtRequest(request, market, (parameter) => this.#feature(symbol, 'createOrder', parameter))
    if (mapped === null) return { status: 'refused', reason: 'NotSupported' }
    try {
      // ccxt takes decimal strings as well, whatever its types say; a number could lose digits.
      const amount = quantity as number
      const limit = price === null ? undefined : (price as number)
      const order = await this.#ccxt.createOrder(symbol, mapped.type, side, amount, limit, mapped.params)
      return { status: 'accepted', order: acceptedOrder(order, request) }
    } catch (error) {
      if (isRefusal(error)) return { status: 'refused', reason: errorName(error) }
      throw isStoreError(error) ? error : exchangeError(this.#ccxt.id, 'createOrder', error)
    }
  }

  async cancelOrder(reference: OrderReference): Promise<Answer<null>> {
    const { symbol, exchangeOrderId, clientOrderId } = reference
    await this.#market(symbol)
    if (exchangeOrderId === null && clientOrderId === null) throw this.#unable('cancelOrder', 'the order has no id')
    const id = exchangeOrderId ?? ''
    const params = exchangeOrderId === null ? { clientOrderId } : {}
    const canceled = await this.#call('cancelOrder', () =>
      this.#firstFound(reference, 'fetchOpenOrders', (trigger) =>
        this.#ccxt.cancelOrder(id, symbol, { ...params, ...trigger }).then(() => true),
      ),
    )
    return canceled === null ? notFound : found(null)
  }

  async #orderByClientId(clientOrderId: string, reference: OrderReference): Promise<Answer<ExchangeOrder>> {
    const { symbol } = reference
    const direct = await this.#askByClientId(clientOrderId, reference)
    if (direct.status === 'found') return found(toExchangeOrder(direct.order, symbol))
    if (this.#lookup === 'direct') {
      if (direct.status === 'absent') return notFound
      throw this.#unable('fetchOrder', 'it does not find orders by client order id')
    }
    const recent = await this.#recentOrders(reference)
    const match = recent?.find((order) => order.clientOrderId === clientOrderId)
    if (match !== undefined) return found(toExchangeOrder(match, symbol))
    if (direct.status === 'absent' || (recent !== null && canTell(recent))) return notFound
    throw this.#unable('fetchOrder', 'it does not find orders by client order id, nor lists them with it')
  }

  /** `ignored`: the venue can't search by client order id, or has answered with some other order. */
  async #askByClientId(
    clientOrderId: string,
    reference: OrderReference,
  ): Promise<{ readonly status: 'found'; readonly order: CcxtOrder } | { readonly status: 'absent' | 'ignored' }> {
    if (!this.#ccxt.has.fetchOrder) return { status: 'ignored' }
    try {
      const order = await this.#orderBy('', reference, { clientOrderId })
      if (order === null) return { status: 'absent' }
      return order.clientOrderId === clientOrderId ? { status: 'found', order } : { status: 'ignored' }
    } catch (error) {
      const reason = isStoreError(error) ? error.details.error : undefined
      if (UNSUPPORTED.has(String(reason))) return { status: 'ignored' }
      throw error
    }
  }

  /** Null when the venue does not know the order. */
  async #orderBy(id: string, reference: OrderReference, params: Record<string, unknown>): Promise<CcxtOrder | null> {
    this.#assertHas('fetchOrder')
    return await this.#call('fetchOrder', () =>
      this.#firstFound(reference, 'fetchOrder', (trigger) =>
        this.#ccxt.fetchOrder(id, reference.symbol, { ...params, ...trigger }),
      ),
    )
  }

  /** Orders around and since the time this one was made; null when the venue can't list them. */
  async #recentOrders({ symbol, createdAtMs }: OrderReference): Promise<readonly CcxtOrder[] | null> {
    const since = createdAtMs === null ? undefined : Math.max(0, createdAtMs - CLOCK_MARGIN_MS)
    if (this.#has('fetchOrders')) {
      return await this.#call('fetchOrders', () => this.#ccxt.fetchOrders(symbol, since))
    }
    if (!this.#has('fetchClosedOrders')) return null
    return await this.#call('fetchClosedOrders', async () => [
      ...(await this.#ccxt.fetchClosedOrders(symbol, since)),
      ...(this.#has('fetchCanceledOrders') ? await this.#ccxt.fetchCanceledOrders(symbol, since) : []),
    ])
  }

  async #tradesOfOrder(
    symbol: string,
    exchangeOrderId: string,
    since: number | undefined,
  ): Promise<readonly CcxtTrade[]> {
    if (this.#has('fetchOrderTrades')) return await this.#ccxt.fetchOrderTrades(exchangeOrderId, symbol)
    if (this.#has('fetchMyTrades')) {
      const trades = await this.#tradesSince(symbol, since)
      return trades.filter((trade) => trade.order === exchangeOrderId)
    }
    this.#assertHas('fetchOrder')
    const { trades } = await this.#ccxt.fetchOrder(exchangeOrderId, symbol)
    if (trades === undefined || trades.length === 0) throw this.#unable('fetchMyTrades', 'it lists no trades')
    return trades.map((trade) => ({ ...trade, order: trade.order ?? exchangeOrderId }))
  }

  /** Page by page, from the oldest; venues that answer for a few days at a time are asked window by window. */
  async #tradesSince(symbol: string, since: number | undefined): Promise<readonly CcxtTrade[]> {
    this.#assertHas('fetchMyTrades')
    const windowDays = Number(this.#ccxt.featureValue(symbol, 'fetchMyTrades', 'untilDays') ?? 0)
    const trades = new Map<string, CcxtTrade>()
    let cursor = since
    for (let page = 0; page < MAX_PAGES; page++) {
      const listed = await this.#ccxt.fetchMyTrades(symbol, cursor)
      const before = trades.size
      for (const trade of listed) trades.set(`${trade.order}\u0000${trade.id}`, trade)
      if (cursor === undefined) return [...trades.values()]
      const latest = listed.reduce((newest, trade) => Math.max(newest, trade.timestamp ?? 0), cursor)
      if (trades.size > before && latest > cursor) {
        cursor = latest
        continue
      }
      const next = cursor + windowDays * DAY_MS
      if (windowDays === 0 || next > Date.now()) return [...trades.values()]
      cursor = next
    }
    throw this.#unable('fetchMyTrades', `it has more than ${MAX_PAGES} pages of trades`)
  }

  /** Asks where the order would be kept first, then in the other place; null when neither has it. */
  async #firstFound<T>(
    { symbol, type }: OrderReference,
    method: string,
    question: (params: { readonly trigger?: true }) => Promise<T>,
  ): Promise<T | null> {
    const isConditional = type !== null && type !== 'market' && type !== 'limit'
    const places = this.#keepsTriggersApart(symbol, method) ? [{ trigger: true } as const, {}] : [{}]
    for (const place of isConditional ? places : places.reverse()) {
      try {
        return await question(place)
      } catch (error) {
        if (!isCcxtError(error, 'OrderNotFound')) throw error
      }
    }
    return null
  }

  #keepsTriggersApart(symbol: string, method: string): boolean {
    return this.#feature(symbol, method, 'trigger')
  }

  #feature(symbol: string, method: string, parameter: string): boolean {
    return this.#ccxt.featureValue(symbol, method, parameter, false) === true
  }

  #has(method: string): boolean {
    return this.#ccxt.has[method] === true
  }

  #assertHas(method: string): void {
    if (!this.#ccxt.has[method]) throw this.#unable(method, 'ccxt does not offer it for this exchange')
  }

  async #market(symbol: string): Promise<CcxtMarket> {
    return await this.#call('loadMarkets', async () => {
      await this.#ccxt.loadMarkets()
      return this.#ccxt.market(symbol)
    })
  }

  async #call<T>(method: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isStoreError(error) ? error : exchangeError(this.#ccxt.id, method, error)
    }
  }

  #unable(method: string, reason: string): StoreError {
    return new StoreError(
      'EXCHANGE_ERROR',
      `${this.#ccxt.id} can't answer by ${method}: ${reason}. Implement Exchange yourself for this part.`,
      { details: { exchange: this.#ccxt.id, method } },
    )
  }
}

/** Many venues answer a new order with its id alone: the rest is what was asked for. */
function acceptedOrder(order: CcxtOrder, request: CreateOrderRequest): ExchangeOrder {
  return toExchangeOrder(
    {
      ...order,
      clientOrderId: order.clientOrderId ?? request.clientOrderId,
      symbol: order.symbol ?? request.symbol,
      side: order.side ?? request.side,
    },
    request.symbol,
  )
}

/** An empty list says nothing about what its orders would carry; the venue has answered all the same. */
function canTell(orders: readonly CcxtOrder[]): boolean {
  return orders.length === 0 || orders.some((order) => Boolean(order.clientOrderId))
}
