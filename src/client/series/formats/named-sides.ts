import type { SeriesColumns } from './series-columns.ts'

const SIDES: Readonly<Record<string, string>> = { buy: 'buy', b: 'buy', sell: 'sell', s: 'sell', '': '' }

/** Sides of ticks are kept as 1 and -1; files name them. */
export function withNamedSides(chunk: object): SeriesColumns {
  const columns = chunk as SeriesColumns
  const { side } = columns
  if (!(side instanceof Float64Array)) return columns
  return { ...columns, side: Array.from(side, (value) => (value > 0 ? 'buy' : value < 0 ? 'sell' : '')) }
}

/** `buy`, `sell`, or nothing where the file does not say; undefined when it is something else. */
export function namedSide(text: string): string | undefined {
  return SIDES[text.trim().toLowerCase()]
}
