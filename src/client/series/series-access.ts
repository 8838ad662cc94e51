/** What can be done with one series, of whatever kind: the public classes of the kinds say it in their own words. */
import type {
  CompactionResult,
  SeriesAggregate,
  SeriesColumn,
  SeriesGap,
  SeriesInfo,
  SeriesKey,
  SeriesPoints,
  SeriesSpan,
} from '../../protocol/series.ts'
import { MAX_TS, WHOLE_SPAN } from '../../protocol/series.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { type BucketSpec, fits, parseInterval } from '../../schema/interval.ts'
import type { StoreCore } from '../store-core.ts'
import type { AppendQueue, AppendResult } from './append-queue.ts'
import { type InputShape, type PointInput, PointSource } from './point-source.ts'
import { type RowValues, seriesColumns } from './series-columns.ts'

/** A moment in Unix milliseconds. */
export type Moment = number | Date

/** Half open: `from` belongs to it, `to` does not. Without them it has no end on that side. */
export interface SpanOptions {
  readonly from?: Moment
  readonly to?: Moment
}

export interface RangeOptions extends SpanOptions {
  /** Of the columns, those that are wanted; default all. The time always comes with them. */
  readonly columns?: readonly string[]
  /** At most so many points, the first ones. */
  readonly limit?: number
  /** More points reject with `RESULT_TOO_LARGE`; default 5,000,000. */
  readonly maxPoints?: number
}

export interface ScanOptions extends SpanOptions {
  readonly columns?: readonly string[]
  /** How many points each step brings; default 65,536. Points of one time come together. */
  readonly chunk?: number
}

export interface AggregateOptions extends SpanOptions {
  readonly columns?: readonly string[]
}

export interface ResampleOptions {
  /** The longer interval, such as `1h`, `1d`, `1w`, `1M`. */
  readonly to: string
  readonly range?: SpanOptions
  /** More bars reject with `RESULT_TOO_LARGE`; default 5,000,000. */
  readonly maxPoints?: number
}

export interface SeriesContext {
  readonly core: StoreCore
  readonly queue: AppendQueue
}

const MAX_POINTS = 5_000_000
const MAX_GAPS = 100_000
const DEFAULT_CHUNK = 65_536
const MAX_LAST = 1_000_000

export class SeriesAccess {
  readonly #context: SeriesContext
  readonly #key: SeriesKey
  /** Of a result when there is no such series. */
  readonly #columns: readonly SeriesColumn[]
  readonly #rowValues: RowValues

  /** @throws StoreError `INVALID_ARGUMENT` for a bad symbol or interval */
  constructor(context: SeriesContext, key: SeriesKey, columns: readonly SeriesColumn[], rowValues: RowValues = {}) {
    assertName('symbol', key.symbol)
    if (key.kind === 'bars') assertName('interval', key.interval)
    this.#context = context
    this.#key = key
    this.#columns = columns
    this.#rowValues = rowValues
  }

