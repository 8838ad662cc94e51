/** Bars through the public API, with real ones: what goes in comes out, whatever order and form it came in. */
import { describe, expect, test } from 'vitest'
import type { BarColumns } from '../../../src/index.ts'
import { btcBars } from '../../data/btc-bars.ts'
import { codeOf, collect, failureOf, openSharedStore, openTempStore } from '../fixtures/temp-store.ts'

const store = await openSharedStore()
const real = btcBars()
const MINUTE = 60_000
let symbols = 0
/** A symbol that no other test uses. */
const newSymbol = () => `S-${++symbols}`

function slice(bars: BarColumns, start: number, end: number): BarColumns {
  const of = (values: ArrayLike<number>) => Float64Array.from(values).slice(start, end)
  return {
    ts: of(bars.ts),
    open: of(bars.open),
    high: of(bars.high),
    low: of(bars.low),
    close: of(bars.close),
    volume: of(bars.volume),
  }
}

const bar = (ts: number, close = 1) => ({ ts, open: 1, high: 2, low: 0.5, close, volume: 10 })

describe('append and range', () => {
  test('real bars come back as typed arrays, bit for bit', async () => {
    const symbol = newSymbol()
    expect(await store.bars.append(symbol, '1m', real)).toEqual({ points: real.ts.length, written: real.ts.length })
    const found = await store.bars.range(symbol, '1m')
    expect({ ...found }).toEqual({ ...real })
    expect(found.ts).toBeInstanceOf(Float64Array)
    expect(found.length).toBe(real.ts.length)
  })

  test('what is there already is not written again', async () => {
    const symbol = newSymbol()
    await store.bars.append(symbol, '1m', real)
    expect(await store.bars.append(symbol, '1m', real)).toMatchObject({ written: 0 })
    expect(await store.bars.append(symbol, '1m', slice(real, 30_000, 30_100))).toMatchObject({ written: 0 })
    expect(await store.bars.info(symbol, '1m')).toMatchObject({ count: real.ts.length, rows: 0 })
  })

  test('a later bar of the same time takes the place of the one before, in a block and in a row', async () => {
    const symbol = newSymbol()
    await store.bars.append(symbol, '1m', slice(real, 0, 5_000))
    const ts = real.ts[2_000] as number
    expect(await store.bars.append(symbol, '1m', [bar(ts, 7)])).toEqual({ points: 1, written: 1 })
    await store.bars.append(symbol, '1m', [bar(ts, 8)])
    const span = { from: ts - MINUTE, to: ts + 2 * MINUTE }
    expect((await store.bars.range(symbol, '1m', span)).close).toEqual(
      Float64Array.of(real.close[1_999] as number, 8, real.close[2_001] as number),
    )
    await store.bars.compact(symbol, '1m')
    expect((await store.bars.range(symbol, '1m', span)).close[1]).toBe(8)
    expect(await store.bars.info(symbol, '1m')).toMatchObject({ count: 5_000, rows: 0 })
  })
})

