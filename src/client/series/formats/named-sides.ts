import type { SeriesColumns } from './series-columns.ts'

/** Sides of ticks are kept as 1 and -1; files name them. */
export function withNamedSides(chunk: object): SeriesColumns {
  const columns = chunk as SeriesColumns
  const { side } = columns
  if (!(side instanceof Float64Array)) return columns
  return { ...columns, side: Array.from(side, (value) => (value > 0 ? 'buy' : value < 0 ? 'sell' : '')) }
}
