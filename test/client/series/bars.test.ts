/** Bars through the public API, with real ones: what goes in comes out, whatever order and form it came in. */
import { describe, expect, test } from 'vitest'
import type { BarColumns } from '../../../src/index.ts'
import { btcBars } from '../../data/btc-bars.ts'
import { openSharedStore } from '../fixtures/temp-store.ts'

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