describe('input', () => {
  const ts = 60_000
  test('rows, arrays as of ccxt and columns are the same bars; further columns of numbers are kept', async () => {
    const [rows, arrays, columns] = [newSymbol(), newSymbol(), newSymbol()]
    await store.bars.append(rows, '1m', [bar(ts), bar(2 * ts, 3)])
    await store.bars.append(arrays, '1m', [
      [ts, 1, 2, 0.5, 1, 10],
      [2 * ts, 1, 2, 0.5, 3, 10],
    ])
    await store.bars.append(columns, '1m', {
      ts: [ts, 2 * ts],
      open: [1, 1],
      high: [2, 2],
      low: Float32Array.of(0.5, 0.5),
      close: ['1', '3'] as never,
      volume: [10, 10],
    })
    const expected = (await store.bars.range(rows, '1m')).toRows()
    expect(expected).toEqual([bar(ts), bar(2 * ts, 3)])
    for (const each of [arrays, columns]) expect((await store.bars.range(each, '1m')).toRows()).toEqual(expected)
    const wide = newSymbol()
    await store.bars.append(wide, '1m', [{ ...bar(ts), vwap: 1.5, trades: 3 }])
    expect((await store.bars.range(wide, '1m')).toRows()).toEqual([{ ...bar(ts), trades: 3, vwap: 1.5 }])
  })

  test.each([
    ['no rows at all', null],
    ['a row that is no object', [bar(ts), 7]],
    ['a time that is no number', [{ ...bar(ts), ts: 'yesterday' }]],
    ['a time beyond those of Date', [{ ...bar(ts), ts: 1e16 }]],
    ['a missing column', [{ ts, open: 1, high: 1, low: 1, close: 1 }]],
    ['a text', [{ ...bar(ts), close: 'high' }]],
    ['a column with a name that is taken', [{ ...bar(ts), toRows: 1 }]],
    ['columns of different lengths', { ts: [ts], open: [1, 2], high: [1], low: [1], close: [1], volume: [1] }],
    ['a bad row behind many good ones', [...Array.from({ length: 20_000 }, (_, n) => bar(n)), { ts }]],
  ])('%s: refused before anything is written', async (_, given) => {
    const symbol = newSymbol()
    expect(await codeOf(store.bars.append(symbol, '1m', given as never))).toBe('INVALID_ARGUMENT')
    expect(await store.bars.info(symbol, '1m')).toBeNull()
  })

  test('points of other columns than those of the series are refused, and others in the same turn are not', async () => {
    const symbol = newSymbol()
    await store.bars.append(symbol, '1m', [bar(ts)])
    const refused = store.bars.append(symbol, '1m', [{ ...bar(2 * ts), vwap: 1 }])
    const taken = store.bars.append(newSymbol(), '1m', [bar(ts)])
    expect((await failureOf(refused)).message).toContain('has the columns open, high, low, close, volume')
    expect(await taken).toMatchObject({ written: 1 })
    expect(await store.bars.info(symbol, '1m')).toMatchObject({ count: 1 })
  })

  test('a small input is copied before the call returns', async () => {
    const symbol = newSymbol()
    const columns = { ts: [ts], open: [1], high: [1], low: [1], close: Float64Array.of(5), volume: [1] }
    const appended = store.bars.append(symbol, '1m', columns)
    columns.close[0] = 9
    await appended
    expect((await store.bars.last(symbol, '1m', 1)).close).toEqual(Float64Array.of(5))
  })

  test('more than the queue may hold is refused, and flush waits for what it took', async () => {
    const small = await openTempStore({ queue: { maxQueueBytes: 100_000 } })
    const appended = small.bars.append('A', '1m', slice(real, 0, 2_000))
    expect(await codeOf(small.bars.append('B', '1m', slice(real, 0, 2_000)))).toBe('QUEUE_FULL')
    expect(small.stats().series).toMatchObject({ queuedAppends: 1 })
    await small.flush()
    expect(small.stats().series).toMatchObject({ queuedAppends: 0, queuedBytes: 0, durablePoints: 2_000 })
    expect(await appended).toMatchObject({ written: 2_000 })
  })

  test('beside its owner a store is read, not written', async () => {
    const owner = await openTempStore()
    await owner.bars.append('A', '1m', slice(real, 0, 600))
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    expect((await reader.bars.last('A', '1m', 5)).close).toEqual(slice(real, 595, 600).close)
    await owner.bars.append('A', '1m', slice(real, 600, 610))
    expect((await reader.bars.last('A', '1m', 5)).close).toEqual(slice(real, 605, 610).close)
    expect(await codeOf(reader.bars.append('A', '1m', [bar(ts)]))).toBe('READ_ONLY')
    expect(await codeOf(reader.bars.delete('A', '1m', { from: 0 }))).toBe('READ_ONLY')
  })
})

