/** Points as they leave the store: an object with an array for each column, and rows for those who want them. */
import type { Points, SeriesColumn } from '../../protocol/series.ts'

export interface ResultMethods<Row> {
  /** How many points there are. */
  readonly length: number
  /** The same points as an array of objects. */
  toRows(): Row[]
}

/** How values of a column look in a row, where they don't look as they do in the column. */
export type RowValues = Readonly<Record<string, (value: number) => unknown>>

/** `length` and `toRows` are there without being listed among the columns. */
export function seriesColumns(
  columns: readonly SeriesColumn[],
  { ts, values }: Points,
  rowValues: RowValues = {},
): Record<string, unknown> {
  const result: Record<string, unknown> = { ts }
  for (const [index, { name }] of columns.entries()) result[name] = values[index]
  const toRows = () =>
    Array.from(ts, (time, index) => {
      const row: Record<string, unknown> = { ts: time }
      for (const [column, { name }] of columns.entries()) {
        const value = values[column]?.[index]
        const shown = typeof value === 'number' ? (rowValues[name]?.(value) ?? value) : value
        if (shown !== OMITTED) row[name] = shown
      }
      return row
    })
  Object.defineProperty(result, 'length', { value: ts.length })
  Object.defineProperty(result, 'toRows', { value: toRows })
  return result
}

/** Of a value that a row does not show. */
export const OMITTED = Symbol('omitted')