  async append(input: PointInput, shape: InputShape): Promise<AppendResult> {
    const { core, queue } = this.#context
    core.assertOpen()
    if (core.isReadOnly) {
      throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
    }
    return await queue.append(this.#key, new PointSource(input, shape))
  }

  async range(options: RangeOptions = {}): Promise<Record<string, unknown>> {
    const limit = count('limit', options.limit, Number.MAX_SAFE_INTEGER)
    const maxPoints = count('maxPoints', options.maxPoints, MAX_POINTS)
    const columns = columnNames(options.columns)
    const found = await this.#read('seriesRange', { ...spanOf(options), columns, limit, maxPoints })
    return this.#result(found, this.#chosen(columns))
  }

  async *scan(options: ScanOptions = {}): AsyncGenerator<Record<string, unknown>> {
    const chunk = Math.min(count('chunk', options.chunk, DEFAULT_CHUNK), MAX_POINTS)
    const columns = columnNames(options.columns)
    const { from, to } = spanOf(options)
    let next = this.#page(from, to, columns, chunk)
    for (;;) {
      const page = await next
      if (page === null) return
      const more = page.next
      // The worker is at work on the next piece while the caller is at work on this one.
      if (more !== null) {
        next = this.#page(more, to, columns, chunk)
        next.catch(() => undefined)
      }
      if (page.ts.length > 0) yield this.#result(page)
      if (more === null) return
    }
  }

  async last(points: number, options: { readonly columns?: readonly string[] } = {}): Promise<Record<string, unknown>> {
    const columns = columnNames(options.columns)
    const wanted = Math.min(count('the number of points', points, 1), MAX_LAST)
    return this.#result(await this.#read('seriesLast', { count: wanted, columns }), this.#chosen(columns))
  }

  async aggregate(options: AggregateOptions = {}): Promise<SeriesAggregate> {
    const columns = columnNames(options.columns)
    const found = await this.#read('seriesAggregate', { ...spanOf(options), columns })
    return found ?? { count: 0, firstTs: null, lastTs: null, columns: {} }
  }

  async resample({ to, range = {}, maxPoints }: ResampleOptions): Promise<Record<string, unknown>> {
    const bucket = intervalOf(to)
    if (this.#key.kind === 'bars') {
      if (!fits(intervalOf(this.#key.interval), bucket)) {
        throw invalid(`bars of ${this.#key.interval} don't fill bars of ${to} evenly`)
      }
    }
    const bound = count('maxPoints', maxPoints, MAX_POINTS)
    const found = await this.#read('seriesResample', { ...spanOf(range), bucket, maxPoints: bound })
    return this.#result(found, RESAMPLED)
  }

  async gaps(options: SpanOptions = {}): Promise<readonly SeriesGap[]> {
    const bucket = intervalOf(this.#key.interval)
    return (await this.#read('seriesGaps', { ...spanOf(options), bucket, maxGaps: MAX_GAPS })) ?? []
  }

  async delete(options: SpanOptions): Promise<{ readonly deleted: number }> {
    if (options?.from === undefined && options?.to === undefined) {
      throw invalid('delete needs from or to; { from: -Infinity } deletes all of it')
    }
    const { core, queue } = this.#context
    core.assertOpen()
    await queue.settled(this.#key)
    const request = { key: this.#key, ...spanOf(options) }
    // What was deleted before a worker died is not there to be deleted again.
    return await core.supervisor.read('seriesDelete', request)
  }

  async info(): Promise<SeriesInfo | null> {
    return await this.#read('seriesInfo', {})
  }

  async compact(): Promise<CompactionResult> {
    return await this.#read('seriesCompact', {})
  }

  async #page(from: number, to: number, columns: readonly string[] | null, chunk: number) {
    return await this.#read('seriesPage', { from, to, columns, chunk })
  }

  /** Sees all that was accepted before it. */
  async #read<M extends ReadMethod>(
    method: M,
    request: Omit<RequestFor<M>, 'key'>,
  ): Promise<Awaited<ReturnType<Methods[M]>>> {
    const { core, queue } = this.#context
    core.assertOpen()
    await queue.settled(this.#key)
    const ask = core.supervisor.read.bind(core.supervisor) as (method: M, request: unknown) => Promise<unknown>
    return (await ask(method, { ...request, key: this.#key })) as never
  }

  /** Of a series that is not there. */
  #chosen(names: readonly string[] | null): readonly SeriesColumn[] {
    return names === null ? this.#columns : this.#columns.filter(({ name }) => names.includes(name))
  }

  #result(found: SeriesPoints | null, columns = this.#columns): Record<string, unknown> {
    if (found !== null) return seriesColumns(found.columns, found, this.#rowValues)
    const values = columns.map(({ type }) => (type === 'number' ? new Float64Array(0) : []))
    return seriesColumns(columns, { ts: new Float64Array(0), values }, this.#rowValues)
  }
}

type Methods = import('../../protocol/series.ts').SeriesMethods
type ReadMethod = Exclude<keyof Methods, 'seriesAppend' | 'seriesDelete' | 'seriesList'>
type RequestFor<M extends ReadMethod> = Parameters<Methods[M]>[0]

const RESAMPLED: readonly SeriesColumn[] = ['open', 'high', 'low', 'close', 'volume', 'vwap'].map((name) => ({
  name,
  type: 'number',
}))

/** @throws StoreError `INVALID_ARGUMENT` */
export function spanOf({ from, to }: SpanOptions): SeriesSpan {
  return { from: moment('from', from, WHOLE_SPAN.from), to: moment('to', to, WHOLE_SPAN.to) }
}

function moment(name: string, value: Moment | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  const ms = value instanceof Date ? value.getTime() : value
  if (typeof ms !== 'number' || Number.isNaN(ms)) throw invalid(`${name} must be a time in milliseconds or a Date`)
  return Math.min(Math.max(ms, -MAX_TS), MAX_TS + 1)
}

function count(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} must be a whole number from 1`)
  return value
}

function columnNames(names: readonly string[] | undefined): readonly string[] | null {
  if (names === undefined) return null
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw invalid('columns must be names in an array')
  }
  // The time comes anyway.
  return [...new Set(names)].filter((name) => name !== 'ts')
}

/** @throws StoreError `INVALID_ARGUMENT` */
export function intervalOf(text: string): BucketSpec {
  const bucket = typeof text === 'string' ? parseInterval(text) : undefined
  if (bucket === undefined) throw invalid('an interval is written like 15s, 1m, 4h, 1d, 1w, 1M or 1y')
  return bucket
}

const MAX_NAME = 256

function assertName(what: string, name: unknown): void {
  if (typeof name === 'string' && name !== '' && name.length <= MAX_NAME && !name.includes('\0')) return
  throw invalid(`${what} must be a text of 1 to ${MAX_NAME} characters`)
}

export function invalid(what: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', `The series can't take this: ${what}.`)
}
