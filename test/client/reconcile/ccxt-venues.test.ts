/** Venues differ in what they can be asked; here they are stubs, each with the one peculiarity that matters. */
import { describe, expect, it } from 'vitest'
import { toExchangeOrder, toLastPrice, toMarketRules } from '../../../src/client/reconcile/ccxt-convert.ts'
import { type CcxtInstance, ccxtExchange } from '../../../src/client/reconcile/ccxt-exchange.ts'
import type { CcxtOrder, CcxtTrade } from '../../../src/client/reconcile/ccxt-instance.ts'
import type { OrderReference } from '../../../src/client/reconcile/exchange.ts'

const SYMBOL = 'BTC/USDT'

class ExchangeError extends Error {}
class BadRequest extends ExchangeError {}
class NotSupported extends ExchangeError {}
class InvalidOrder extends ExchangeError {}
class OrderNotFound extends InvalidOrder {}
class DuplicateOrderId extends InvalidOrder {}
class InsufficientFunds extends ExchangeError {}
class RequestTimeout extends Error {}

function unexpected(): never {
  throw new Error('was not to be asked')
}

function venue(changes: Partial<CcxtInstance> = {}, features: Record<string, unknown> = {}): CcxtInstance {
  return {
    id: 'stub',
    precisionMode: 4,
    loadMarkets: async () => ({}),
    market: () => ({ precision: { price: '0.01', amount: '0.001' } }),
    featureValue: (_symbol, method, parameter, defaultValue) => features[`${method}.${parameter}`] ?? defaultValue,
    fetchOrder: unexpected,
    fetchOpenOrders: unexpected,
    fetchOrders: unexpected,
    fetchClosedOrders: unexpected,
    fetchCanceledOrders: unexpected,
    fetchOrderTrades: unexpected,
    fetchMyTrades: unexpected,
    fetchPositions: unexpected,
    fetchPosition: unexpected,
    fetchTicker: unexpected,
    createOrder: unexpected,
    cancelOrder: unexpected,
    ...changes,
    has: { fetchOrder: true, fetchOpenOrders: true, ...changes.has },
  }
}

function theirOrder(changes: Partial<CcxtOrder> = {}): CcxtOrder {
  return {
    id: '1',
    clientOrderId: 'mine',
    symbol: SYMBOL,
    side: 'buy',
    type: 'limit',
    status: 'open',
    amount: '2',
    filled: '0',
    ...changes,
  }
}

function theirTrade(id: string, timestamp: number, changes: Partial<CcxtTrade> = {}): CcxtTrade {
  return { id, order: '1', symbol: SYMBOL, side: 'buy', price: '100', amount: '1', timestamp, ...changes }
}

function reference(changes: Partial<OrderReference> = {}): OrderReference {
  return {
    symbol: SYMBOL,
    clientOrderId: 'mine',
    exchangeOrderId: null,
    type: 'limit',
    createdAtMs: 100_000,
    ...changes,
  }
}

