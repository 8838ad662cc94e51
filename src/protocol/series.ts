/**
 * What the threads say to each other about series: points in time with columns of numbers or texts, such as bars, ticks,
 * quotes and signals. Columns travel as typed arrays, transferred instead of cloned; times are Unix milliseconds, and a
 * span is half open: `from` belongs to it, `to` does not.
 */
import type { BucketSpec } from '../schema/interval.ts'
import type { SerializedError } from './store-error.ts'

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
 * What makes two points the same. `ts`: their time. `id`: their time and the text in the column `id`. `order`: their time
 * and all they hold; of points alike in all of it, as many are kept as one append brought.
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

/** A time beyond which no point lies: that of `Date`. */
export const MAX_TS = 8.64e15
export const WHOLE_SPAN: SeriesSpan = Object.freeze({ from: -MAX_TS, to: MAX_TS + 1 })

export interface SeriesAppend {
  readonly key: SeriesKey
  /** Of the points; a series takes it on with its first ones. */
  readonly shape: SeriesShape
  readonly points: Points
}

/** `written`: how many of the points were new or other than before. */
export type SeriesAppended = { readonly written: number } | { readonly error: SerializedError }

export interface SeriesRangeRequest extends SeriesSpan {
  readonly key: SeriesKey
  /** Of the values, in this order; null for all. */
  readonly columns: readonly string[] | null
  readonly limit: number
  /** More of them reject with `RESULT_TOO_LARGE`. */
  readonly maxPoints: number
}

export interface SeriesPageRequest extends SeriesSpan {
  readonly key: SeriesKey
  readonly columns: readonly string[] | null
  /** A page ends with the time that this many points end in. */
  readonly chunk: number
}

/** `columns` say what the values are. */
export interface SeriesPoints extends Points {
  readonly columns: readonly SeriesColumn[]
}

export interface SeriesPage extends SeriesPoints {
  /** Where to go on; null at the end. */
  readonly next: number | null
}

export interface ColumnAggregate {
  /** Values that are numbers; NaN is none. */
  readonly count: number
  /** Null where there is no number. */
  readonly min: number | null
  readonly max: number | null
  readonly sum: number
  readonly mean: number | null
  readonly first: number | null
  readonly last: number | null
}

export interface SeriesAggregate {
  readonly count: number
  readonly firstTs: number | null
  readonly lastTs: number | null
  /** Of the columns that hold numbers or decimals. */
  readonly columns: Readonly<Record<string, ColumnAggregate>>
}

export interface SeriesResampleRequest extends SeriesSpan {
  readonly key: SeriesKey
  readonly bucket: BucketSpec
  readonly maxPoints: number
}

/** Points are missing after `after` and before `before`: `missing` of them, where the step is even. */
export interface SeriesGap {
  readonly after: number
  readonly before: number
  readonly missing: number
}

export interface SeriesGapsRequest extends SeriesSpan {
  readonly key: SeriesKey
  readonly bucket: BucketSpec
  readonly maxGaps: number
}

/** A series that exists. */
export interface SeriesInfo extends SeriesKey, SeriesShape {
  readonly count: number
  /** Null when it has no points. */
  readonly firstTs: number | null
  readonly lastTs: number | null
  /** What its points take, without what the database adds. */
  readonly bytes: number
  readonly blocks: number
  /** Points that are in no block yet, or correct one. */
  readonly rows: number
}

export interface CompactionResult {
  readonly blocksWritten: number
  readonly rowsMerged: number
}

export interface SeriesStatus {
  readonly series: number
  readonly blocks: number
  readonly blockPoints: number
  /** Recent, late and corrected points that no block has yet. */
  readonly rowPoints: number
}

export interface SeriesMethods {
  seriesAppend(request: { readonly appends: readonly SeriesAppend[] }): Promise<readonly SeriesAppended[]>
  /** Null where there is no such series, here and below. */
  seriesRange(request: SeriesRangeRequest): Promise<SeriesPoints | null>
  seriesPage(request: SeriesPageRequest): Promise<SeriesPage | null>
  seriesLast(request: {
    readonly key: SeriesKey
    readonly count: number
    readonly columns: readonly string[] | null
  }): Promise<SeriesPoints | null>
  seriesAggregate(
    request: SeriesSpan & { readonly key: SeriesKey; readonly columns: readonly string[] | null },
  ): Promise<SeriesAggregate | null>
  seriesResample(request: SeriesResampleRequest): Promise<SeriesPoints | null>
  seriesGaps(request: SeriesGapsRequest): Promise<readonly SeriesGap[] | null>
  seriesDelete(request: SeriesSpan & { readonly key: SeriesKey }): Promise<{ readonly deleted: number }>
  seriesList(request: { readonly kind: SeriesKind | null }): Promise<readonly SeriesInfo[]>
  seriesInfo(request: { readonly key: SeriesKey }): Promise<SeriesInfo | null>
  /** Merges all that is not in full blocks; of every series without a key. */
  seriesCompact(request: { readonly key: SeriesKey | null }): Promise<CompactionResult>
}
