/**
 * Bars or ticks into bars of a longer interval: open first, high max, low min, close last, volume sum; `vwap` is the mean
 * price weighted by volume, of bars that don't have it taken from (high + low + close) / 3. NaN counts as no value, and a
 * bucket without a point has no bar.
 */
import type { SeriesColumn } from '../../protocol/series.ts'
import { type BucketSpec, bucketStart, nextBucket } from '../../schema/interval.ts'
import { decimalValue } from './block.ts'
import { lowerBound, PointBuffer } from './point-buffer.ts'

const OUTPUT = ['open', 'high', 'low', 'close', 'volume', 'vwap'] as const
export const RESAMPLED_COLUMNS: readonly SeriesColumn[] = OUTPUT.map((name) => ({ name, type: 'number' }))
const [OPEN, HIGH, LOW, CLOSE, VOLUME, VWAP] = [0, 1, 2, 3, 4, 5] as const

/** Where a kind has what a bar is made of. */
export interface BarSource {
  readonly open: string
  readonly high: string
  readonly low: string
  readonly close: string
  readonly volume: string
  /** Null: the typical price. */
  readonly price: string | null
}

export function sourceOf(kind: string, columns: readonly SeriesColumn[]): BarSource | undefined {
  const names = columns.map(({ name }) => name)
  const hasAll = (needed: readonly string[]) => needed.every((name) => names.includes(name))
  if (kind === 'ticks' && hasAll(['price', 'amount'])) {
    return { open: 'price', high: 'price', low: 'price', close: 'price', volume: 'amount', price: 'price' }
  }
  if (!hasAll(['open', 'high', 'low', 'close', 'volume'])) return undefined
  const price = names.includes('vwap') ? 'vwap' : null
  return { open: 'open', high: 'high', low: 'low', close: 'close', volume: 'volume', price }
}

export function neededColumns({ open, high, low, close, volume, price }: BarSource): string[] {
  const names = new Set([open, high, low, close, volume])
  if (price !== null) names.add(price)
  return [...names]
}

/** What a bar is made of, of the points at hand. */
interface Sources {
  readonly open: Float64Array
  readonly high: Float64Array
  readonly low: Float64Array
  readonly close: Float64Array
  readonly volume: Float64Array
  readonly price: Float64Array | undefined
}

/** A bar under way. */
interface Bar {
  open: number
  high: number
  low: number
  close: number
  volume: number
  weighted: number
  weight: number
}

export class Resampler {
  readonly #bucket: BucketSpec
  readonly #source: BarSource
  readonly bars = new PointBuffer(RESAMPLED_COLUMNS)
  #bar = emptyBar()
  #end = Number.NEGATIVE_INFINITY

  constructor(bucket: BucketSpec, source: BarSource) {
    this.#bucket = bucket
    this.#source = source
  }