describe('a venue that does not search by client order id', () => {
  it.each([
    ['refuses the parameter', async () => Promise.reject(new BadRequest())],
    ['answers with some other order', async () => theirOrder({ id: '2', clientOrderId: 'other' })],
    ['answers with an order that has no client order id', async () => theirOrder({ clientOrderId: undefined })],
  ])('(%s) is asked for its recent orders', async (_how, fetchOrder) => {
    const asked: unknown[] = []
    const has = { fetchClosedOrders: true, fetchCanceledOrders: true }
    const closed = async (symbol?: string, since?: number) => {
      asked.push([symbol, since])
      return [theirOrder({ id: '3', clientOrderId: 'mine', status: 'closed', filled: '2' })]
    }
    const exchange = ccxtExchange(
      venue({ has, fetchOrder, fetchClosedOrders: closed, fetchCanceledOrders: async () => [] }),
    )
    expect(await exchange.fetchOrder(reference())).toMatchObject({ value: { exchangeOrderId: '3', status: 'filled' } })
    expect(asked).toEqual([[SYMBOL, 40_000]])
    expect(await exchange.fetchOrder(reference({ clientOrderId: 'nobody' }))).toEqual({ status: 'not-found' })
  })

  it.each([
    ['lists no recent orders either', {}, []],
    ['lists them without client order ids', { fetchOrders: true }, [theirOrder({ clientOrderId: undefined })]],
    [
      'lists as many as fit on a page',
      { fetchOrders: true },
      Array.from({ length: 50 }, (_, id) => theirOrder({ id: `${id}`, clientOrderId: `o${id}` })),
    ],
  ])('and %s can not say that there is none', async (_how, has, listed) => {
    const exchange = ccxtExchange(
      venue({ has, fetchOrder: async () => Promise.reject(new BadRequest()), fetchOrders: async () => listed }),
    )
    await expect(exchange.fetchOrder(reference())).rejects.toMatchObject({ code: 'EXCHANGE_ERROR' })
  })

  it('is no excuse for a query that failed', async () => {
    const exchange = ccxtExchange(
      venue({
        has: { fetchOrders: true },
        fetchOrder: async () => Promise.reject(new RequestTimeout()),
        fetchOrders: async () => [],
      }),
    )
    await expect(exchange.fetchOrder(reference())).rejects.toMatchObject({ details: { error: 'RequestTimeout' } })
  })
})

describe('a venue that keeps conditional orders apart', () => {
  const features = { 'fetchOrder.trigger': true, 'fetchOpenOrders.trigger': true }

  it('is asked for both lists of open orders', async () => {
    const fetchOpenOrders: CcxtInstance['fetchOpenOrders'] = async (_symbol, _since, _limit, params) => [
      theirOrder({ id: params?.trigger === true ? 'conditional' : 'plain' }),
    ]
    const open = await ccxtExchange(venue({ fetchOpenOrders }, features)).fetchOpenOrders(SYMBOL)
    expect(open.map((order) => order.exchangeOrderId)).toEqual(['plain', 'conditional'])
    const together = ccxtExchange(venue({ fetchOpenOrders }, features), { conditionalOrders: 'together' })
    expect(await together.fetchOpenOrders(SYMBOL)).toHaveLength(1)
    const apart = ccxtExchange(venue({ fetchOpenOrders }), { conditionalOrders: 'apart', listAllOpenOrders: true })
    expect(await apart.fetchAllOpenOrders?.()).toHaveLength(2)
  })

  it.each([
    ['stop', [true, undefined]],
    ['limit', [undefined, true]],
  ] as const)('is asked for a %s where it is likely to be first, then in the other place', async (type, places) => {
    const asked: unknown[] = []
    const ask = async (_id: string, _symbol?: string, params?: Record<string, unknown>) => {
      asked.push(params?.trigger)
      throw new OrderNotFound()
    }
    const exchange = ccxtExchange(venue({ fetchOrder: ask, cancelOrder: ask }, features))
    expect(await exchange.fetchOrder(reference({ exchangeOrderId: '1', type }))).toEqual({ status: 'not-found' })
    expect(await exchange.cancelOrder(reference({ exchangeOrderId: '1', type }))).toEqual({ status: 'not-found' })
    expect(asked).toEqual([...places, ...places])
  })
})

