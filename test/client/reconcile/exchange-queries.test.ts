import { describe, expect, it } from 'vitest'
import { ExchangeQueries } from '../../../src/client/reconcile/exchange-queries.ts'
import { SYMBOL } from './decision-fixtures.ts'
import { PaperExchange } from './paper-exchange.ts'
import { TestClock } from './test-clock.ts'

const limits = { queryConcurrency: 2, queryTimeoutMs: 50, queryAttempts: 3 }

function setUp() {
  const exchange = new PaperExchange()
  const clock = new TestClock()
  return { exchange, clock, queries: new ExchangeQueries(exchange, limits, clock) }
}

describe('questions', () => {
  it('are put so many at a time, wave after wave', async () => {
    const { exchange, queries } = setUp()
    let active = 0
    let most = 0
    exchange.fetchLastPrice = async () => {
      active += 1
      most = Math.max(most, active)
      await new Promise((resolve) => setTimeout(resolve, 1))
      active -= 1
      return { status: 'not-found' }
    }
    for (let wave = 0; wave < 3; wave++) {
      await Promise.all(Array.from({ length: 7 }, () => queries.lastPrice(SYMBOL)))
    }
    expect(most).toBe(2)
    expect(queries.asked).toBe(21)
  })

  it('make room for the next one also when they fail', async () => {
    const { exchange, queries } = setUp()
    exchange.fails = () => true
    const results = await Promise.all(Array.from({ length: 5 }, () => queries.lastPrice(SYMBOL)))
    expect(results).toEqual(Array.from({ length: 5 }, () => ({ status: 'failed', code: 'EXCHANGE_ERROR' })))
    expect([queries.asked, queries.failed]).toEqual([15, 5])
  })

  it('that answer at the last attempt have answered', async () => {
    const { exchange, queries, clock } = setUp()
    exchange.prices.set(SYMBOL, '100.10')
    let left = 2
    exchange.fails = () => left-- > 0
    expect(await queries.lastPrice(SYMBOL)).toEqual({ status: 'found', value: '100.10' })
    expect(clock.slept).toEqual([100, 200])
    expect(queries.failed).toBe(0)
  })

  it('throw nothing, whatever an exchange does', async () => {
    const { exchange, queries } = setUp()
    exchange.fetchLastPrice = () => {
      throw new Error('synchronously')
    }
    expect(await queries.lastPrice(SYMBOL)).toMatchObject({ status: 'failed' })
    exchange.fetchOpenOrders = async () => 'orders' as never
    expect(await queries.openOrders(SYMBOL)).toMatchObject({ status: 'failed' })
    exchange.fetchOrder = async () => null as never
    const reference = { symbol: SYMBOL, clientOrderId: 'a', exchangeOrderId: null, type: null, createdAtMs: null }
    expect(await queries.order(reference)).toMatchObject({ status: 'failed' })
  })

  it.each([
    ['a negative quantity', { quantity: '-1' }],
    ['a price that is no number', { price: 'market' }],
    ['no side', { side: undefined }],
    ['a status nobody knows', { status: 'done' }],
  ])('are not answered by an order with %s', async (_what, changes) => {
    const { exchange, queries } = setUp()
    const order = {
      exchangeOrderId: '1',
      symbol: SYMBOL,
      side: 'buy',
      status: 'open',
      quantity: '1',
      filledQuantity: '0',
    }
    exchange.fetchOpenOrders = async () => [{ ...order, ...changes } as never]
    expect(await queries.openOrders(SYMBOL)).toMatchObject({ status: 'failed' })
  })

  it('about the fills of one order drop those of others', async () => {
    const { exchange, queries } = setUp()
    const id = exchange.rest({ clientOrderId: 'a', symbol: SYMBOL, side: 'buy', quantity: '1' })
    const other = exchange.rest({ clientOrderId: 'b', symbol: SYMBOL, side: 'buy', quantity: '1' })
    exchange.fill(id, '1', '100', 1)
    exchange.fill(other, '1', '100', 1)
    exchange.fetchFills = async () => exchange.fills
    const result = await queries.fills({ symbol: SYMBOL, exchangeOrderId: id, sinceMs: null })
    expect(result).toMatchObject({ status: 'found', value: [{ exchangeOrderId: id }] })
  })
})
