/** The real ccxt package against a server on 127.0.0.1 that speaks Binance's spot REST interface. */
import { binance } from 'ccxt'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import {
  type CcxtExchangeOptions,
  type CcxtInstance,
  ccxtExchange,
} from '../../../src/client/reconcile/ccxt-exchange.ts'
import { stopOrderId } from '../../../src/client/reconcile/deterministic-id.ts'
import type { Exchange, OrderReference } from '../../../src/client/reconcile/exchange.ts'
import { reconcile } from '../../../src/client/reconcile/reconcile.ts'
import { BinanceServer } from './binance-server.ts'
import { OPENED_AT, order, position, SYMBOL, stop } from './decision-fixtures.ts'
import { API_KEY, API_SECRET } from './loopback-server.ts'
import { MemoryStore } from './memory-store.ts'

let server: BinanceServer
let venue: binance
let exchange: Exchange

beforeEach(async () => {
  server = await new BinanceServer().start()
  venue = connect()
  exchange = ccxtExchange(venue)
})

afterEach(async () => {
  await venue.close()
  await server.stop()
})

function connect(): binance {
  const made = new binance({
    apiKey: API_KEY,
    secret: API_SECRET,
    enableRateLimit: false,
    options: { fetchMarkets: { types: ['spot'] }, fetchCurrencies: false, fetchMargins: false },
  })
  for (const name of Object.keys(made.urls.api)) made.urls.api[name] = `${server.url}/api/v3`
  return Object.assign(made, { number: String })
}

function reference(changes: Partial<OrderReference> = {}): OrderReference {
  return { symbol: SYMBOL, clientOrderId: null, exchangeOrderId: null, type: null, createdAtMs: null, ...changes }
}

describe('an order', () => {
  it('is found by either id, with every digit as the venue sent it', async () => {
    const placed = server.place({
      clientOrderId: 'mine',
      side: 'SELL',
      origQty: '0.10000000',
      type: 'STOP_LOSS',
      stopPrice: '46319.10000000',
    })
    server.fill(placed, '0.04000000', '46318.90000000')
    const expected = {
      status: 'found',
      value: expect.objectContaining({
        exchangeOrderId: String(placed.orderId),
        clientOrderId: 'mine',
        symbol: SYMBOL,
        side: 'sell',
        type: 'stop',
        status: 'open',
        quantity: '0.10000000',
        filledQuantity: '0.04000000',
        stopPrice: '46319.10000000',
      }),
    }
    expect(await exchange.fetchOrder(reference({ exchangeOrderId: String(placed.orderId) }))).toEqual(expected)
    expect(await exchange.fetchOrder(reference({ clientOrderId: 'mine' }))).toEqual(expected)
    expect(await exchange.fetchOpenOrders(SYMBOL)).toEqual([expected.value])
  })

  it.each([
    ['NEW', 'open'],
    ['PARTIALLY_FILLED', 'open'],
    ['FILLED', 'filled'],
    ['CANCELED', 'canceled'],
    ['EXPIRED', 'expired'],
    ['EXPIRED_IN_MATCH', 'expired'],
    ['REJECTED', 'rejected'],
    ['SOMETHING_NEW', 'unknown'],
  ])('that Binance calls %s is %s', async (theirs, ours) => {
    const placed = server.place({ clientOrderId: 'mine', side: 'BUY', origQty: '1.00000000', status: theirs })
    if (theirs === 'FILLED') placed.executedQty = '1.00000000'
    const answer = await exchange.fetchOrder(reference({ clientOrderId: 'mine' }))
    expect(answer).toMatchObject({ status: 'found', value: { status: ours } })
  })

  it('that does not exist is not found, after a look among the recent ones', async () => {
    expect(await exchange.fetchOrder(reference({ exchangeOrderId: '1' }))).toEqual({ status: 'not-found' })
    expect(server.requested('GET', '/api/v3/allOrders')).toBe(0)
    expect(await exchange.fetchOrder(reference({ clientOrderId: 'nobody' }))).toEqual({ status: 'not-found' })
    expect(server.requested('GET', '/api/v3/allOrders')).toBe(1)
    const direct = ccxtExchange(venue, { clientOrderIdLookup: 'direct' })
    expect(await direct.fetchOrder(reference({ clientOrderId: 'nobody' }))).toEqual({ status: 'not-found' })
    expect(server.requested('GET', '/api/v3/allOrders')).toBe(1)
  })

  it('is found among the recent ones where the venue ignores client order ids', async () => {
    server.place({ clientOrderId: 'mine', side: 'BUY', origQty: '1.00000000' })
    server.fault = (method, path) =>
      method === 'GET' && path === '/api/v3/order'
        ? { fault: { status: 400, body: { code: -2013, msg: 'Order does not exist.' } } }
        : undefined
    expect(await exchange.fetchOrder(reference({ clientOrderId: 'mine' }))).toMatchObject({ status: 'found' })
  })
})