describe('the fills of an order', () => {
  it('are searched among all trades where they can not be listed', async () => {
    const trades = [theirTrade('a', 50_000), theirTrade('b', 60_000, { order: '2' }), theirTrade('c', 70_000)]
    const exchange = ccxtExchange(
      venue({
        has: { fetchOrderTrades: true, fetchMyTrades: true },
        fetchOrderTrades: async () => Promise.reject(new NotSupported()),
        fetchMyTrades: async (_symbol, since) =>
          trades.filter((trade) => (trade.timestamp ?? 0) >= (since ?? 0)).slice(0, 2),
      }),
    )
    const fills = await exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: '1', sinceMs: 100_000 })
    expect(fills.map((fill) => fill.tradeId)).toEqual(['a', 'c'])
  })

  it('are those the order itself lists, where nothing else does', async () => {
    const exchange = ccxtExchange(
      venue({ fetchOrder: async () => theirOrder({ trades: [theirTrade('a', 1, { order: undefined })] }) }),
    )
    const query = { symbol: SYMBOL, exchangeOrderId: '1', sinceMs: null }
    expect(await exchange.fetchFills(query)).toMatchObject([{ tradeId: 'a', exchangeOrderId: '1' }])
    const silent = ccxtExchange(venue({ fetchOrder: async () => theirOrder() }))
    await expect(silent.fetchFills(query)).rejects.toMatchObject({ code: 'EXCHANGE_ERROR' })
  })

  it('are asked for window by window where the venue answers for some days at a time', async () => {
    const day = 86_400_000
    const now = Date.now()
    const asked: number[] = []
    const fetchMyTrades: CcxtInstance['fetchMyTrades'] = async (_symbol, since = 0) => {
      asked.push(since)
      return [theirTrade('late', now - day)].filter((trade) => {
        const at = trade.timestamp ?? 0
        return at >= since && at < since + 7 * day
      })
    }
    const exchange = ccxtExchange(
      venue({ has: { fetchMyTrades: true }, fetchMyTrades }, { 'fetchMyTrades.untilDays': 7 }),
    )
    const query = { symbol: SYMBOL, exchangeOrderId: null, sinceMs: now - 30 * day }
    expect(await exchange.fetchFills(query)).toHaveLength(1)
    expect(asked.length).toBeGreaterThan(3)
  })

  it.each([
    ['no id', { id: undefined }],
    ['no time', { timestamp: undefined }],
    ['no side', { side: undefined }],
  ])('with %s are no answer', async (_what, changes) => {
    const exchange = ccxtExchange(
      venue({ has: { fetchMyTrades: true }, fetchMyTrades: async () => [theirTrade('a', 1, changes)] }),
    )
    await expect(exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: null, sinceMs: null })).rejects.toMatchObject({
      code: 'EXCHANGE_ERROR',
    })
  })
})

describe('what a venue can not do', () => {
  it('throws, so that it stays unresolved', async () => {
    const exchange = ccxtExchange(venue({ has: { fetchOrder: false, fetchOpenOrders: false } }))
    for (const ask of [
      () => exchange.fetchOrder(reference()),
      () => exchange.fetchOpenOrders(SYMBOL),
      () => exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: null, sinceMs: 1 }),
      () => exchange.fetchLastPrice(SYMBOL),
      () => exchange.cancelOrder(reference({ clientOrderId: null })),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: 'EXCHANGE_ERROR', details: { exchange: 'stub' } })
    }
  })

  it('a trailing stop is refused rather than turned into something else', async () => {
    const request = {
      clientOrderId: 'a',
      symbol: SYMBOL,
      side: 'sell',
      quantity: '1',
      price: null,
      reduceOnly: true,
    } as const
    const answer = await ccxtExchange(venue()).createOrder({ ...request, type: 'trailing_stop', stopPrice: null })
    expect(answer).toEqual({ status: 'refused', reason: 'NotSupported' })
  })
})

