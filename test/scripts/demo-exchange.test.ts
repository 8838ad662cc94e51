import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compare, sum } from '../../scripts/demo/exact-decimal.ts'
import { isKillPoint, planKills } from '../../scripts/demo/exchange/kill-point.ts'
import { MatchingEngine } from '../../scripts/demo/exchange/matching-engine.ts'
import { splitQuantity } from '../../scripts/demo/exchange/split-quantity.ts'
import type { Bar } from '../../scripts/demo/market/bar.ts'
import { seededRandom } from '../../scripts/demo/seeded-random.ts'

const SYMBOL = 'BTC-PERP'

/** Bars of [open, high, low, close]. */
function engineOf(prices: readonly (readonly [number, number, number, number])[], seed = 1): MatchingEngine {
  const bars = prices.map(([open, high, low, close], index): Bar => {
    const texts = { open: `${open}.0`, high: `${high}.0`, low: `${low}.0`, close: `${close}.0` }
    return { index, openTime: index * 60_000, ...texts, volume: '1' }
  })
  return new MatchingEngine(new Map([[SYMBOL, bars]]), seed)
}

const QUIET = [100, 101, 99, 100] as const

function order(clientOrderId: string, rest: object) {
  const base = { clientOrderId, symbol: SYMBOL, quantity: '0.150', price: null, stopPrice: null, reduceOnly: false }
  return { ...base, side: 'buy', type: 'market', ...rest } as const
}

function stop(clientOrderId: string, stopPrice: string) {
  return order(clientOrderId, { side: 'sell', type: 'stop', stopPrice, reduceOnly: true })
}

function reference(clientOrderId: string) {
  return { symbol: SYMBOL, clientOrderId, exchangeOrderId: null, type: null, createdAtMs: null }
}

describe('the simulated exchange', () => {
  test('fills a market order at once, at the close and at most a few ticks above', () => {
    const engine = engineOf([QUIET])
    engine.advance({ symbol: SYMBOL, index: 0 })
    const answer = engine.createOrder(order('o-1', {}))
    expect(answer).toMatchObject({ status: 'accepted', order: { status: 'filled', filledQuantity: '0.15' } })
    const fills = engine.findFills({ symbol: SYMBOL, exchangeOrderId: 'BTCPERP-000001', sinceMs: null })
    expect(sum(fills.map((fill) => `${fill.quantity}`))).toBe('0.15')
    for (const { price } of fills) {
      expect(Number(price)).toBeGreaterThanOrEqual(100)
      expect(Number(price)).toBeLessThanOrEqual(104)
    }
    expect(engine.findPosition({ symbol: SYMBOL })).toMatchObject({ status: 'found', value: { quantity: '0.15' } })
  })

  test('is careless: an order that comes twice is two orders', () => {
    const engine = engineOf([QUIET])
    engine.advance({ symbol: SYMBOL, index: 0 })
    engine.createOrder(order('o-1', {}))
    engine.createOrder(order('o-1', {}))
    expect(engine.book().orders.map((each) => each.clientOrderId)).toEqual(['o-1', 'o-1'])
    expect(engine.findPosition({ symbol: SYMBOL })).toMatchObject({ value: { quantity: '0.3' } })
  })

  test('triggers a stop when the price reaches it, and fills it in this bar or the next', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const engine = engineOf([QUIET, QUIET, [99, 99, 90, 92], [93, 94, 92, 93], QUIET], seed)
      engine.advance({ symbol: SYMBOL, index: 0 })
      engine.createOrder(order('o-1', {}))
      engine.createOrder(stop('s-1', '95'))
      expect(engine.advance({ symbol: SYMBOL, index: 1 }).orders).toEqual([])
      const [triggered] = engine.advance({ symbol: SYMBOL, index: 2 }).orders
      expect(triggered?.fills[0]?.price).toBe('95')
      for (const { price } of triggered?.fills ?? []) expect(Number(price)).toBeGreaterThanOrEqual(90)
      const later = engine.advance({ symbol: SYMBOL, index: 3 }).orders
      expect(later.length).toBe(triggered?.order.status === 'filled' ? 0 : 1)
      if (later.length > 0) expect(later[0]?.fills.map((fill) => fill.price)).toEqual(['93.0'])
      expect(engine.findOrder(reference('s-1'))).toMatchObject({ value: { status: 'filled', filledQuantity: '0.15' } })
      expect(engine.findPosition({ symbol: SYMBOL }).status).toBe('not-found')
    }
  })

  test('fills a stop the market has jumped past at the open', () => {
    const engine = engineOf([QUIET, [80, 82, 79, 81], QUIET])
    engine.advance({ symbol: SYMBOL, index: 0 })
    engine.createOrder(order('o-1', {}))
    engine.createOrder(stop('s-1', '95'))
    expect(engine.advance({ symbol: SYMBOL, index: 1 }).orders[0]?.fills[0]?.price).toBe('80.0')
  })

  test('fills nothing of an order that was canceled', () => {
    const engine = engineOf([QUIET, [80, 82, 79, 81]])
    engine.advance({ symbol: SYMBOL, index: 0 })
    engine.createOrder(stop('s-1', '95'))
    expect(engine.cancelOrder(reference('s-1')).status).toBe('found')
    expect(engine.cancelOrder(reference('s-1')).status).toBe('not-found')
    expect(engine.advance({ symbol: SYMBOL, index: 1 }).orders).toEqual([])
  })

  test('answers a bar that is over from memory, and does not skip one', () => {
    const engine = engineOf([QUIET, [80, 82, 79, 81], QUIET])
    engine.advance({ symbol: SYMBOL, index: 0 })
    engine.createOrder(stop('s-1', '95'))
    expect(engine.advance({ symbol: SYMBOL, index: 1 }).orders).toHaveLength(1)
    expect(engine.advance({ symbol: SYMBOL, index: 1 }).orders).toEqual([])
    expect(() => engine.advance({ symbol: SYMBOL, index: 3 })).toThrow(RangeError)
    expect(engine.currentBar({ symbol: SYMBOL })).toBe(1)
    expect(engine.bars({ symbol: SYMBOL, from: -5, to: 9 }).map((bar) => bar.index)).toEqual([0, 1])
  })

  test('does the same to the same orders in every run', () => {
    const play = () => {
      const engine = engineOf([QUIET, [99, 99, 90, 92], [93, 94, 92, 93]], 7)
      engine.advance({ symbol: SYMBOL, index: 0 })
      engine.createOrder(order('o-1', {}))
      engine.createOrder(stop('s-1', '95'))
      engine.advance({ symbol: SYMBOL, index: 1 })
      engine.advance({ symbol: SYMBOL, index: 2 })
      return engine.book()
    }
    expect(play()).toEqual(play())
  })

  test('knows in how many bars a stop will be hit, if its owner would leave it alone until then', () => {
    const falling = engineOf([QUIET, [100, 100, 97, 98], [98, 99, 94, 95], QUIET])
    falling.advance({ symbol: SYMBOL, index: 0 })
    expect(falling.barsUntilTriggered(SYMBOL, '95')).toBe(2)
    expect(falling.barsUntilTriggered(SYMBOL, '90')).toBeNull()
    const rising = engineOf([QUIET, [100, 103, 97, 102], [98, 99, 94, 95], QUIET])
    rising.advance({ symbol: SYMBOL, index: 0 })
    expect(rising.barsUntilTriggered(SYMBOL, '95')).toBeNull()
  })
})