  /** Points behind all before. */
  add(points: PointBuffer): void {
    const read = (name: string) => numbersOf(points, name)
    const { open, high, low, close, volume, price } = this.#source
    const sources: Sources = {
      open: read(open),
      high: read(high),
      low: read(low),
      close: read(close),
      volume: read(volume),
      price: price === null ? undefined : read(price),
    }
    const { ts, length } = points
    let at = 0
    while (at < length) {
      if ((ts[at] as number) >= this.#end) this.#begin(ts[at] as number)
      const end = endOfBucket(ts, at, length, this.#end)
      if (!foldNumbers(sources, at, end, this.#bar)) foldAny(sources, at, end, this.#bar)
      this.#write()
      at = end
    }
  }

  #begin(ts: number): void {
    const start = bucketStart(this.#bucket, ts)
    this.#end = nextBucket(this.#bucket, start)
    this.#bar = emptyBar()
    this.bars.reserve(1)
    this.bars.ts[this.bars.length] = start
    this.bars.length += 1
  }

  #write(): void {
    const at = this.bars.length - 1
    const { open, high, low, close, volume, weighted, weight } = this.#bar
    const values = this.bars.values as Float64Array[]
    ;(values[OPEN] as Float64Array)[at] = open
    ;(values[HIGH] as Float64Array)[at] = high
    ;(values[LOW] as Float64Array)[at] = low
    ;(values[CLOSE] as Float64Array)[at] = close
    ;(values[VOLUME] as Float64Array)[at] = volume
    ;(values[VWAP] as Float64Array)[at] = weight === 0 ? Number.NaN : weighted / weight
  }
}

function emptyBar(): Bar {
  const none = Number.NaN
  return { open: none, high: none, low: none, close: none, volume: 0, weighted: 0, weight: 0 }
}

/** The first point of `[at, length)` behind the bucket: looked for where it lies if points come evenly. */
function endOfBucket(ts: Float64Array, at: number, length: number, end: number): number {
  const step = at + 1 < length ? (ts[at + 1] as number) - (ts[at] as number) : 0
  const guess = step > 0 ? at + Math.ceil((end - (ts[at] as number)) / step) : length
  if (guess > at && guess < length && (ts[guess] as number) >= end && (ts[guess - 1] as number) < end) return guess
  return at + lowerBound(ts.subarray(at, length), end)
}

/**
 * Adds points to a bar as if none of their values were NaN. A sum that a NaN went into is NaN, so what has been folded
 * tells whether that was so.
 *
 * @returns false when it was not, or may not have been; then the bar is as it was
 */
function foldNumbers(
  { open: opens, high: highs, low: lows, close: closes, volume: volumes, price: prices }: Sources,
  at: number,
  end: number,
  bar: Bar,
): boolean {
  // Of points that all count, the weight is the volume.
  if (bar.weight !== bar.volume) return false
  const open = Number.isNaN(bar.open) ? (opens[at] as number) : bar.open
  let high = Number.isNaN(bar.high) ? (highs[at] as number) : bar.high
  let low = Number.isNaN(bar.low) ? (lows[at] as number) : bar.low
  let { volume, weighted } = bar
  let seen = 0
  for (let index = at; index < end; index++) {
    const pointHigh = highs[index] as number
    const pointLow = lows[index] as number
    const amount = volumes[index] as number
    if (pointHigh > high) high = pointHigh
    if (pointLow < low) low = pointLow
    const typical = pointHigh + pointLow + (closes[index] as number)
    seen += typical
    volume += amount
    weighted += (prices === undefined ? typical / 3 : (prices[index] as number)) * amount
  }
  if (Number.isNaN(open + high + low + seen + volume + weighted)) return false
  bar.open = open
  bar.high = high
  bar.low = low
  bar.close = closes[end - 1] as number
  bar.volume = volume
  bar.weight = volume
  bar.weighted = weighted
  return true
}

/** NaN counts as no value. */
function foldAny({ open, high, low, close, volume, price }: Sources, at: number, end: number, bar: Bar): void {
  for (let index = at; index < end; index++) {
    const pointOpen = open[index] as number
    const pointHigh = high[index] as number
    const pointLow = low[index] as number
    const pointClose = close[index] as number
    const amount = volume[index] as number
    if (Number.isNaN(bar.open)) bar.open = pointOpen
    // A NaN in the bar gives way, a NaN in the point does not.
    if (!(pointHigh <= bar.high) && !Number.isNaN(pointHigh)) bar.high = pointHigh
    if (!(pointLow >= bar.low) && !Number.isNaN(pointLow)) bar.low = pointLow
    if (!Number.isNaN(pointClose)) bar.close = pointClose
    const weighed = price === undefined ? (pointHigh + pointLow + pointClose) / 3 : (price[index] as number)
    if (Number.isNaN(amount)) continue
    bar.volume += amount
    if (Number.isNaN(weighed)) continue
    bar.weighted += weighed * amount
    bar.weight += amount
  }
}

function numbersOf(points: PointBuffer, name: string): Float64Array {
  const values = points.values[points.columns.findIndex((column) => column.name === name)]
  return values instanceof Float64Array ? values : Float64Array.from(values ?? [], decimalValue)
}