describe('an error that answers a new order', () => {
  const request = { clientOrderId: 'a', symbol: SYMBOL, side: 'sell', type: 'market', quantity: '1' } as const
  const send = (error: Error) =>
    ccxtExchange(venue({ createOrder: async () => Promise.reject(error) })).createOrder({
      ...request,
      price: null,
      stopPrice: null,
      reduceOnly: false,
    })

  it.each([
    ['InsufficientFunds', new InsufficientFunds()],
    ['InvalidOrder', new InvalidOrder()],
    ['BadRequest', new BadRequest()],
  ])('%s says that it was refused', async (reason, error) => {
    expect(await send(error)).toEqual({ status: 'refused', reason })
  })

  it.each([
    ['DuplicateOrderId', new DuplicateOrderId()],
    ['OrderNotFound', new OrderNotFound()],
    ['RequestTimeout', new RequestTimeout()],
    ['ExchangeError', new ExchangeError()],
  ])('%s does not', async (name, error) => {
    await expect(send(error)).rejects.toMatchObject({ code: 'EXCHANGE_ERROR', details: { error: name } })
  })
})

describe('positions', () => {
  const contract = { market: () => ({ contract: true, precision: {} }) }

  it('are told apart by symbol and side, also where both sides are held', async () => {
    const held = [
      { symbol: SYMBOL, side: 'long', contracts: '2' },
      { symbol: SYMBOL, side: 'short', contracts: '3' },
      { symbol: 'ETH/USDT', side: 'long', contracts: '4' },
    ]
    const exchange = ccxtExchange(
      venue({ ...contract, has: { fetchPositions: true }, fetchPositions: async () => held }),
    )
    expect(await exchange.fetchPosition?.(SYMBOL, 'short')).toMatchObject({ value: { quantity: '3' } })
    const twice = ccxtExchange(
      venue({ ...contract, has: { fetchPositions: true }, fetchPositions: async () => [...held, ...held] }),
    )
    await expect(twice.fetchPosition?.(SYMBOL, 'long')).rejects.toMatchObject({ code: 'EXCHANGE_ERROR' })
  })

  it('are asked for one by one where they can not be listed, and not at all where neither works', async () => {
    const fetchPosition = async () => ({ symbol: SYMBOL, side: undefined, contracts: '0' })
    const single = ccxtExchange(venue({ ...contract, has: { fetchPosition: true }, fetchPosition }))
    expect(await single.fetchPosition?.(SYMBOL, 'long')).toEqual({ status: 'not-found' })
    expect(await ccxtExchange(venue(contract)).fetchPosition?.(SYMBOL, 'long')).toEqual({ status: 'not-tracked' })
  })
})

describe('what ccxt says, in our terms', () => {
  it.each([
    ['closed, filled in whole', { status: 'closed', filled: '2' }, 'filled'],
    ['closed, filled in part', { status: 'closed', filled: '1' }, 'canceled'],
    ['closed, and no word on what was filled', { status: 'closed', filled: undefined }, 'unknown'],
    ['closed, with nothing filled', { status: 'closed', filled: '0' }, 'unknown'],
    ['about to be canceled', { status: 'canceling' }, 'open'],
    ['nothing', { status: undefined }, 'unknown'],
  ])('%s', (_what, changes, status) => {
    expect(toExchangeOrder(theirOrder(changes), SYMBOL).status).toBe(status)
  })

  it('the price is the last one, or the middle between bid and ask', () => {
    expect(toLastPrice({ last: '100.10', bid: '1', ask: '2' })).toBe('100.10')
    expect(toLastPrice({ bid: '100.1', ask: '100.2' })).toBe('100.15')
    expect(toLastPrice({ bid: '100.1' })).toBeNull()
  })

  it('steps come as ticks or as decimal places', () => {
    const market = { precision: { price: '2', amount: 3 } }
    expect(toMarketRules(market, 4)).toMatchObject({ tickSize: '2', lotSize: 3 })
    expect(toMarketRules(market, 2)).toMatchObject({ tickSize: '1e-2', lotSize: '1e-3' })
    expect(toMarketRules(market, 3)).toMatchObject({ tickSize: null, lotSize: null })
    const contract = { contract: true, inverse: true, contractSize: '100', precision: {} }
    expect(toMarketRules(contract, 4)).toMatchObject({ contractSize: '100', inverse: true })
  })
})
