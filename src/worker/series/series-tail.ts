/**
 * The newest points of a series in memory, decoded: what a strategy asks for with every bar. Bounded; kept in step by the
 * one writer there is, and dropped when a write touches it in any other way than at its end or in place.
 */
import type { Points } from '../../protocol/series.ts'
import { lowerBound, PointBuffer } from './point-buffer.ts'
import { comparePoints, idColumn } from './tie.ts'
import type { SeriesRecord } from './window-reader.ts'

/** What is kept at least, once asked for. */
export const TAIL_POINTS = 1_024
const TAIL_BOUND = 4 * TAIL_POINTS

export class SeriesTail {
  readonly #record: SeriesRecord
  readonly #idAt: number
  #points: PointBuffer | undefined
  #isWhole = false

  constructor(record: SeriesRecord) {
    this.#record = record
    this.#idAt = idColumn(record)
  }

  /** The last `count` points, or undefined when they are not all here. */
  last(count: number): Points | undefined {
    const points = this.#points
    if (points === undefined || (points.length < count && !this.#isWhole)) return undefined
    return points.copy(Math.max(0, points.length - count), points.length)
  }

  /** `isWhole`: there are no points before these. */
  fill(points: Points, isWhole: boolean): void {
    this.#points = new PointBuffer(this.#record.columns, Math.min(points.ts.length, TAIL_BOUND))
    const start = Math.max(0, points.ts.length - TAIL_BOUND)
    this.#points.append(points, start, points.ts.length)
    this.#isWhole = isWhole && start === 0
  }

  drop(): void {
    this.#points = undefined
  }

  /** Points behind all that were there. */
  append(points: Points): void {
    const tail = this.#points
    if (tail === undefined) return
    const count = points.ts.length
    if (count >= TAIL_BOUND) {
      this.fill(points, false)
      return
    }
    tail.append(points, 0, count)
    if (tail.length <= TAIL_BOUND) return
    tail.dropFirst(tail.length - TAIL_POINTS)
    this.#isWhole = false
  }

  /** Points among those that were there: in place where each takes the place of another, as for a bar that is not closed yet. */
  correct(points: Points): void {
    const tail = this.#points
    if (tail === undefined) return
    for (let index = 0; index < points.ts.length; index++) {
      if (this.#isBehind(tail, points, index)) tail.appendOne(points, index)
      else if (!this.#replace(tail, points, index)) {
        this.drop()
        return
      }
    }
    if (tail.length > TAIL_BOUND) this.drop()
  }

  #isBehind(tail: PointBuffer, points: Points, index: number): boolean {
    if (tail.length === 0) return true
    const order = comparePoints(this.#idAt, points, index, tail, tail.length - 1)
    return order > 0 || (order === 0 && this.#record.identity === 'order')
  }

  /** False when the point is a new one, or not known to be another. */
  #replace(tail: PointBuffer, points: Points, index: number): boolean {
    const ts = points.ts[index] as number
    const at = lowerBound(tail.ts, ts, tail.length)
    if (at === 0 && tail.ts[0] !== ts && !this.#isWhole) return true
    if (this.#record.identity !== 'ts' || tail.ts[at] !== ts) return false
    for (const [column, values] of points.values.entries()) {
      const target = tail.values[column]
      if (target instanceof Float64Array) target[at] = (values as Float64Array)[index] as number
      else if (target !== undefined) target[at] = (values as readonly string[])[index] as string
    }
    return true
  }
}
