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
  triggeredOrderId,
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
/** A list of this many orders may have been cut off: the smallest page among the large venues. */
const PAGE_ROWS = 50
/** What ccxt throws where a venue can't be asked this way. */
const UNSUPPORTED = ['ArgumentsRequired', 'BadRequest', 'NotSupported'] as const
/** Clocks of the store and the exchange may differ. */
const CLOCK_MARGIN_MS = 60_000

export interface CcxtExchangeOptions {
  /**
   * List the open orders of all symbols in one request, so that foreign orders on any symbol are seen. Only for accounts
   * where one request does list them all: with ccxt that is one kind of market (spot, or linear swaps). Where conditional
   * orders are kept apart, say so with `conditionalOrders: 'apart'`.
   */
  readonly listAllOpenOrders?: boolean
  /**
   * `verify` (default): an order not found by its client order id is looked for among the recent orders as well, because
   * some venues take the parameter and ignore it. `direct`: the venue's first answer counts.
   */
  readonly clientOrderIdLookup?: 'verify' | 'direct'
  /**
   * Whether the venue keeps conditional orders (stops) in a list of their own, asked for with ccxt's `trigger` parameter:
   * `auto` (default) goes by what ccxt says of the venue. Set it where ccxt is wrong, else stops would not be found.
   */
  readonly conditionalOrders?: 'auto' | 'apart' | 'together'
}

/**
 * Makes an `Exchange` of a ccxt exchange instance. Tell ccxt to keep the digits as the venue sent them (`number: String`),
 * otherwise they have been through a double. Leave `maxRetriesOnFailure` at 0: a retry inside ccxt could send an order
 * twice. The instance is not changed.
 *
 * @example
 * import { binance } from 'ccxt'
 * const venue = Object.assign(new binance({ apiKey, secret }), { number: String })
 * const report = await reconcile(store, ccxtExchange(venue), { trailingStopPercent: '5' })
 */
