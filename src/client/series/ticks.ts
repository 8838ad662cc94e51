/** `store.ticks`: trades of a symbol as they happened, by id where a venue gives ids. */
import type { CompactionResult, SeriesAggregate, SeriesColumn, SeriesInfo } from '../../protocol/series.ts'
import type { AppendResult } from './append-queue.ts'
import type { ResampledBars } from './bars.ts'
import type { ChosenColumns, ChosenRow, WithColumns } from './chosen-columns.ts'
import { listSeries } from './list-series.ts'
import {
  type InputColumn,
  type InputShape,
  namesOf,
  numberOfText,
  type PointInput,
  refused,
  shapeOf,
} from './point-source.ts'
import {
  type AggregateOptions,
  type RangeOptions,
  type ResampleOptions,
  type ScanOptions,
  SeriesAccess,
  type SeriesContext,
  type SpanOptions,
} from './series-access.ts'
import { OMITTED, type ResultMethods, type RowValues } from './series-columns.ts'
import { type TickWriter, TickWriterOfStore, type TickWriterOptions } from './tick-writer.ts'

export type TickSide = 'buy' | 'sell'

export interface Tick {
  readonly ts: number
  /** A number, or with `exact: true` the decimal digits. */
  readonly price: number | string
  readonly amount: number | string
  /** Of the taker. */
  readonly side?: TickSide
  /** Of the venue: what makes a tick the same when it comes again. All ticks of a series have one, or none has. */
  readonly id?: string | number
}

export interface TickColumns {
  readonly ts: ArrayLike<number>
  readonly price: ArrayLike<number | string>
  readonly amount: ArrayLike<number | string>
  /** `buy` or `sell`, or 1 and -1. */
  readonly side?: ArrayLike<TickSide | number>
  readonly id?: ArrayLike<string | number>
}

export interface TickOptions {
  /**
   * Keeps price and amount as the decimal texts they are given as, digit by digit, and gives them back as texts. Decided
   * by the first append to a series. Default false.
   */
  readonly exact?: boolean
}

interface KnownTickColumns {
  /** Texts in a series that is exact. */
  readonly price: Float64Array | readonly string[]
  readonly amount: Float64Array | readonly string[]
  /** 1 buy, -1 sell, 0 unknown. */
  readonly side: Float64Array
  /** In a series whose ticks have ids. */
  readonly id?: readonly string[]
}

/** With `columns` given, only those of them. */
export type TickSeries<Names extends string = never> = ResultMethods<ChosenRow<Tick, Names, never>> & {
  readonly ts: Float64Array
} & ChosenColumns<KnownTickColumns, Names, never>

export interface Ticks {
  /**
   * Appends ticks; resolves when they are durable. A tick with an `id` is written once, and another one with the same
   * time and id takes its place. Without ids, ticks that are alike in everything count as often as one append brought
   * them: the same append sent again adds nothing. Rejects like `bars.append`.
   *
   * @example await store.ticks.append('BTC/USDT', [{ ts, price: 42_000.5, amount: 0.01, side: 'buy', id: '123' }])
   * @example await store.ticks.append('ETH/USDT', [{ ts, price: '2250.10', amount: '0.500', id: 7 }], { exact: true })
   */
  append(symbol: string, ticks: readonly Tick[] | TickColumns, options?: TickOptions): Promise<AppendResult>
  range<const Names extends string = never>(
    symbol: string,
    options?: WithColumns<RangeOptions, Names>,
  ): Promise<TickSeries<Names>>
  scan<const Names extends string = never>(
    symbol: string,
    options?: WithColumns<ScanOptions, Names>,
  ): AsyncGenerator<TickSeries<Names>>
  last<const Names extends string = never>(
    symbol: string,
    count: number,
    options?: { readonly columns?: readonly Names[] },
  ): Promise<TickSeries<Names>>
  aggregate(symbol: string, options?: AggregateOptions): Promise<SeriesAggregate>
  /**
   * Bars made of ticks.
   *
   * @example const bars = await store.ticks.resample('BTC/USDT', { to: '1m' })
   */
  resample(symbol: string, options: ResampleOptions): Promise<ResampledBars>
  delete(symbol: string, span: SpanOptions): Promise<{ readonly deleted: number }>
  info(symbol: string): Promise<SeriesInfo | null>
  list(): Promise<readonly SeriesInfo[]>
  compact(symbol: string): Promise<CompactionResult>
  /**
   * For a live feed: gathers ticks and appends them in batches, `maxLatencyMs` after the first of each at the latest.
   *
   * @example
   * const writer = store.ticks.writer({ maxLatencyMs: 50 })
   * feed.on('trade', (trade) => writer.write('BTC/USDT', trade))
   */
  writer(options?: TickWriterOptions): TickWriter
}

/** Files say nothing where the side is not known. */
const SIDES: Readonly<Record<string, number>> = { buy: 1, sell: -1, '': 0 }
const ROW_VALUES: RowValues = {
  side: (value) => (value === 1 ? 'buy' : value === -1 ? 'sell' : OMITTED),
}
const SIDE: InputColumn = {
  name: 'side',
  type: 'number',
  missing: 0,
  numberOf: (value) => (typeof value === 'string' ? SIDES[value] : undefined),
}
const COLUMNS: readonly SeriesColumn[] = ['price', 'amount', 'side'].map((name) => ({ name, type: 'number' }))
const KNOWN = ['price', 'amount', 'side', 'id']

export function tickShape(input: PointInput, { exact = false }: TickOptions = {}): InputShape {
  if (typeof exact !== 'boolean') throw refused('exact must be true or false')
  const names = namesOf(input)
  const unknown = names.find((name) => !KNOWN.includes(name))
  if (unknown !== undefined) throw refused(`a tick has no column "${unknown}", only ${KNOWN.join(', ')}`)
  const amounts = ['price', 'amount'].map(
    (name): InputColumn => (exact ? { name, type: 'decimal' } : { name, type: 'number', numberOf: numberOfText }),
  )
  const hasIds = names.includes('id')
  return shapeOf(
    [...amounts, SIDE, ...(hasIds ? [{ name: 'id', type: 'text' } as const] : [])],
    hasIds ? 'id' : 'order',
  )
}

export class StoreTicks implements Ticks {
  readonly #context: SeriesContext

  constructor(context: SeriesContext) {
    this.#context = context
  }

  async append(symbol: string, ticks: unknown, options?: TickOptions): Promise<AppendResult> {
    const input = ticks as PointInput
    return await this.#at(symbol).append(input, tickShape(input, options))
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

  async resample(symbol: string, options: ResampleOptions): Promise<ResampledBars> {
    return (await this.#at(symbol).resample(options)) as unknown as ResampledBars
  }

  async delete(symbol: string, span: SpanOptions): Promise<{ readonly deleted: number }> {
    return await this.#at(symbol).delete(span)
  }

  async info(symbol: string): Promise<SeriesInfo | null> {
    return await this.#at(symbol).info()
  }

  async list(): Promise<readonly SeriesInfo[]> {
    return await listSeries(this.#context, 'ticks')
  }

  async compact(symbol: string): Promise<CompactionResult> {
    return await this.#at(symbol).compact()
  }

  writer(options: TickWriterOptions = {}): TickWriter {
    this.#context.core.assertOpen()
    return new TickWriterOfStore((symbol, ticks, exact) => this.append(symbol, ticks, { exact }), options)
  }

  #at(symbol: string): SeriesAccess {
    return new SeriesAccess(this.#context, { kind: 'ticks', symbol, interval: '' }, COLUMNS, ROW_VALUES)
  }
}
