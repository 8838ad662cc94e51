/**
 * Points under way in the worker: columns that grow. Blocks are decoded straight into them, so that a large result is
 * written once and then handed to the other thread.
 */
import type { ColumnValues, Points, SeriesColumn } from '../../protocol/series.ts'

export type MutableValues = Float64Array | string[]

export class PointBuffer {
  readonly columns: readonly SeriesColumn[]
  ts: Float64Array
  values: MutableValues[]
  length = 0

  constructor(columns: readonly SeriesColumn[], capacity = 0) {
    this.columns = columns
    this.ts = new Float64Array(capacity)
    this.values = columns.map(({ type }) => (type === 'number' ? new Float64Array(capacity) : []))
  }

  /** Makes room for `more` points behind those there are. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.ts.length) return
    const capacity = Math.max(needed, Math.ceil(this.ts.length * 1.5))
    this.ts = grown(this.ts, this.length, capacity)
    for (let column = 0; column < this.values.length; column++) {
      const values = this.values[column] as MutableValues
      if (values instanceof Float64Array) this.values[column] = grown(values, this.length, capacity)
    }
  }

  /** Appends the points `[start, end)` of `from`, whose columns are the same. */
  append(from: Points, start: number, end: number): void {
    const count = end - start
    if (count <= 0) return
    this.reserve(count)
    this.ts.set(from.ts.subarray(start, end), this.length)
    for (const [column, source] of from.values.entries()) {
      const target = this.values[column] as MutableValues
      if (target instanceof Float64Array) target.set((source as Float64Array).subarray(start, end), this.length)
      else for (let index = start; index < end; index++) target.push((source as readonly string[])[index] as string)
    }
    this.length += count
  }

  appendOne(from: Points, index: number): void {
    if (this.length === this.ts.length) this.reserve(1)
    this.ts[this.length] = from.ts[index] as number
    for (let column = 0; column < this.values.length; column++) {
      const target = this.values[column] as MutableValues
      if (target instanceof Float64Array) target[this.length] = (from.values[column] as Float64Array)[index] as number
      else target.push((from.values[column] as readonly string[])[index] as string)
    }
    this.length += 1
  }

  /** Keeps the first `length` points. */
  truncate(length: number): void {
    if (length >= this.length) return
    this.length = length
    for (const values of this.values) if (!(values instanceof Float64Array)) values.length = length
  }

  /** Drops the first `count` points. */
  dropFirst(count: number): void {
    if (count <= 0) return
    this.ts.copyWithin(0, count, this.length)
    for (const values of this.values) {
      if (values instanceof Float64Array) values.copyWithin(0, count, this.length)
      else values.splice(0, count)
    }
    this.length -= Math.min(count, this.length)
  }

  /** Views of what is there, for as long as nothing is appended. */
  points(): Points {
    return { ts: this.ts.subarray(0, this.length), values: this.values.map((values) => this.#view(values)) }
  }

  /** Points with buffers of their own. */
  copy(start: number, end: number): Points {
    return copyPoints(this.points(), start, end)
  }

  #view(values: MutableValues): ColumnValues {
    return values instanceof Float64Array ? values.subarray(0, this.length) : values
  }
}

export function copyPoints({ ts, values }: Points, start: number, end: number): Points {
  return { ts: ts.slice(start, end), values: values.map((each) => each.slice(start, end)) }
}

/** Views, where there are columns of numbers. */
export function sliceOf({ ts, values }: Points, start: number, end: number): Points {
  return {
    ts: ts.subarray(start, end),
    values: values.map((each) => (each instanceof Float64Array ? each.subarray(start, end) : each.slice(start, end))),
  }
}

/** The first index whose time is not before `ts`. */
export function lowerBound(times: Float64Array, ts: number, length = times.length): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] as number) < ts) low = middle + 1
    else high = middle
  }
  return low
}

function grown(values: Float64Array, length: number, capacity: number): Float64Array {
  const larger = new Float64Array(capacity)
  larger.set(values.subarray(0, length))
  return larger
}