describe('a query that fails', () => {
  it.each([
    ['an overloaded venue', { status: 503, body: { code: -1001, msg: 'Internal error.' } }, 'OperationFailed'],
    ['too many requests', { status: 429, body: { code: -1003, msg: 'Too many requests.' } }, 'DDoSProtection'],
    [
      'a key that is not allowed',
      { status: 401, body: { code: -2015, msg: 'Invalid API-key.' } },
      'AuthenticationError',
    ],
    ['a connection that breaks', 'hang-up', 'NetworkError'],
  ] as const)('(%s) is thrown as EXCHANGE_ERROR, never answered as not-found', async (_what, fault, error) => {
    await venue.loadMarkets()
    server.fault = () => ({ fault })
    for (const ask of [
      () => exchange.fetchOrder(reference({ exchangeOrderId: '1' })),
      () => exchange.fetchOrder(reference({ clientOrderId: 'mine' })),
      () => exchange.fetchOpenOrders(SYMBOL),
      () => exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: '1', sinceMs: null }),
      () => exchange.fetchLastPrice(SYMBOL),
      () => exchange.cancelOrder(reference({ exchangeOrderId: '1' })),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        name: 'StoreError',
        code: 'EXCHANGE_ERROR',
        details: { exchange: 'binance', error },
      })
    }
  })

  it('keeps the class and the stack of the cause, and neither what was sent nor what came back', async () => {
    await venue.loadMarkets()
    server.fault = () => ({ fault: { status: 400, body: { code: -9999, msg: 'price 46319.10 of order mine' } } })
    const failure = exchange.fetchOrder(reference({ clientOrderId: 'mine' })).catch((error: unknown) => error)
    const error = (await failure) as Error
    expect(error.cause).toMatchObject({ name: expect.any(String), stack: expect.stringContaining('at ') })
    expect(JSON.stringify([error.message, error.cause, String(error.cause)])).not.toMatch(/46319|signature|api\/v3/)
  })
})

describe('fills', () => {
  it('are those of the order, digit by digit', async () => {
    const placed = server.place({ clientOrderId: 'mine', side: 'BUY', origQty: '0.30000000' })
    const other = server.place({ clientOrderId: 'other', side: 'BUY', origQty: '1.00000000' })
    server.fill(placed, '0.10000000', '46319.00000000', '4.63190000')
    server.fill(other, '1.00000000', '46320.00000000')
    const [trade] = server.trades
    const fills = await exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: String(placed.orderId), sinceMs: null })
    expect(fills).toEqual([
      {
        tradeId: String(trade?.id),
        exchangeOrderId: String(placed.orderId),
        symbol: SYMBOL,
        side: 'buy',
        price: '46319.00000000',
        quantity: '0.10000000',
        fee: '4.63190000',
        feeCurrency: 'USDT',
        liquidity: 'taker',
        filledAt: trade?.time,
      },
    ])
  })

  it('are those since a moment, when no order is named', async () => {
    const placed = server.place({ clientOrderId: 'mine', side: 'BUY', origQty: '0.30000000' })
    server.fill(placed, '0.10000000', '46319.00000000')
    server.fill(placed, '0.20000000', '46318.00000000')
    const since = (sinceMs: number) => exchange.fetchFills({ symbol: SYMBOL, exchangeOrderId: null, sinceMs })
    expect(await since(Date.now() - 1_000)).toHaveLength(2)
    expect(await since(Date.now() + 600_000)).toHaveLength(0)
  })
})

