/**
 * Bars or ticks into bars of a longer interval: open first, high max, low min, close last, volume sum; `vwap` is the mean
 * price weighted by volume, of bars that don't have it taken from (high + low + close) / 3. NaN counts as no value, and a
 * bucket without a point has no bar.
 */
import type { SeriesColumn } from '../../protocol/series.ts'
import { type BucketSpec, bucketStart, nextBucket } from '../../schema/interval.ts'
import { decimalValue } from './block.ts'
import { PointBuffer } from './point-buffer.ts'

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

export class Resampler {
  readonly #bucket: BucketSpec
  readonly #source: BarSource
  readonly bars = new PointBuffer(RESAMPLED_COLUMNS)
  #end = Number.NEGATIVE_INFINITY
  #weighted = 0
  #weight = 0

  constructor(bucket: BucketSpec, source: BarSource) {
    this.#bucket = bucket
    this.#source = source
  }

  /** Points behind all before. */
  add(points: PointBuffer): void {
    const read = (name: string) => numbersOf(points, name)
    const { open: o, high: h, low: l, close: c, volume: v, price: p } = this.#source
    const [open, high, low, close, volume] = [read(o), read(h), read(l), read(c), read(v)]
    const price = p === null ? undefined : read(p)
    const { ts, length } = points
    let index = 0
    while (index < length) {
      if ((ts[index] as number) >= this.#end) this.#begin(ts[index] as number)
      const at = this.bars.length - 1
      const values = this.bars.values as Float64Array[]
      let barOpen = values[OPEN]?.[at] as number
      let barHigh = values[HIGH]?.[at] as number
      let barLow = values[LOW]?.[at] as number
      let barClose = values[CLOSE]?.[at] as number
      let barVolume = values[VOLUME]?.[at] as number
      let weighted = this.#weighted
      let weight = this.#weight
      const end = this.#end
      while (index < length && (ts[index] as number) < end) {
        const pointOpen = open[index] as number
        const pointHigh = high[index] as number
        const pointLow = low[index] as number
        const pointClose = close[index] as number
        const amount = volume[index] as number
        if (Number.isNaN(barOpen)) barOpen = pointOpen
        // A NaN in the bar gives way, a NaN in the point does not.
        if (!(pointHigh <= barHigh) && !Number.isNaN(pointHigh)) barHigh = pointHigh
        if (!(pointLow >= barLow) && !Number.isNaN(pointLow)) barLow = pointLow
        if (!Number.isNaN(pointClose)) barClose = pointClose
        const weighed = price === undefined ? (pointHigh + pointLow + pointClose) / 3 : (price[index] as number)
        if (!Number.isNaN(amount)) {
          barVolume += amount
          if (!Number.isNaN(weighed)) {
            weighted += weighed * amount
            weight += amount
          }
        }
        index += 1
      }
      ;(values[OPEN] as Float64Array)[at] = barOpen
      ;(values[HIGH] as Float64Array)[at] = barHigh
      ;(values[LOW] as Float64Array)[at] = barLow
      ;(values[CLOSE] as Float64Array)[at] = barClose
      ;(values[VOLUME] as Float64Array)[at] = barVolume
      ;(values[VWAP] as Float64Array)[at] = weight === 0 ? Number.NaN : weighted / weight
      this.#weighted = weighted
      this.#weight = weight
    }
  }

  #begin(ts: number): void {
    const start = bucketStart(this.#bucket, ts)
    this.#end = nextBucket(this.#bucket, start)
    this.#weighted = 0
    this.#weight = 0
    this.bars.reserve(1)
    const at = this.bars.length
    this.bars.ts[at] = start
    for (const values of this.bars.values as Float64Array[]) values[at] = Number.NaN
    ;(this.bars.values[VOLUME] as Float64Array)[at] = 0
    this.bars.length += 1
  }
}

function numbersOf(points: PointBuffer, name: string): Float64Array {
  const values = points.values[points.columns.findIndex((column) => column.name === name)]
  return values instanceof Float64Array ? values : Float64Array.from(values ?? [], decimalValue)
}
