/**
 * What the threads say to each other about series: points in time with columns of numbers or texts, such as bars, ticks,
 * quotes and signals. Columns travel as typed arrays, transferred instead of cloned; times are Unix milliseconds, and a
 * span is half open: `from` belongs to it, `to` does not.
 */

export const SERIES_KINDS = ['bars', 'ticks', 'quotes', 'books', 'values'] as const

export type SeriesKind = (typeof SERIES_KINDS)[number]

/** `interval` is empty where a kind has none; a series of values has its name as `symbol`. */
export interface SeriesKey {
  readonly kind: SeriesKind
  readonly symbol: string
  readonly interval: string
}

/** `decimal`: texts of decimal digits, kept digit by digit and counted by their value. */
export type ColumnType = 'number' | 'decimal' | 'text'

export interface SeriesColumn {
  readonly name: string
  readonly type: ColumnType
}

/**
 * What makes two points the same. `ts`: their time. `id`: time and the text in the column `id`. `order`: time and content;
 * of points that are alike in all of it, as many are kept as one append brought.
 */
export type SeriesIdentity = 'ts' | 'id' | 'order'

export interface SeriesShape {
  readonly columns: readonly SeriesColumn[]
  readonly identity: SeriesIdentity
}

export type ColumnValues = Float64Array | readonly string[]

/** Points of one series; `values` are in the order of its columns. */
export interface Points {
  readonly ts: Float64Array
  readonly values: readonly ColumnValues[]
}

export interface SeriesSpan {
  readonly from: number
  readonly to: number
}

/** A series that exists. `count` is exact. */
export interface SeriesInfo extends SeriesKey, SeriesShape {
  readonly count: number
  /** Null when it has no points. */
  readonly firstTs: number | null
  readonly lastTs: number | null
  /** Of blocks and rows, without what the database adds. */
  readonly bytes: number
  readonly blocks: number
  /** Not in a block yet. */
  readonly rows: number
}

export interface SeriesMethods {
  seriesList(request: { readonly kind: SeriesKind | null }): Promise<readonly SeriesInfo[]>
}
