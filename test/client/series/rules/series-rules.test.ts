/** Retention and downsampling: what a rule keeps, what it makes of the rest, and that a run may end anywhere. */
import { describe, expect, test } from 'vitest'
import type { SeriesRule } from '../../../../src/index.ts'
import { btcBars } from '../../../data/btc-bars.ts'
import { codeOf, failureOf, openSharedStore, openTempStore } from '../../fixtures/temp-store.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const START = Date.UTC(2024, 0, 1)
const real = btcBars()
const shared = await openSharedStore()

function minutes(count: number, start = START) {
  const column = (at: (i: number) => number) => Float64Array.from({ length: count }, (_, i) => at(i))
  return {
    ts: column((i) => start + i * MINUTE),
    open: column((i) => 100 + i),
    high: column((i) => 101 + i),
    low: column((i) => 99 + i),
    close: column((i) => 100.5 + i),
    volume: column(() => 2),
  }
}

describe('keep 1m for 45 days, 1h for ever', () => {
  test('makes the hours of the real bars that resample makes, and then deletes their minutes', async () => {
    const store = await openTempStore()
    await store.bars.append('BTC/USDT', '1m', real)
    const hours = await store.bars.resample('BTC/USDT', { from: '1m', to: '1h' })
    await store.seriesRules.set('minutes', { kind: 'bars', interval: '1m', keep: '10d', downsample: ['1h'] })
    const nowMs = (real.ts.at(-1) as number) + MINUTE
    const cutoffTs = Math.floor((nowMs - 10 * DAY) / HOUR) * HOUR
    const [result] = await store.seriesRules.apply({ nowMs })
    const old = hours.ts.filter((ts) => ts < cutoffTs).length
    const gone = real.ts.filter((ts) => ts < cutoffTs).length
    expect(result).toEqual({
      rule: 'minutes',
      kind: 'bars',
      symbol: 'BTC/USDT',
      interval: '1m',
      cutoffTs,
      deleted: gone,
      barsWritten: old,
      barsKept: 0,
      error: null,
    })
    const kept = await store.bars.range('BTC/USDT', '1m')
    expect(kept.ts).toEqual(real.ts.subarray(gone))
    const made = await store.bars.range('BTC/USDT', '1h')
    for (const name of ['ts', 'open', 'high', 'low', 'close', 'volume'] as const) {
      expect(made[name]).toEqual(hours[name].subarray(0, old))
    }
  })

  test('changes nothing when it is run again, and goes on with time', async () => {
    const store = await openTempStore()
    await store.bars.append('A', '1m', minutes(600))
    await store.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '2h', downsample: ['1h'] })
    const nowMs = START + 6.5 * HOUR
    expect(await store.seriesRules.apply({ nowMs })).toMatchObject([{ deleted: 240, barsWritten: 4 }])
    expect(await store.seriesRules.apply({ nowMs })).toMatchObject([{ deleted: 0, barsWritten: 0 }])
    expect(await store.seriesRules.apply({ nowMs: nowMs + HOUR })).toMatchObject([{ deleted: 60, barsWritten: 1 }])
    expect((await store.bars.range('A', '1h')).ts).toHaveLength(5)
  })

  test('makes several intervals, and never part of the longest', async () => {
    const store = await openTempStore()
    await store.bars.append('A', '1m', minutes(3 * 1_440))
    await store.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '12h', downsample: ['5m', '1h', '1d'] })
    await store.seriesRules.apply({ nowMs: START + 2.75 * DAY })
    expect((await store.bars.info('A', '1m'))?.firstTs).toBe(START + 2 * DAY)
    expect((await store.bars.info('A', '5m'))?.count).toBe(576)
    expect((await store.bars.info('A', '1h'))?.count).toBe(48)
    expect((await store.bars.range('A', '1d')).toRows()).toMatchObject([
      { ts: START, open: 100, high: 1_540, low: 99, close: 1_539.5, volume: 2_880 },
      { ts: START + DAY, volume: 2_880 },
    ])
  })

  test('leaves a bar that is there as it is; a late point of its bucket is dropped, one of a gap becomes a bar', async () => {
    const store = await openTempStore()
    const own = { ts: START, open: 1, high: 2, low: 0.5, close: 1.5, volume: 9 }
    await store.bars.append('A', '1h', [own])
    await store.bars.append('A', '1m', minutes(60))
    await store.bars.append('A', '1m', minutes(60, START + 2 * HOUR))
    await store.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '1h', downsample: ['1h'] })
    const nowMs = START + 5 * HOUR
    expect(await store.seriesRules.apply({ nowMs })).toMatchObject([{ barsWritten: 1, barsKept: 1, deleted: 120 }])
    await store.bars.append('A', '1m', [
      { ts: START + 30 * MINUTE, open: 7, high: 7, low: 7, close: 7, volume: 7 },
      { ts: START + HOUR, open: 8, high: 8, low: 8, close: 8, volume: 8 },
    ])
    expect(await store.seriesRules.apply({ nowMs })).toMatchObject([{ barsWritten: 1, barsKept: 1, deleted: 2 }])
    expect((await store.bars.range('A', '1h')).toRows()).toMatchObject([
      own,
      { ts: START + HOUR, open: 8 },
      { volume: 120 },
    ])
    expect(await store.bars.info('A', '1m')).toBeNull()
  })
})

