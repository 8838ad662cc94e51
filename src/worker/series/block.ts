/**
 * A block: the encoded columns of many points, and beside them what is asked most, so that a query can pass over the
 * points. Format 1 of `data`: a byte 1, the number of columns with the time (u8), the length of each in bytes (u32), then
 * the columns, the time first. `stats` holds six doubles a column: min, max and sum of its numbers, how many they are, the
 * first and the last of them.
 *
 * All but the sums are exact; sums are compensated (A. Neumaier, ZAMM 54, 1974), so that adding blocks up loses nothing
 * that adding points up would keep.
 */
import type { ColumnValues, Points, SeriesColumn } from '../../protocol/series.ts'
import { decodeColumn, encodeColumn } from './codec/column-codec.ts'
import { DamagedColumnError } from './codec/damaged-column.ts'
import { decodeTexts, encodeTexts } from './codec/text-column.ts'
import type { PointBuffer } from './point-buffer.ts'

/** Measured in docs/decisions/0017-series-storage.md. */
export const BLOCK_POINTS = 4_096
const FORMAT = 1
const STATS_PER_COLUMN = 6

export interface EncodedBlock {
  readonly fromTs: number
  readonly toTs: number
  readonly count: number
  /** The longest time between two of its points. */
  readonly maxStep: number
  readonly stats: Uint8Array
  readonly data: Uint8Array
}

export interface ColumnStats {
  min: number
  max: number
  sum: number
  count: number
  first: number
  last: number
}

/** `points` are sorted and not empty. */
export function encodeBlock({ ts, values }: Points): EncodedBlock {
  const count = ts.length
  const parts = [encodeColumn(ts)]
  const stats = new Float64Array(values.length * STATS_PER_COLUMN)
  for (const [column, each] of values.entries()) {
    parts.push(each instanceof Float64Array ? encodeColumn(each) : encodeTexts(each))
    const { min, max, sum, count: numbers, first, last } = statsOf(each)
    stats.set([min, max, sum, numbers, first, last], column * STATS_PER_COLUMN)
  }
  let maxStep = 0
  for (let index = 1; index < count; index++) {
    const step = (ts[index] as number) - (ts[index - 1] as number)
    if (step > maxStep) maxStep = step
  }
  return {
    fromTs: ts[0] as number,
    toTs: ts[count - 1] as number,
    count,
    maxStep,
    stats: new Uint8Array(stats.buffer),
    data: joined(parts),
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const head = 2 + parts.length * 4
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, head))
  const view = new DataView(data.buffer)
  data[0] = FORMAT
  data[1] = parts.length
  let at = head
  for (const [index, part] of parts.entries()) {
    view.setUint32(2 + index * 4, part.length, true)
    data.set(part, at)
    at += part.length
  }
  return data
}

function partsOf(data: Uint8Array, expected: number): Uint8Array[] {
  const count = data[1]
  if (data[0] !== FORMAT || count !== expected) throw new DamagedColumnError('it is no block')
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  let at = 2 + count * 4
  if (at > data.length) throw new DamagedColumnError('a block ends early')
  const parts: Uint8Array[] = []
  for (let index = 0; index < count; index++) {
    const length = view.getUint32(2 + index * 4, true)
    if (at + length > data.length) throw new DamagedColumnError('a block ends early')
    parts.push(data.subarray(at, at + length))
    at += length
  }
  if (at !== data.length) throw new DamagedColumnError('a block is too long')
  return parts
}

/**
 * Decodes the columns `wanted` of a block behind what `into` has.
 *
 * @throws DamagedColumnError when the bytes are not what `encodeBlock` made for these columns and this count
 */
export function decodeBlock(
  columns: readonly SeriesColumn[],
  wanted: readonly number[],
  { data, count }: { readonly data: Uint8Array; readonly count: number },
  into: PointBuffer,
): void {
  const [times, ...rest] = partsOf(data, columns.length + 1)
  const at = into.length
  into.reserve(count)
  assertCount(decodeColumn(times as Uint8Array, into.ts.subarray(0, at + count), at), count)
  for (const [target, column] of wanted.entries()) {
    const part = rest[column] as Uint8Array
    const values = into.values[target]
    if (values instanceof Float64Array) {
      assertCount(decodeColumn(part, values.subarray(0, at + count), at), count)
    } else {
      const texts = decodeTexts(part, count)
      assertCount(texts.length, count)
      for (const text of texts) values?.push(text)
    }
  }
  into.length = at + count
}

function assertCount(decoded: number, count: number): void {
  if (decoded !== count) throw new DamagedColumnError('it holds another number of values')
}

export function readStats(stats: Uint8Array, column: number): ColumnStats {
  const view = new DataView(stats.buffer, stats.byteOffset, stats.byteLength)
  const at = column * STATS_PER_COLUMN * 8
  if (at + STATS_PER_COLUMN * 8 > stats.length) throw new DamagedColumnError('its statistics end early')
  const read = (index: number) => view.getFloat64(at + index * 8, true)
  return { min: read(0), max: read(1), sum: read(2), count: read(3), first: read(4), last: read(5) }
}

export function statsOf(values: ColumnValues): ColumnStats {
  return values instanceof Float64Array ? numberStats(values) : numberStats(Float64Array.from(values, decimalValue))
}

/** Texts that are no numbers count as none. */
export function decimalValue(text: string): number {
  return text === '' ? Number.NaN : Number(text)
}

function numberStats(values: Float64Array): ColumnStats {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let count = 0
  let first = Number.NaN
  let last = Number.NaN
  let sum = 0
  let lost = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (Number.isNaN(value)) continue
    if (count === 0) first = value
    last = value
    count += 1
    if (value < min) min = value
    if (value > max) max = value
    const next = sum + value
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  // Of infinities the compensation is NaN.
  return { min, max, sum: Number.isFinite(sum) ? sum + lost : plainSum(values), count, first, last }
}

function plainSum(values: Float64Array): number {
  let sum = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (!Number.isNaN(value)) sum += value
  }
  return sum
}

/** Where to cut points into blocks: near `size` points each, and never between points of one time. */
export function blockCuts(ts: Float64Array, size = BLOCK_POINTS): number[] {
  const cuts: number[] = []
  const parts = Math.max(1, Math.ceil(ts.length / size))
  const each = Math.ceil(ts.length / parts)
  let at = 0
  while (at < ts.length) {
    let end = Math.min(ts.length, at + each)
    while (end < ts.length && ts[end] === ts[end - 1]) end += 1
    cuts.push(end)
    at = end
  }
  return cuts
}