test('pieces of a quantity are whole lots and come to the whole', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.string(), (lots, seed) => {
      const quantity = (lots / 1_000).toFixed(3)
      const pieces = splitQuantity(quantity, '0.001', seededRandom(seed))
      expect(compare(sum(pieces), quantity)).toBe(0)
      expect(pieces.length).toBeLessThanOrEqual(4)
      for (const piece of pieces) {
        expect(Number(piece)).toBeGreaterThan(0)
        expect(piece).toMatch(/^\d+(\.\d{1,3})?$/)
      }
    }),
  )
})

describe('kill points', () => {
  const barsOf = new Map([
    [SYMBOL, 1_000],
    ['XRP/ETH', 500],
  ])

  test('are seeded, in the order of the run, of every kind', () => {
    const plan = planKills(6, 3, barsOf)
    expect(plan).toEqual(planKills(6, 3, barsOf))
    expect(plan).not.toEqual(planKills(6, 4, barsOf))
    expect(plan.map((point) => point.kind)).toEqual(['entry', 'cancel', 'stop', 'entry', 'cancel', 'stop'])
    const shares = plan.map(({ symbol, fromBar }) => fromBar / (barsOf.get(symbol) ?? 0))
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(Math.max(...shares)).toBeLessThan(0.9)
  })

  test('wait for their bar and their kind of request', () => {
    const engine = engineOf([QUIET, QUIET])
    engine.advance({ symbol: SYMBOL, index: 0 })
    const point = { kind: 'entry', symbol: SYMBOL, fromBar: 1 } as const
    expect(isKillPoint(point, 'createOrder', order('o-1', {}), engine)).toBe(false)
    engine.advance({ symbol: SYMBOL, index: 1 })
    expect(isKillPoint(point, 'createOrder', order('o-1', {}), engine)).toBe(true)
    expect(isKillPoint(point, 'findOrder', reference('o-1'), engine)).toBe(false)
    expect(isKillPoint(point, 'createOrder', stop('s-1', '95'), engine)).toBe(false)
    expect(isKillPoint({ ...point, kind: 'cancel' }, 'cancelOrder', reference('s-1'), engine)).toBe(true)
  })
})
