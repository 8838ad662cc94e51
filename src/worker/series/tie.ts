/**
 * What tells points of one time apart, and their order: the text in `id`, or their place among the points of that time.
 * An id that is a plain number counts as one, so that trade 1000 comes behind trade 999.
 */
import type { Points, SeriesShape } from '../../protocol/series.ts'

export type Tie = number | string

const PLAIN_NUMBER = /^(0|[1-9]\d{0,14})$/

export function tieOfId(id: string): Tie {
  return PLAIN_NUMBER.test(id) ? Number(id) : id
}

/** Numbers first, then texts by their UTF-8 bytes: the order of SQLite. */
export function compareTies(a: Tie, b: Tie): number {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1
  if (typeof b === 'number') return 1
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Where ids are; -1 without. */
export function idColumn(shape: SeriesShape): number {
  return shape.identity === 'id' ? shape.columns.findIndex(({ name }) => name === 'id') : -1
}

/** The order of two points; equal means that they are the same point, unless they are told apart by their order. */
export function comparePoints(idAt: number, a: Points, i: number, b: Points, j: number): number {
  const byTime = (a.ts[i] as number) - (b.ts[j] as number)
  if (byTime !== 0 || idAt < 0) return byTime
  const left = (a.values[idAt] as readonly string[])[i] as string
  const right = (b.values[idAt] as readonly string[])[j] as string
  return left === right ? 0 : compareTies(tieOfId(left), tieOfId(right))
}
