import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInterval } from '../../../src/schema/interval.ts'
import { PointBuffer } from '../../../src/worker/series/point-buffer.ts'
import { type BarSource, neededColumns, Resampler, sourceOf } from '../../../src/worker/series/resample.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const BARS = sourceOf('bars', namesToColumns(['open', 'high', 'low', 'close', 'volume'])) as BarSource
const BARS_WITH_VWAP = sourceOf('bars', namesToColumns(['open', 'high', 'low', 'close', 'volume', 'vwap'])) as BarSource
const TICKS = sourceOf('ticks', namesToColumns(['price', 'amount'])) as BarSource

type Row = Readonly<Record<string, number>> & { readonly ts: number }

function namesToColumns(names: readonly string[]) {
  return names.map((name) => ({ name, type: 'number' }) as const)
}

/** Resamples to hours what comes in pieces that end at `cuts`. */
function resampled(source: BarSource, rows: readonly Row[], cuts: readonly number[]): Row[] {
  const names = neededColumns(source)
  const bucket = parseInterval('1h')
  if (bucket === undefined) throw new Error('no interval')
  const resampler = new Resampler(bucket, source)
  let start = 0
  for (const end of [...cuts, rows.length]) {
    const piece = rows.slice(start, end)
    const points = new PointBuffer(namesToColumns(names))
    const values = names.map((name) => Float64Array.from(piece, (row) => row[name] as number))
    points.append({ ts: Float64Array.from(piece, ({ ts }) => ts), values }, 0, piece.length)
    resampler.add(points)
    start = Math.max(start, end)
  }
  const { ts, values } = resampler.bars.points()
  return Array.from(ts, (time, index) => {
    const row: Record<string, number> = { ts: time }
    for (const [column, { name }] of resampler.bars.columns.entries()) row[name] = values[column]?.[index] as number
    return row as Row
  })
}

/** The same as one would write it down. */
function expected({ open, high, low, close, volume, price }: BarSource, rows: readonly Row[]): Row[] {
  const bars: Row[] = []
  for (const start of new Set(rows.map(({ ts }) => Math.floor(ts / HOUR_MS) * HOUR_MS))) {
    const inside = rows.filter(({ ts }) => ts >= start && ts < start + HOUR_MS)
    const numbers = (name: string) => inside.map((row) => row[name] as number).filter((value) => !Number.isNaN(value))
    let volumeSum = 0
    let weighted = 0
    let weight = 0
    for (const row of inside) {
      const amount = row[volume] as number
      const typical = ((row[high] as number) + (row[low] as number) + (row[close] as number)) / 3
      const weighed = price === null ? typical : (row[price] as number)
      if (Number.isNaN(amount)) continue
      volumeSum += amount
      if (Number.isNaN(weighed)) continue
      weighted += weighed * amount
      weight += amount
    }
    bars.push({
      ts: start,
      open: numbers(open)[0] ?? Number.NaN,
      high: numbers(high).reduce((most, value) => (value > most ? value : most), numbers(high)[0] ?? Number.NaN),
      low: numbers(low).reduce((least, value) => (value < least ? value : least), numbers(low)[0] ?? Number.NaN),
      close: numbers(close).at(-1) ?? Number.NaN,
      volume: volumeSum,
      vwap: weight === 0 ? Number.NaN : weighted / weight,
    })
  }
  return bars
}

const number = fc.oneof(
  { weight: 30, arbitrary: fc.double({ min: -1_000, max: 1_000, noNaN: true }) },
  { weight: 2, arbitrary: fc.constant(Number.NaN) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e308, -1e308) },
)
const plainNumber = fc.double({ min: -1_000, max: 1_000, noNaN: true })
const steps = fc.oneof(
  fc.constant(MINUTE_MS),
  fc.constantFrom(0, 1, 7 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS + 1),
  fc.nat(2 * HOUR_MS),
)

function rowsOf(source: BarSource): fc.Arbitrary<Row[]> {
  const names = neededColumns(source)
  const values = (value: fc.Arbitrary<number>) => fc.array(value, { minLength: names.length, maxLength: names.length })
  const points = (value: fc.Arbitrary<number>) =>
    fc.oneof(
      fc.array(fc.tuple(fc.constant(MINUTE_MS), values(value)), { maxLength: 300 }),
      fc.array(fc.tuple(steps, values(value)), { maxLength: 100 }),
    )
  return fc
    .tuple(fc.integer({ min: -HOUR_MS, max: 1e12 }), fc.oneof(points(plainNumber), points(number)))
    .map(([first, found]) => {
      let ts = first
      return found.map(([step, numbers]) => {
        ts += step
        return { ts, ...Object.fromEntries(names.map((name, column) => [name, numbers[column] as number])) } as Row
      })
    })
}

describe('resampling', () => {
  it.each([
    ['bars', BARS],
    ['bars with a mean price', BARS_WITH_VWAP],
    ['ticks', TICKS],
  ])('of %s gives each bucket what its points say, wherever they are cut and whatever they hold', (_, source) => {
    fc.assert(
      fc.property(rowsOf(source), fc.array(fc.nat(300), { maxLength: 4 }), (rows, places) => {
        const cuts = places.map((place) => Math.min(place, rows.length)).sort((a, b) => a - b)
        expect(resampled(source, rows, cuts)).toEqual(expected(source, rows))
      }),
      { numRuns: 300 },
    )
  })

  it('takes the numbers that are there where others are NaN', () => {
    const none = Number.NaN
    const rows: Row[] = [
      { ts: 0, open: none, high: none, low: 3, close: 5, volume: none },
      { ts: 1, open: 4, high: 6, low: none, close: none, volume: 2 },
      { ts: 2, open: 9, high: 5, low: 4, close: 3, volume: 1 },
    ]
    expect(resampled(BARS, rows, [1])).toEqual([{ ts: 0, open: 4, high: 6, low: 3, close: 3, volume: 3, vwap: 4 }])
  })
})
