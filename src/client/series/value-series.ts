/** `store.series(name)`: values in time under a name, such as a signal, an equity curve or a metric. */
import type { CompactionResult, SeriesAggregate, SeriesInfo } from '../../protocol/series.ts'
import type { AppendResult } from './append-queue.ts'
import type { ChosenRow, WithColumns } from './chosen-columns.ts'
import { listSeries } from './list-series.ts'
import { type InputColumn, isRows, namesOf, type PointInput, refused, sampleOf, shapeOf } from './point-source.ts'
import {
  type AggregateOptions,
  type RangeOptions,
  type ScanOptions,
  SeriesAccess,
  type SeriesContext,
  type SpanOptions,
} from './series-access.ts'
import type { ResultMethods } from './series-columns.ts'

export interface ValueRow {
  readonly ts: number
  readonly [column: string]: number | string
}

export interface ValueColumns {
  readonly ts: ArrayLike<number>
  readonly [column: string]: ArrayLike<number | string>
}

/** The columns that the first append brought, or those of them that were asked for: numbers as Float64Array, texts as arrays. */
export type ValueSeriesColumns<Names extends string = never> = ResultMethods<
  ChosenRow<ValueRow, Names, number | string>
> & { readonly ts: Float64Array } & ([Names] extends [never]
    ? Readonly<Record<string, unknown>>
    : { readonly [Name in Exclude<Names, 'ts' | 'length' | 'toRows'>]: Float64Array | readonly string[] })

export interface ValueSeries {
  /**
   * Appends values; resolves when they are durable. A later value of the same time takes the place of the one before. The
   * first append decides on the columns, and which hold numbers and which hold texts. Rejects like `bars.append`.
   *
   * @example await store.series('signal.alpha').append([{ ts: Date.now(), value: 0.7 }])
   * @example await store.series('equity').append({ ts, balance, drawdown })
   */
  append(points: readonly ValueRow[] | ValueColumns): Promise<AppendResult>
  range<const Names extends string = never>(
    options?: WithColumns<RangeOptions, Names>,
  ): Promise<ValueSeriesColumns<Names>>
  scan<const Names extends string = never>(
    options?: WithColumns<ScanOptions, Names>,
  ): AsyncGenerator<ValueSeriesColumns<Names>>
  last<const Names extends string = never>(
    count: number,
    options?: { readonly columns?: readonly Names[] },
  ): Promise<ValueSeriesColumns<Names>>
  aggregate(options?: AggregateOptions): Promise<SeriesAggregate>
  delete(span: SpanOptions): Promise<{ readonly deleted: number }>
  info(): Promise<SeriesInfo | null>
  compact(): Promise<CompactionResult>
}

export interface SeriesOfStore {
  /** The series of this name; it is made by its first append. */
  (name: string): ValueSeries
  /** Every series of the store, of all kinds: bars, ticks, quotes, books and values. */
  list(): Promise<readonly SeriesInfo[]>
  /** Merges corrections and recent rows of all series into full blocks. */
  compact(): Promise<CompactionResult>
}

export function seriesOfStore(context: SeriesContext): SeriesOfStore {
  const compact = async () => {
    context.core.assertOpen()
    await context.queue.settled()
    return await context.core.supervisor.read('seriesCompact', { key: null })
  }
  return Object.freeze(
    Object.assign((name: string) => new StoreValueSeries(context, name), {
      list: () => listSeries(context, null),
      compact,
    }),
  )
}

class StoreValueSeries implements ValueSeries {
  readonly #access: SeriesAccess

  constructor(context: SeriesContext, name: string) {
    const columns = [{ name: 'value', type: 'number' }] as const
    this.#access = new SeriesAccess(context, { kind: 'values', symbol: name, interval: '' }, columns)
  }

  async append(points: unknown): Promise<AppendResult> {
    const input = points as PointInput
    const names = namesOf(input)
    if (names.length === 0 && isRows(input) && input.length === 0) return { points: 0, written: 0 }
    if (names.length === 0) throw refused('a point needs a value beside its time')
    const columns = names.map(
      (name): InputColumn => ({ name, type: typeof sampleOf(input, name) === 'string' ? 'text' : 'number' }),
    )
    return await this.#access.append(input, shapeOf(columns, 'ts'))
  }

  async range(options?: RangeOptions): Promise<never> {
    return (await this.#access.range(options)) as never
  }

  scan(options?: ScanOptions): AsyncGenerator<never> {
    return this.#access.scan(options) as AsyncGenerator<never>
  }

  async last(count: number, options?: { readonly columns?: readonly string[] }): Promise<never> {
    return (await this.#access.last(count, options)) as never
  }

  async aggregate(options?: AggregateOptions): Promise<SeriesAggregate> {
    return await this.#access.aggregate(options)
  }

  async delete(span: SpanOptions): Promise<{ readonly deleted: number }> {
    return await this.#access.delete(span)
  }

  async info(): Promise<SeriesInfo | null> {
    return await this.#access.info()
  }

  async compact(): Promise<CompactionResult> {
    return await this.#access.compact()
  }
}
