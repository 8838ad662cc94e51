/** `store.bars`: open, high, low, close and volume of a symbol and an interval, and further columns of numbers. */
import type { CompactionResult, SeriesAggregate, SeriesColumn, SeriesGap, SeriesInfo } from '../../protocol/series.ts'
import type { AppendResult } from './append-queue.ts'
import type { ChosenColumns, ChosenRow, WithColumns } from './chosen-columns.ts'
import { listSeries } from './list-series.ts'
import { type InputColumn, namesOf, numberOfText, type PointInput, shapeOf } from './point-source.ts'
import {
  type AggregateOptions,
  type RangeOptions,
  type ResampleOptions,
  type ScanOptions,
  SeriesAccess,
  type SeriesContext,
  type SpanOptions,
} from './series-access.ts'
import type { ResultMethods } from './series-columns.ts'

/** Times in Unix milliseconds: that of a bar is its beginning. */
export interface Bar {
  readonly ts: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
}

/** A bar as venues send it: decimal texts are taken as the numbers they are. Further columns hold numbers, such as `vwap`. */
export interface BarInput {
  readonly ts: number
  readonly open: number | string
  readonly high: number | string
  readonly low: number | string
  readonly close: number | string
  readonly volume: number | string
}

/** Like ccxt's OHLCV. */
export type BarTuple = readonly [ts: Num, open: Num, high: Num, low: Num, close: Num, volume: Num]

/** ccxt's type says that a number may be missing; a bar that lacks one is refused. */
type Num = number | undefined

export interface BarColumns {
  readonly ts: ArrayLike<number>
  readonly open: ArrayLike<number>
  readonly high: ArrayLike<number>
  readonly low: ArrayLike<number>
  readonly close: ArrayLike<number>
  readonly volume: ArrayLike<number>
}

interface KnownBarColumns {
  readonly open: Float64Array
  readonly high: Float64Array
  readonly low: Float64Array
  readonly close: Float64Array
  readonly volume: Float64Array
}

/** What a range of bars comes as; with `columns` given, only those of them. */
export type BarSeries<Names extends string = never> = ResultMethods<ChosenRow<Bar, Names, number>> & {
  readonly ts: Float64Array
} & ChosenColumns<KnownBarColumns, Names, Float64Array> &
  ([Names] extends [never] ? Readonly<Record<string, unknown>> : unknown)

export type ResampledBars = ResultMethods<Bar & { readonly vwap: number }> & {
  readonly ts: Float64Array
  readonly open: Float64Array
  readonly high: Float64Array
  readonly low: Float64Array
  readonly close: Float64Array
  readonly volume: Float64Array
  /** NaN where nothing was traded. */
  readonly vwap: Float64Array
}

const NAMES = ['open', 'high', 'low', 'close', 'volume'] as const
const COLUMNS: readonly SeriesColumn[] = NAMES.map((name) => ({ name, type: 'number' }))
const FIXED: readonly InputColumn[] = NAMES.map((name) => ({ name, type: 'number', numberOf: numberOfText }))

