/** `store.quotes`: best bid and ask of a symbol, with their sizes where a venue gives them. */
import type { CompactionResult, SeriesAggregate, SeriesColumn, SeriesInfo } from '../../protocol/series.ts'
import type { AppendResult } from './append-queue.ts'
import type { ChosenColumns, ChosenRow, WithColumns } from './chosen-columns.ts'
import { listSeries } from './list-series.ts'
import { type InputColumn, namesOf, numberOfText, type PointInput, refused, shapeOf } from './point-source.ts'
import {
  type AggregateOptions,
  type RangeOptions,
  type ScanOptions,
  SeriesAccess,
  type SeriesContext,
  type SpanOptions,
} from './series-access.ts'
import { OMITTED, type ResultMethods, type RowValues } from './series-columns.ts'

export interface Quote {
  readonly ts: number
  readonly bid: number
  readonly ask: number
  readonly bidSize?: number
  readonly askSize?: number
}

export interface QuoteColumns {
  readonly ts: ArrayLike<number>
  readonly bid: ArrayLike<number>
  readonly ask: ArrayLike<number>
  readonly bidSize?: ArrayLike<number>
  readonly askSize?: ArrayLike<number>
}

interface KnownQuoteColumns {
  readonly bid: Float64Array
  readonly ask: Float64Array
  readonly bidSize: Float64Array
  readonly askSize: Float64Array
}

/** Sizes that are not known are NaN. With `columns` given, only those of them. */
export type QuoteSeries<Names extends string = never> = ResultMethods<ChosenRow<Quote, Names, never>> & {
  readonly ts: Float64Array
} & ChosenColumns<KnownQuoteColumns, Names, never>

const NAMES = ['bid', 'ask', 'bidSize', 'askSize'] as const
const COLUMNS: readonly SeriesColumn[] = NAMES.map((name) => ({ name, type: 'number' }))
const INPUT: readonly InputColumn[] = NAMES.map((name) => ({
  name,
  type: 'number',
  numberOf: numberOfText,
  ...(name.endsWith('Size') ? { missing: Number.NaN } : {}),
}))
const unknownSize = (value: number) => (Number.isNaN(value) ? OMITTED : value)
const ROW_VALUES: RowValues = { bidSize: unknownSize, askSize: unknownSize }

export interface Quotes {
  /**
   * Appends quotes; resolves when they are durable. Several may have one time, and keep their order. The same append sent
   * again adds nothing. Rejects like `bars.append`.
   *
   * @example await store.quotes.append('EUR/USD', [{ ts, bid: 1.1212, ask: 1.12172 }])
   */
  append(symbol: string, quotes: readonly Quote[] | QuoteColumns): Promise<AppendResult>
  range<const Names extends string = never>(
    symbol: string,
    options?: WithColumns<RangeOptions, Names>,
  ): Promise<QuoteSeries<Names>>
  scan<const Names extends string = never>(
    symbol: string,
    options?: WithColumns<ScanOptions, Names>,
  ): AsyncGenerator<QuoteSeries<Names>>
  last<const Names extends string = never>(
    symbol: string,
    count: number,
    options?: { readonly columns?: readonly Names[] },
  ): Promise<QuoteSeries<Names>>
  aggregate(symbol: string, options?: AggregateOptions): Promise<SeriesAggregate>
  delete(symbol: string, span: SpanOptions): Promise<{ readonly deleted: number }>
  info(symbol: string): Promise<SeriesInfo | null>
  list(): Promise<readonly SeriesInfo[]>
  compact(symbol: string): Promise<CompactionResult>
}

export class StoreQuotes implements Quotes {
  readonly #context: SeriesContext

  constructor(context: SeriesContext) {
    this.#context = context
  }

  async append(symbol: string, quotes: unknown): Promise<AppendResult> {
    const input = quotes as PointInput
    const unknown = namesOf(input).find((name) => !(NAMES as readonly string[]).includes(name))
    if (unknown !== undefined) throw refused(`a quote has no column "${unknown}", only ${NAMES.join(', ')}`)
    return await this.#at(symbol).append(input, shapeOf(INPUT, 'order'))
  }

  async range(symbol: string, options?: RangeOptions): Promise<never> {
    return (await this.#at(symbol).range(options)) as never
  }

  scan(symbol: string, options?: ScanOptions): AsyncGenerator<never> {
    return this.#at(symbol).scan(options) as AsyncGenerator<never>
  }

  async last(symbol: string, count: number, options?: { readonly columns?: readonly string[] }): Promise<never> {
    return (await this.#at(symbol).last(count, options)) as never
  }

  async aggregate(symbol: string, options?: AggregateOptions): Promise<SeriesAggregate> {
    return await this.#at(symbol).aggregate(options)
  }

  async delete(symbol: string, span: SpanOptions): Promise<{ readonly deleted: number }> {
    return await this.#at(symbol).delete(span)
  }

  async info(symbol: string): Promise<SeriesInfo | null> {
    return await this.#at(symbol).info()
  }

  async list(): Promise<readonly SeriesInfo[]> {
    return await listSeries(this.#context, 'quotes')
  }

  async compact(symbol: string): Promise<CompactionResult> {
    return await this.#at(symbol).compact()
  }

  #at(symbol: string): SeriesAccess {
    return new SeriesAccess(this.#context, { kind: 'quotes', symbol, interval: '' }, COLUMNS, ROW_VALUES)
  }
}
