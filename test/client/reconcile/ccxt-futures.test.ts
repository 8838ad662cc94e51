/** The real ccxt package against a server on 127.0.0.1 that speaks Binance's futures REST interface. */
import { binanceusdm } from 'ccxt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ccxtExchange } from '../../../src/client/reconcile/ccxt-exchange.ts'
import { stopOrderId } from '../../../src/client/reconcile/deterministic-id.ts'
import type { Exchange } from '../../../src/client/reconcile/exchange.ts'
import { reconcile } from '../../../src/client/reconcile/reconcile.ts'
import { BinanceFuturesServer } from './binance-futures-server.ts'
import { OPENED_AT, position } from './decision-fixtures.ts'
import { API_KEY, API_SECRET } from './loopback-server.ts'
import { MemoryStore } from './memory-store.ts'

const SWAP = 'BTC/USDT:USDT'
const firstStop = stopOrderId('BTC-1', OPENED_AT, 1)

let server: BinanceFuturesServer
let venue: binanceusdm
let exchange: Exchange
let store: MemoryStore

beforeEach(async () => {
  server = await new BinanceFuturesServer().start()
  venue = new binanceusdm({
    apiKey: API_KEY,
    secret: API_SECRET,
    enableRateLimit: false,
    options: { fetchMarkets: { types: ['linear'] }, fetchCurrencies: false },
  })
  for (const name of Object.keys(venue.urls.api)) {
    venue.urls.api[name] = `${server.url}/fapi/${name.endsWith('V3') ? 'v3' : 'v1'}`
  }
  exchange = ccxtExchange(Object.assign(venue, { number: String }))
  store = new MemoryStore({ positions: [position({ symbol: SWAP, stopOrderId: null })] })
  server.positionAmt = '2.000'
})

afterEach(async () => {
  await venue.close()
  await server.stop()
})

describe('positions', () => {
  it('are held by side', async () => {
    expect(await exchange.fetchPosition?.(SWAP, 'long')).toMatchObject({
      status: 'found',
      value: { quantity: '2' },
    })
    expect(await exchange.fetchPosition?.(SWAP, 'short')).toEqual({ status: 'not-found' })
    server.positionAmt = '-0.500'
    expect(await exchange.fetchPosition?.(SWAP, 'short')).toMatchObject({ value: { quantity: '0.5' } })
    server.positionAmt = '0'
    expect(await exchange.fetchPosition?.(SWAP, 'long')).toEqual({ status: 'not-found' })
  })
})

describe('a stop that the venue keeps in a list of its own', () => {
  it('is placed once, reducing only, and found again by the next run', async () => {
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'recovered', unresolved: [] })
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'clean' })
    expect(server.algoOrders).toMatchObject([
      {
        clientAlgoId: firstStop,
        orderType: 'STOP_MARKET',
        side: 'SELL',
        quantity: '2',
        triggerPrice: '90',
        reduceOnly: true,
      },
    ])
  })

  it('is found by its client order id when the answer was lost', async () => {
    await venue.loadMarkets()
    server.fault = (method) => (method === 'POST' ? { fault: 'hang-up', after: true } : undefined)
    expect(await reconcile(store, exchange)).toMatchObject({ outcome: 'recovered' })
    expect(server.requested('POST', '/fapi/v1/algoOrder')).toBe(1)
    expect(store.documents.orders.get(firstStop)).toMatchObject({ state: 'open' })
  })

  it('is canceled to be moved', async () => {
    await reconcile(store, exchange)
    server.lastPrice = '120.0'
    expect(await reconcile(store, exchange, { trailingStopPercent: '5' })).toMatchObject({ outcome: 'recovered' })
    expect(server.algoOrders.map((each) => [each.algoStatus, each.triggerPrice])).toEqual([
      ['CANCELED', '90'],
      ['NEW', '114'],
    ])
  })

  it('is followed to the order it became when it was triggered', async () => {
    await reconcile(store, exchange)
    const [algo] = server.algoOrders
    if (algo !== undefined) server.trigger(algo, '89.90')
    const report = await reconcile(store, ccxtExchange(venue))
    expect(report).toMatchObject({ outcome: 'recovered', counts: { positionsClosed: 1, fillsImported: 1 } })
    expect([...store.documents.trades.values()]).toMatchObject([{ pnl: '-20.2', fees: '0.05', exitReason: 'stop' }])
    expect(store.documents.orders.get(firstStop)).toMatchObject({ state: 'filled' })
  })
})