export interface Bars {
  /**
   * Appends bars, as rows, as ccxt's arrays or as columns; resolves when they are durable. A bar that is there already is
   * not written again, and another one of the same time takes its place. Order does not matter. Up to 8,192 bars are
   * copied at once; larger inputs must stay as they are until this resolves, and are written in several transactions.
   * The first append decides which columns the series has. Rejects with `INVALID_ARGUMENT` before anything is written,
   * `QUEUE_FULL`, `READ_ONLY`, `DISK_FULL`.
   *
   * @example await store.bars.append('BTC/USDT', '1m', [{ ts, open, high, low, close, volume }])
   * @example await store.bars.append('BTC/USDT', '1m', await exchange.fetchOHLCV('BTC/USDT', '1m'))
   */
  append<B extends BarInput, C extends BarColumns>(
    symbol: string,
    interval: string,
    bars: readonly B[] | readonly BarTuple[] | C,
  ): Promise<AppendResult>
  /**
   * The bars of a span as columns, ascending in time. Rejects with `RESULT_TOO_LARGE` beyond `maxPoints`: then `scan`.
   *
   * @example const { ts, close } = await store.bars.range('BTC/USDT', '1m', { from: Date.now() - 86_400_000 })
   */
  range<const Names extends string = never>(
    symbol: string,
    interval: string,
    options?: WithColumns<RangeOptions, Names>,
  ): Promise<BarSeries<Names>>
  /**
   * The same piece by piece, at constant memory, over any number of bars. Each piece is consistent by itself.
   *
   * @example for await (const { close } of store.bars.scan('BTC/USDT', '1m', { chunk: 65_536 })) train(close)
   */
  scan<const Names extends string = never>(
    symbol: string,
    interval: string,
    options?: WithColumns<ScanOptions, Names>,
  ): AsyncGenerator<BarSeries<Names>>
  /** The newest `count` bars, ascending in time. */
  last<const Names extends string = never>(
    symbol: string,
    interval: string,
    count: number,
    options?: { readonly columns?: readonly Names[] },
  ): Promise<BarSeries<Names>>
  /** Count, sum, mean, extremes, first and last value of each column; whole blocks are not even read. */
  aggregate(symbol: string, interval: string, options?: AggregateOptions): Promise<SeriesAggregate>
  /**
   * Bars of a longer interval: open first, high max, low min, close last, volume sum, and the mean price weighted by
   * volume. Days and longer are those of UTC, weeks begin on Mondays.
   *
   * @example const hours = await store.bars.resample('BTC/USDT', { from: '1m', to: '1h' })
   */
  resample(symbol: string, options: ResampleOptions & { readonly from: string }): Promise<ResampledBars>
  /** Where bars are missing between the first and the last; at most the first 100,000 places. */
  gaps(symbol: string, interval: string, options?: SpanOptions): Promise<readonly SeriesGap[]>
  /** Deletes the bars of a span; durable when it resolves. A series without bars is forgotten, with its columns. */
  delete(symbol: string, interval: string, span: SpanOptions): Promise<{ readonly deleted: number }>
  info(symbol: string, interval: string): Promise<SeriesInfo | null>
  list(): Promise<readonly SeriesInfo[]>
  /** Merges corrections and recent rows into full blocks now, instead of when it is worth it. */
  compact(symbol: string, interval: string): Promise<CompactionResult>
}

export class StoreBars implements Bars {
  readonly #context: SeriesContext

  constructor(context: SeriesContext) {
    this.#context = context
  }

  async append(symbol: string, interval: string, bars: unknown): Promise<AppendResult> {
    const input = bars as PointInput
    const further = namesOf(input).filter((name) => !(NAMES as readonly string[]).includes(name))
    const columns = [...FIXED, ...further.map((name) => ({ name, type: 'number', missing: Number.NaN }) as const)]
    return await this.#at(symbol, interval).append(input, shapeOf(columns, 'ts'))
  }

  async range(symbol: string, interval: string, options?: RangeOptions): Promise<never> {
    return (await this.#at(symbol, interval).range(options)) as never
  }

  scan(symbol: string, interval: string, options?: ScanOptions): AsyncGenerator<never> {
    return this.#at(symbol, interval).scan(options) as AsyncGenerator<never>
  }

  async last(
    symbol: string,
    interval: string,
    count: number,
    options?: { readonly columns?: readonly string[] },
  ): Promise<never> {
    return (await this.#at(symbol, interval).last(count, options)) as never
  }

  async aggregate(symbol: string, interval: string, options?: AggregateOptions): Promise<SeriesAggregate> {
    return await this.#at(symbol, interval).aggregate(options)
  }

  async resample(symbol: string, options: ResampleOptions & { readonly from: string }): Promise<ResampledBars> {
    return (await this.#at(symbol, options?.from).resample(options)) as unknown as ResampledBars
  }

  async gaps(symbol: string, interval: string, options?: SpanOptions): Promise<readonly SeriesGap[]> {
    return await this.#at(symbol, interval).gaps(options)
  }

  async delete(symbol: string, interval: string, span: SpanOptions): Promise<{ readonly deleted: number }> {
    return await this.#at(symbol, interval).delete(span)
  }

  async info(symbol: string, interval: string): Promise<SeriesInfo | null> {
    return await this.#at(symbol, interval).info()
  }

  async list(): Promise<readonly SeriesInfo[]> {
    return await listSeries(this.#context, 'bars')
  }

  async compact(symbol: string, interval: string): Promise<CompactionResult> {
    return await this.#at(symbol, interval).compact()
  }

  #at(symbol: string, interval: string): SeriesAccess {
    return new SeriesAccess(this.#context, { kind: 'bars', symbol, interval }, COLUMNS)
  }
}