export function ccxtExchange(instance: CcxtInstance, options: CcxtExchangeOptions = {}): Exchange {
  const adapter = new CcxtAdapter(instance, options)
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

/** Parameters that say which list to look in. */
type Place = { readonly trigger?: true }

class CcxtAdapter {
  readonly #ccxt: CcxtInstance
  readonly #lookup: 'verify' | 'direct'
  readonly #conditionalOrders: 'auto' | 'apart' | 'together'
  /** Conditional orders that were triggered, by symbol and id, and the orders they became. */
  readonly #triggered = new Map<string, string>()

  constructor(
    instance: CcxtInstance,
    { clientOrderIdLookup = 'verify', conditionalOrders = 'auto' }: CcxtExchangeOptions,
  ) {
    this.#ccxt = instance
    this.#lookup = clientOrderIdLookup
    this.#conditionalOrders = conditionalOrders
  }

  async fetchOrder(reference: OrderReference): Promise<Answer<ExchangeOrder>> {
    await this.#market(reference.symbol)
    const { exchangeOrderId, clientOrderId, symbol } = reference
    if (exchangeOrderId === null && clientOrderId === null) throw this.#unable('fetchOrder', 'the order has no id')
    const isSame = ({ id, clientOrderId: theirs }: CcxtOrder) =>
      exchangeOrderId === null ? theirs === clientOrderId : id === exchangeOrderId
    const order = await this.#findOrder(reference, isSame)
    return order === null ? notFound : found(toExchangeOrder(await this.#followTriggered(order, symbol), symbol))
  }

  async fetchOpenOrders(symbol: string): Promise<readonly ExchangeOrder[]> {
    await this.#market(symbol)
    this.#assertHas('fetchOpenOrders')
    return await this.#call('fetchOpenOrders', async () => {
      const places = this.#places({ symbol, type: null }, 'fetchOpenOrders')
      const lists = places.map((place) => this.#ccxt.fetchOpenOrders(symbol, undefined, undefined, place))
      return (await Promise.all(lists)).flat().map((order) => toExchangeOrder(order, symbol))
    })
  }

  async fetchAllOpenOrders(): Promise<readonly ExchangeOrder[]> {
    return await this.#call('fetchOpenOrders', async () => {
      await this.#ccxt.loadMarkets()
      const places: readonly Place[] = this.#conditionalOrders === 'apart' ? [{}, { trigger: true }] : [{}]
      const lists = places.map((place) => this.#ccxt.fetchOpenOrders(undefined, undefined, undefined, place))
      return (await Promise.all(lists)).flat().map((order) => toExchangeOrder(order, order.symbol ?? ''))
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
      this.#firstFound(reference, 'fetchOpenOrders', async (place) => {
        await this.#ccxt.cancelOrder(id, symbol, { ...params, ...place })
        return true
      }),
    )
    return canceled === null ? notFound : found(null)
  }

  /** Null only when the venue has answered in a way that shows it would have found the order. */
  async #findOrder(reference: OrderReference, isSame: (order: CcxtOrder) => boolean): Promise<CcxtOrder | null> {
    const direct = await this.#askForOrder(reference)
    if (direct !== 'absent' && direct !== 'ignored' && isSame(direct)) return direct
    const isAbsent = direct === 'absent'
    if (isAbsent && (reference.exchangeOrderId !== null || this.#lookup === 'direct')) return null
    const recent = this.#lookup === 'direct' ? null : await this.#recentOrders(reference)
    const match = recent?.find(isSame)
    if (match !== undefined) return match
    if (isAbsent || (recent !== null && isConclusive(recent, reference))) return null
    throw this.#unable('fetchOrder', 'it does not find the order by the id that is known')
  }

  /** `ignored`: the venue can't search by this id. */
  async #askForOrder(reference: OrderReference): Promise<CcxtOrder | 'absent' | 'ignored'> {
    if (!this.#ccxt.has.fetchOrder) return 'ignored'
    const { symbol, exchangeOrderId, clientOrderId } = reference
    const params = exchangeOrderId === null ? { clientOrderId } : {}
    try {
      const order = await this.#firstFound(reference, 'fetchOrder', (trigger) =>
        this.#ccxt.fetchOrder(exchangeOrderId ?? '', symbol, { ...params, ...trigger }),
      )
      return order ?? 'absent'
    } catch (error) {
      if (UNSUPPORTED.some((name) => isCcxtError(error, name))) return 'ignored'
      throw exchangeError(this.#ccxt.id, 'fetchOrder', error)
    }
  }

  /** Orders around and since the time this one was made, open ones or not; null when the venue can't list them. */
  async #recentOrders(reference: OrderReference): Promise<readonly CcxtOrder[] | null> {
    const { symbol, createdAtMs } = reference
    const since = createdAtMs === null ? undefined : Math.max(0, createdAtMs - CLOCK_MARGIN_MS)
    const methods = this.#has('fetchOrders')
      ? (['fetchOrders'] as const)
      : (['fetchClosedOrders', 'fetchCanceledOrders'] as const).filter((method) => this.#has(method))
    if (methods.length === 0) return null
    const lists = methods.flatMap((method) =>
      this.#places(reference, method).map((place) =>
        this.#call(method, () => this.#ccxt[method](symbol, since, undefined, place)),
      ),
    )
    return (await Promise.all(lists)).flat()
  }

  /** A conditional order that was triggered, with what became of the order it turned into. */
  async #followTriggered(order: CcxtOrder, symbol: string): Promise<CcxtOrder> {
    const actualId = triggeredOrderId(order)
    if (actualId === null || order.id === undefined) return order
    const actual = await this.#call('fetchOrder', () => this.#ccxt.fetchOrder(actualId, symbol))
    this.#triggered.set(`${symbol}\u0000${order.id}`, actualId)
    const { status, filled, average } = actual
    return { ...order, status, filled, average }
  }

  async #tradesOfOrder(
    symbol: string,
    exchangeOrderId: string,
    since: number | undefined,
  ): Promise<readonly CcxtTrade[]> {
    const id = this.#triggered.get(`${symbol}\u0000${exchangeOrderId}`) ?? exchangeOrderId
    const trades = (await this.#listOrderTrades(symbol, id)) ?? (await this.#searchOrderTrades(symbol, id, since))
    return trades.map((trade) => ({ ...trade, order: exchangeOrderId }))
  }

  /** Null where the venue can't list the trades of one order. */
  async #listOrderTrades(symbol: string, id: string): Promise<readonly CcxtTrade[] | null> {
    if (!this.#has('fetchOrderTrades')) return null
    try {
      const trades = await this.#ccxt.fetchOrderTrades(id, symbol)
      return trades.filter((trade) => trade.order === undefined || trade.order === id)
    } catch (error) {
      // Some venues offer it for some of their markets only.
      if (UNSUPPORTED.some((name) => isCcxtError(error, name))) return null
      throw error
    }
  }

  async #searchOrderTrades(symbol: string, id: string, since: number | undefined): Promise<readonly CcxtTrade[]> {
    if (this.#has('fetchMyTrades')) {
      return (await this.#tradesSince(symbol, since)).filter((trade) => trade.order === id)
    }
    this.#assertHas('fetchOrder')
    const { trades } = await this.#ccxt.fetchOrder(id, symbol)
    if (trades === undefined || trades.length === 0) throw this.#unable('fetchMyTrades', 'it lists no trades')
    return trades
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
    reference: OrderReference,
    method: string,
    question: (place: Place) => Promise<T>,
  ): Promise<T | null> {
    for (const place of this.#places(reference, method)) {
      try {
        return await question(place)
      } catch (error) {
        if (!isCcxtError(error, 'OrderNotFound')) throw error
      }
    }
    return null
  }

  /** The lists an order may be in, the likely one first. */
  #places({ symbol, type }: Pick<OrderReference, 'symbol' | 'type'>, method: string): readonly Place[] {
    if (!this.#keepsTriggersApart(symbol, method)) return [{}]
    const isConditional = type !== null && type !== 'market' && type !== 'limit'
    return isConditional ? [{ trigger: true }, {}] : [{}, { trigger: true }]
  }

  #keepsTriggersApart(symbol: string, method: string): boolean {
    if (this.#conditionalOrders !== 'auto') return this.#conditionalOrders === 'apart'
    const { linear, swap } = this.#ccxt.market(symbol)
    // ccxt asks Binance's algo orders for these, but does not list it among the features.
    const isBinanceSwap = this.#ccxt.id.startsWith('binance') && linear === true && swap === true
    return isBinanceSwap || this.#feature(symbol, method, 'trigger')
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

/** True when an order that is not in the list can't exist: the list is not cut off, and has the ids to compare. */
function isConclusive(orders: readonly CcxtOrder[], { exchangeOrderId }: OrderReference): boolean {
  const hasClientIds = orders.length === 0 || orders.some((order) => Boolean(order.clientOrderId))
  return orders.length < PAGE_ROWS && (exchangeOrderId !== null || hasClientIds)
}