describe('points that come while a rule is at work', () => {
  test('are there, or part of their bar, and none is counted twice', async () => {
    const store = await openTempStore({ maintenance: false })
    const hours = 24 * 40
    // Every second minute first, the others while the rule runs.
    const half = (odd: number) => {
      const all = minutes(hours * 60)
      return Object.fromEntries(
        Object.entries(all).map(([name, values]) => [name, values.filter((_, i) => i % 2 === odd)]),
      ) as typeof all
    }
    await store.bars.append('A', '1m', half(0))
    await store.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '1d', downsample: ['1h'] })
    const nowMs = START + (hours + 24) * HOUR
    const applied = store.seriesRules.apply({ nowMs })
    const late = half(1)
    for (let i = 0; i < late.ts.length; i += 600) {
      await store.bars.append('A', '1m', slices(late, i, i + 600))
    }
    await applied
    const made = new Map((await store.bars.range('A', '1h')).toRows().map(({ ts, volume }) => [ts, volume / 2]))
    for (let hour = 0; hour < hours; hour += 1) {
      const from = START + hour * HOUR
      const { count } = await store.bars.aggregate('A', '1m', { from, to: from + HOUR })
      const inBar = made.get(from)
      if (inBar === undefined) expect(count).toBe(60)
      else {
        // A minute that comes behind the bar of its hour is dropped, by this run or the next; none is in both.
        expect(inBar).toBeGreaterThanOrEqual(30)
        expect(inBar + count).toBeLessThanOrEqual(60)
      }
    }
  })
})

function slices<T extends Record<string, Float64Array>>(columns: T, start: number, end: number): T {
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(start, end)])) as T
}