describe('what is asked of many bars', async () => {
  const symbol = 'many'
  await store.bars.append(symbol, '1m', real)
  const last = real.ts.length - 1

  test('a range is bounded, and says how to go on', async () => {
    const error = await failureOf(store.bars.range(symbol, '1m', { maxPoints: 45_000 }))
    expect(error.code).toBe('RESULT_TOO_LARGE')
    expect(error.message).toContain('scan')
    expect((await store.bars.range(symbol, '1m', { maxPoints: 45_000, limit: 45_000 })).length).toBe(45_000)
  })

  test('columns are chosen by name; one that is not there is an error', async () => {
    const { close, ...others } = await store.bars.range(symbol, '1m', { columns: ['close'], limit: 3 })
    expect({ close, ...others }).toEqual({ ts: slice(real, 0, 3).ts, close: slice(real, 0, 3).close })
    expect(await codeOf(store.bars.range(symbol, '1m', { columns: ['vwap'] }))).toBe('INVALID_ARGUMENT')
    // The time comes anyway, and may be named.
    expect(Object.keys(await store.bars.last(symbol, '1m', 1, { columns: ['ts', 'close'] }))).toEqual(['ts', 'close'])
    expect(Object.keys(await store.bars.range('NONE', '1m', { columns: ['ts', 'close'] }))).toEqual(['ts', 'close'])
  })

  test('a scan brings all of it in pieces', async () => {
    const pieces = await collect(store.bars.scan(symbol, '1m', { chunk: 10_000 }))
    expect(pieces.map(({ length }) => length)).toEqual([10_000, 10_000, 10_000, 10_000, real.ts.length - 40_000])
    expect(Float64Array.from(pieces.flatMap(({ volume }) => [...volume]))).toEqual(Float64Array.from(real.volume))
  })

  test.each([
    ['1h', 3_600_000, 0],
    ['4h', 14_400_000, 0],
    ['1w', 604_800_000, 345_600_000],
  ])('resampled to %s they are what a plain loop makes of them', async (to, size, origin) => {
    const bars = await store.bars.resample(symbol, { from: '1m', to })
    const expected = new Map<number, { o: number; h: number; l: number; c: number; v: number; w: number }>()
    for (let index = 0; index <= last; index++) {
      const [t, o, h, l, c, v] = ['ts', 'open', 'high', 'low', 'close', 'volume'].map(
        (name) => (real as unknown as Record<string, Float64Array>)[name]?.[index] as number,
      ) as [number, number, number, number, number, number]
      const start = origin + Math.floor((t - origin) / size) * size
      const made = expected.get(start)
      const w = ((h + l + c) / 3) * v
      if (made === undefined) expected.set(start, { o, h, l, c, v, w })
      else Object.assign(made, { h: Math.max(made.h, h), l: Math.min(made.l, l), c, v: made.v + v, w: made.w + w })
    }
    const rows = bars.toRows()
    expect(rows.map(({ ts }) => ts)).toEqual([...expected.keys()])
    expect(rows.map(({ open, high, low, close }) => [open, high, low, close])).toEqual(
      [...expected.values()].map(({ o, h, l, c }) => [o, h, l, c]),
    )
    for (const [index, { v, w }] of [...expected.values()].entries()) {
      expect(rows[index]?.volume).toBeCloseTo(v, 4)
      expect(rows[index]?.vwap).toBeCloseTo(w / v, 6)
    }
  })

  test('months and years are those of the calendar', async () => {
    const name = newSymbol()
    const days = ['2024-01-31', '2024-02-01', '2024-02-29', '2024-03-01', '2025-01-01'].map((day) => Date.parse(day))
    await store.bars.append(
      name,
      '1d',
      days.map((day, index) => bar(day, index)),
    )
    const months = await store.bars.resample(name, { from: '1d', to: '1M' })
    expect([...months.ts].map((ts) => new Date(ts).toISOString().slice(0, 10))).toEqual([
      '2024-01-01',
      '2024-02-01',
      '2024-03-01',
      '2025-01-01',
    ])
    expect((await store.bars.resample(name, { from: '1d', to: '1y' })).length).toBe(2)
    expect(await codeOf(store.bars.resample(name, { from: '1d', to: '36h' }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(store.bars.resample(name, { from: '1d', to: 'soon' }))).toBe('INVALID_ARGUMENT')
  })

  test('gaps are where bars are missing, also across blocks and rows', async () => {
    const name = newSymbol()
    const ts = (index: number) => real.ts[index] as number
    await store.bars.append(name, '1m', real)
    expect(await store.bars.gaps(name, '1m')).toEqual([])
    await store.bars.delete(name, '1m', { from: ts(100), to: ts(103) })
    await store.bars.delete(name, '1m', { from: ts(9_000), to: ts(20_000) })
    await store.bars.append(name, '1m', [bar(ts(101))])
    expect(await store.bars.gaps(name, '1m')).toEqual([
      { after: ts(99), before: ts(101), missing: 1 },
      { after: ts(101), before: ts(103), missing: 1 },
      { after: ts(8_999), before: ts(20_000), missing: 11_000 },
    ])
  })

  test('sums and extremes are those of the points, with and without corrections that wait to be merged', async () => {
    const name = newSymbol()
    await store.bars.append(name, '1m', real)
    const span = { from: real.ts[1_234] as number, to: real.ts[40_321] as number }
    const check = async (volume: Float64Array) => {
      const within = volume.slice(1_234, 40_321)
      const { columns, count } = await store.bars.aggregate(name, '1m', { ...span, columns: ['volume'] })
      expect(count).toBe(within.length)
      expect(columns.volume).toMatchObject({ min: Math.min(...within), max: Math.max(...within), first: within[0] })
      expect(columns.volume?.sum).toBeCloseTo(
        within.reduce((sum, each) => sum + each, 0),
        2,
      )
    }
    await check(Float64Array.from(real.volume))
    const corrected = Float64Array.from(real.volume)
    corrected[20_000] = 1e12
    await store.bars.append(name, '1m', [{ ...bar(real.ts[20_000] as number), volume: 1e12 }])
    await check(corrected)
  })

  test('a series without points is forgotten, and may come again with other columns', async () => {
    const name = newSymbol()
    await store.bars.append(name, '1m', slice(real, 0, 10))
    expect(await store.bars.delete(name, '1m', { from: Number.NEGATIVE_INFINITY })).toEqual({ deleted: 10 })
    expect(await store.bars.info(name, '1m')).toBeNull()
    expect((await store.bars.range(name, '1m')).close).toEqual(new Float64Array(0))
    expect((await store.bars.last(name, '1m', 3)).length).toBe(0)
    await store.bars.append(name, '1m', [{ ...bar(60_000), vwap: 1 }])
    expect(await store.bars.info(name, '1m')).toMatchObject({ count: 1 })
    expect(await codeOf(store.bars.delete(name, '1m', {}))).toBe('INVALID_ARGUMENT')
  })
})