describe('prices, rules and positions', () => {
  it('come with the digits of the venue', async () => {
    server.lastPrice = '46319.10'
    expect(await exchange.fetchLastPrice(SYMBOL)).toEqual({ status: 'found', value: '46319.10' })
    expect(await exchange.fetchMarketRules?.(SYMBOL)).toEqual({
      status: 'found',
      value: { tickSize: '0.01', lotSize: '0.00001', contractSize: null, inverse: false },
    })
  })

  it('a spot market keeps balances, not positions', async () => {
    expect(await exchange.fetchPosition?.(SYMBOL, 'long')).toEqual({ status: 'not-tracked' })
  })
})

describe('a new order', () => {
  const request = {
    clientOrderId: stopOrderId('BTC-1', OPENED_AT, 1),
    symbol: SYMBOL,
    side: 'sell',
    type: 'stop',
    quantity: '0.12345',
    price: null,
    stopPrice: '90.25',
    reduceOnly: true,
  } as const

  it('carries its client order id and its digits, and no parameter a spot market would refuse', async () => {
    const answer = await exchange.createOrder(request)
    expect(answer).toMatchObject({
      status: 'accepted',
      order: { clientOrderId: request.clientOrderId, status: 'open' },
    })
    expect(server.orders).toMatchObject([
      {
        clientOrderId: request.clientOrderId,
        type: 'STOP_LOSS',
        side: 'SELL',
        origQty: '0.12345000',
        stopPrice: '90.25000000',
      },
    ])
  })

  it.each([
    ['market', { type: 'market', stopPrice: null }, { type: 'MARKET', status: 'FILLED' }],
    ['limit', { type: 'limit', price: '101.5', stopPrice: null }, { type: 'LIMIT', price: '101.50000000' }],
    [
      'stop-limit',
      { type: 'stop_limit', price: '89.5' },
      { type: 'STOP_LOSS_LIMIT', stopPrice: '90.25000000', price: '89.50000000' },
    ],
    ['entering stop', { side: 'buy', reduceOnly: false, stopPrice: '120' }, { type: 'STOP_LOSS', side: 'BUY' }],
    ['take-profit', { type: 'take_profit', stopPrice: '120' }, { type: 'TAKE_PROFIT' }],
  ] as const)('may be a %s order', async (_what, changes, expected) => {
    server.lastPrice = '121.00'
    if ('stopPrice' in changes && changes.stopPrice === null) server.lastPrice = '100.00'
    expect(await exchange.createOrder({ ...request, ...changes })).toMatchObject({ status: 'accepted' })
    expect(server.orders).toMatchObject([expected])
  })

  it.each([
    ['would trigger at once', { stopPrice: '100.5' }, 'OrderImmediatelyFillable'],
    ['is of a type ccxt can not ask for', { type: 'trailing_stop' as const }, 'NotSupported'],
  ])('is refused when it %s', async (_why, changes, reason) => {
    expect(await exchange.createOrder({ ...request, ...changes })).toEqual({ status: 'refused', reason })
    expect(server.orders).toEqual([])
  })

  it.each([
    ['the connection breaks', 'hang-up', true],
    [
      'the venue says that it does not know',
      {
        status: 504,
        body: {
          code: -1007,
          msg: 'Timeout waiting for response from backend server. Send status unknown; execution status unknown.',
        },
      },
      true,
    ],
    ['the venue is overloaded', { status: 503, body: {} }, false],
  ] as const)('is of unknown fate, so it throws, when %s', async (_why, fault, after) => {
    await venue.loadMarkets()
    server.fault = (method) => (method === 'POST' ? { fault, after } : undefined)
    await expect(exchange.createOrder(request)).rejects.toMatchObject({ code: 'EXCHANGE_ERROR' })
    expect(server.orders).toHaveLength(after ? 1 : 0)
  })
})