describe('rules', () => {
  test('of ticks make bars of them, with the mean price', async () => {
    const store = await openTempStore()
    const ticks = [
      { ts: START, price: 10, amount: 1, id: 'a' },
      { ts: START + 1_000, price: 12, amount: 3, id: 'b' },
      { ts: START + HOUR, price: 11, amount: 1, id: 'c' },
    ]
    await store.ticks.append('A', ticks)
    await store.seriesRules.set('t', { kind: 'ticks', keep: '30m', downsample: ['1m'] })
    expect(await store.seriesRules.apply({ nowMs: START + HOUR + MINUTE })).toMatchObject([
      { deleted: 2, barsWritten: 1 },
    ])
    expect((await store.bars.range('A', '1m')).toRows()).toEqual([
      { ts: START, open: 10, high: 12, low: 10, close: 12, volume: 4, vwap: 11.5 },
    ])
  })

  test('by number of rows keep the newest, of the series they name', async () => {
    const store = await openTempStore()
    for (const symbol of ['A', 'B']) await store.bars.append(symbol, '1m', minutes(3_000))
    await store.bars.append('A', '1h', minutes(10))
    await store.seriesRules.set('rows', { kind: 'bars', symbol: 'A', interval: '1m', maxRows: 1_234 })
    expect(await store.seriesRules.apply({ nowMs: START })).toMatchObject([{ symbol: 'A', deleted: 1_766 }])
    expect((await store.bars.range('A', '1m')).ts[0]).toBe(START + 1_766 * MINUTE)
    expect((await store.bars.info('B', '1m'))?.count).toBe(3_000)
    expect((await store.bars.info('A', '1h'))?.count).toBe(10)
  })

  test('of quotes, books and values delete by age', async () => {
    const store = await openTempStore()
    for (const ts of [START, START + DAY]) {
      await store.quotes.append('A', [{ ts, bid: 1, ask: 2 }])
      await store.series('signal.alpha').append([{ ts, value: 1 }])
      await store.books.append('A', { type: 'snapshot', ts, lastId: ts, bids: [['1', '1']], asks: [] })
    }
    for (const kind of ['quotes', 'values', 'books'] as const) await store.seriesRules.set(kind, { kind, keep: '12h' })
    expect(await store.seriesRules.apply({ nowMs: START + DAY, rules: ['quotes'] })).toMatchObject([{ deleted: 1 }])
    const results = await store.seriesRules.apply({ nowMs: START + DAY })
    expect(results.map(({ rule, deleted }) => [rule, deleted])).toEqual([
      ['books', 1],
      ['quotes', 0],
      ['values', 1],
    ])
    expect(await codeOf(store.books.at('A', START))).toBe('NOT_FOUND')
    expect((await store.books.at('A', START + DAY)).bids).toEqual([['1', '1']])
  })

  test('are listed, replaced and removed, and outlive the process', async () => {
    const store = await openTempStore()
    await store.seriesRules.set('a', { kind: 'bars', keep: '1d' })
    await store.seriesRules.set('a', { kind: 'ticks', maxRows: 5 })
    await store.seriesRules.set('b', { kind: 'quotes', keep: '2w' })
    await store.close()
    const again = await openTempStore({ dir: store.dir })
    expect(await again.seriesRules.list()).toEqual([
      { name: 'a', rule: { kind: 'ticks', maxRows: 5 } },
      { name: 'b', rule: { kind: 'quotes', keep: '2w' } },
    ])
    expect(await again.seriesRules.remove('a')).toBe(true)
    expect(await again.seriesRules.remove('a')).toBe(false)
    expect(await codeOf(again.seriesRules.apply({ rules: ['a'] }))).toBe('NOT_FOUND')
  })

  test('run with maintenance', async () => {
    const store = await openTempStore()
    await store.bars.append('A', '1m', minutes(120))
    await store.seriesRules.set('old', { kind: 'bars', keep: '1d', downsample: ['1h'], interval: '1m' })
    await store.maintain()
    expect(await store.bars.info('A', '1m')).toBeNull()
    expect((await store.bars.info('A', '1h'))?.count).toBe(2)
  })

  test('that one series refuses do not stop at it', async () => {
    const store = await openTempStore()
    await store.bars.append('A', '1m', minutes(60))
    await store.bars.append('B', '1m', minutes(60))
    await store.bars.append('A', '1h', [{ ts: START - DAY, open: 1, high: 1, low: 1, close: 1, volume: 1, trades: 7 }])
    await store.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '1h', downsample: ['1h'] })
    expect(await store.seriesRules.apply({ nowMs: START + DAY })).toMatchObject([
      { symbol: 'A', barsWritten: 1 },
      { symbol: 'B', barsWritten: 1 },
    ])
    expect((await store.bars.range('A', '1h')).toRows()[1]).toMatchObject({ trades: Number.NaN })
  })

  test.each<[string, object]>([
    ['nothing to keep by', { kind: 'bars' }],
    ['a kind that is none', { kind: 'candles', keep: '1d' }],
    ['a duration of months', { kind: 'bars', keep: '2M' }],
    ['a duration that is none', { kind: 'bars', keep: 'forever' }],
    ['bars of a shorter interval', { kind: 'bars', interval: '1h', keep: '1d', downsample: ['1m'] }],
    ['bars of the same interval', { kind: 'bars', interval: '1h', keep: '1d', downsample: ['1h'] }],
    ['bars that are not whole ones', { kind: 'bars', interval: '7m', keep: '1d', downsample: ['1h'] }],
    ['intervals that fall', { kind: 'bars', interval: '1m', keep: '1d', downsample: ['1d', '1h'] }],
    ['bars of an interval it does not name', { kind: 'bars', keep: '1d', downsample: ['1h'] }],
    ['bars of quotes', { kind: 'quotes', keep: '1d', downsample: ['1h'] }],
    ['no rows at all', { kind: 'bars', maxRows: 0 }],
    ['a word too many', { kind: 'bars', keep: '1d', unknown: 1 }],
  ])('are refused with %s', async (_, rule) => {
    const failure = await failureOf(shared.seriesRules.set('r', rule as SeriesRule))
    expect(failure.code).toBe('INVALID_ARGUMENT')
    expect(await shared.seriesRules.list()).toEqual([])
  })

  test('are not for a store that only reads', async () => {
    const store = await openTempStore()
    await store.seriesRules.set('r', { kind: 'bars', keep: '1d' })
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    expect(await reader.seriesRules.list()).toHaveLength(1)
    expect(await codeOf(reader.seriesRules.set('x', { kind: 'bars', keep: '1d' }))).toBe('READ_ONLY')
    expect(await codeOf(reader.seriesRules.apply())).toBe('READ_ONLY')
  })
})
