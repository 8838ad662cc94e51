/** Brings points into the order of a series, and leaves of those that are the same point the one given last. */
import type { Points, SeriesShape } from '../../protocol/series.ts'
import { comparePoints, idColumn } from './tie.ts'

export function sortPoints(shape: SeriesShape, points: Points): Points {
  const idAt = idColumn(shape)
  const keepsEqual = shape.identity === 'order'
  const count = points.ts.length
  let isSorted = true
  for (let index = 1; index < count && isSorted; index++) {
    const order = comparePoints(idAt, points, index - 1, points, index)
    isSorted = order < 0 || (order === 0 && keepsEqual)
  }
  if (isSorted) return points
  const order = Array.from({ length: count }, (_, index) => index)
  order.sort((a, b) => comparePoints(idAt, points, a, points, b) || a - b)
  if (keepsEqual) return pick(points, order)
  const isLastOfEqual = (index: number, at: number) =>
    at === count - 1 || comparePoints(idAt, points, index, points, order[at + 1] as number) !== 0
  return pick(points, order.filter(isLastOfEqual))
}

/** Points at these indexes, in this order. */
export function pick({ ts, values }: Points, indexes: readonly number[]): Points {
  const pickFrom = (from: Float64Array) => Float64Array.from(indexes, (index) => from[index] as number)
  return {
    ts: pickFrom(ts),
    values: values.map((each) =>
      each instanceof Float64Array ? pickFrom(each) : indexes.map((index) => each[index] as string),
    ),
  }
}