describe('a cancel', () => {
  it('works by either id', async () => {
    const first = server.place({ clientOrderId: 'a', side: 'BUY', origQty: '1.00000000' })
    server.place({ clientOrderId: 'b', side: 'BUY', origQty: '1.00000000' })
    expect(await exchange.cancelOrder(reference({ exchangeOrderId: String(first.orderId) }))).toMatchObject({
      status: 'found',
    })
    expect(await exchange.cancelOrder(reference({ clientOrderId: 'b' }))).toMatchObject({ status: 'found' })
    expect(server.orders.map((each) => each.status)).toEqual(['CANCELED', 'CANCELED'])
  })

  it('of what is gone already finds nothing to cancel', async () => {
    expect(await exchange.cancelOrder(reference({ exchangeOrderId: '4711' }))).toEqual({ status: 'not-found' })
  })
})

describe('a recovery over ccxt', () => {
  const intent = stop({ state: 'intent', exchangeOrderId: null, quantity: '2' })

  it('places a missing stop once, across runs', async () => {
    const store = new MemoryStore({ positions: [position({ stopOrderId: null, quantity: '0.5' })] })
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'recovered', counts: { stopsPlaced: 1 } })
    expect(await reconcile(store, ccxtExchange(venue))).toMatchObject({ outcome: 'clean' })
    expect(server.orders).toMatchObject([
      {
        clientOrderId: stopOrderId('BTC-1', OPENED_AT, 1),
        origQty: '0.50000000',
        stopPrice: '90.00000000',
        status: 'NEW',
      },
    ])
  })

  it('finds the stop whose answer was lost', async () => {
    await venue.loadMarkets()
    let isLost = false
    server.fault = (method) => {
      if (method !== 'POST' || isLost) return undefined
      isLost = true
      return { fault: 'hang-up', after: true }
    }
    const store = new MemoryStore({ positions: [position({ stopOrderId: null })] })
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'recovered' })
    expect(server.requested('POST', '/api/v3/order')).toBe(1)
    expect([...store.documents.orders.values()]).toMatchObject([{ state: 'open' }])
  })

  it('closes a position that was stopped out, to the last digit', async () => {
    const placed = server.place({
      clientOrderId: 'stop-1',
      side: 'SELL',
      origQty: '2.00000000',
      type: 'STOP_LOSS',
      stopPrice: '90.00000000',
    })
    server.fill(placed, '0.30000000', '89.97000000', '0.02699100')
    server.fill(placed, '1.70000000', '89.96000000', '0.15293200')
    const store = new MemoryStore({ positions: [position()], orders: [intent] })
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'recovered', counts: { fillsImported: 2 } })
    expect([...store.documents.trades.values()]).toMatchObject([
      // 0.3 × 89.97 + 1.7 × 89.96 − 2 × 100
      { pnl: '-20.077', fees: '0.179923', quantity: '2', exitReason: 'stop' },
    ])
    expect(store.documents.orders.get('stop-1')).toMatchObject({
      state: 'filled',
      exchangeOrderId: String(placed.orderId),
    })
  })

  it('changes nothing while the venue is down', async () => {
    const store = new MemoryStore({
      positions: [position()],
      orders: [stop(), order({ state: 'intent', exchangeOrderId: null })],
    })
    const before = structuredClone(store.documents)
    server.fault = () => ({ fault: { status: 503, body: {} } })
    const report = await reconcile(store, exchange, { queryAttempts: 1, onUnknownIntent: 'resubmit' })
    expect(report.outcome).toBe('unresolved')
    expect(store.documents).toEqual(before)
  })

  it('reports orders placed by hand, on every symbol if asked to', async () => {
    server.place({ clientOrderId: 'web_1', side: 'BUY', origQty: '1.00000000', symbol: 'ETHUSDT' })
    venue.options.warnOnFetchOpenOrdersWithoutSymbol = false
    const all: CcxtExchangeOptions = { listAllOpenOrders: true }
    expect((await reconcile(new MemoryStore(), ccxtExchange(venue, all))).foreignOrders).toMatchObject([
      { symbol: 'ETH/USDT', clientOrderId: 'web_1' },
    ])
    expect((await reconcile(new MemoryStore(), exchange)).foreignOrders).toEqual([])
  })
})

describe('the types', () => {
  it('take any ccxt instance without importing ccxt', () => {
    expectTypeOf<binance>().toExtend<CcxtInstance>()
  })
})
