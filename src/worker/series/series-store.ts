/**
 * Series in `market.db`: recent points in a row table, the rest in blocks of encoded columns. What is read leaves as typed
 * arrays whose buffers are handed over to the other thread, decoded in pieces between which the worker takes commits.
 */
import { transfer } from 'comlink'
import type { SeriesMaintenance } from '../../protocol/maintenance.ts'
import type {
  CompactionResult,
  Points,
  SeriesAggregate,
  SeriesAppend,
  SeriesAppended,
  SeriesColumn,
  SeriesGap,
  SeriesGapsRequest,
  SeriesInfo,
  SeriesKey,
  SeriesKind,
  SeriesMethods,
  SeriesPage,
  SeriesPageRequest,
  SeriesPoints,
  SeriesRangeRequest,
  SeriesResampleRequest,
  SeriesSpan,
  SeriesStatus,
} from '../../protocol/series.ts'
import { WHOLE_SPAN } from '../../protocol/series.ts'
import { isStoreError, StoreError } from '../../protocol/store-error.ts'
import type { FileBackend } from '../file-backend.ts'
import { toStoreError } from '../io-error.ts'
import { aggregateSeries } from './aggregate.ts'
import { BLOCK_POINTS } from './block.ts'
import { Compactor } from './compactor.ts'
import { findGaps } from './gaps.ts'
import { PointBuffer, sliceOf } from './point-buffer.ts'
import { neededColumns, RESAMPLED_COLUMNS, Resampler, sourceOf } from './resample.ts'
import { SeriesCatalog } from './series-catalog.ts'
import { readInfo } from './series-info.ts'
import { seriesStatus } from './series-status.ts'
import { TAIL_POINTS } from './series-tail.ts'
import { type SeriesExchange, SeriesWriter } from './series-writer.ts'
import {
  decodeWindow,
  nextUp,
  type RunQuery,
  readWindows,
  Selection,
  type SeriesRecord,
  WINDOW_BLOCKS,
} from './window-reader.ts'
import type { WriteWatch } from './write-watch.ts'

export const SERIES_METHODS = [
  'seriesAppend',
  'seriesRange',
  'seriesPage',
  'seriesLast',
  'seriesAggregate',
  'seriesResample',
  'seriesGaps',
  'seriesDelete',
  'seriesList',
  'seriesInfo',
  'seriesCompact',
] as const satisfies readonly (keyof SeriesMethods)[]

export interface SeriesStoreOptions {
  readonly dir: string
  readonly market: FileBackend
  /** Rises with every commit of state. */
  readonly commits: () => number
}

export class SeriesStore implements SeriesMethods {
  readonly #dir: string
  readonly #query: RunQuery
  readonly #catalog: SeriesCatalog
  readonly #writer: SeriesWriter
  readonly #compactor: Compactor

  constructor({ dir, market, commits }: SeriesStoreOptions) {
    this.#dir = dir
    this.#query = (sql, parameters) => market.readers.query(sql, parameters)
    this.#catalog = new SeriesCatalog(this.#query, market.committer !== null)
    this.#writer = new SeriesWriter({
      dir,
      committer: market.committer,
      query: this.#query,
      catalog: this.#catalog,
    })
    this.#compactor = new Compactor(this.#writer, commits)
  }

  async status(): Promise<SeriesStatus> {
    return await this.#ownErrors(() => seriesStatus(this.#query))
  }

  async seriesAppend({ appends }: { readonly appends: readonly SeriesAppend[] }): Promise<readonly SeriesAppended[]> {
    const results = await this.#ownErrors(() => this.#writer.append(appends))
    for (const { key } of appends) this.#compactor.consider(key)
    return results
  }

  async seriesRange(request: SeriesRangeRequest): Promise<SeriesPoints | null> {
    const { key, columns, limit, maxPoints } = request
    return await this.#reading(key, async (series) => {
      const selection = Selection.of(series, columns)
      const capacity = await this.#upperBound(series, request)
      const points = new PointBuffer(selection.columns, Math.min(capacity, limit, maxPoints))
      const maxBlocks = Math.min(WINDOW_BLOCKS, Math.ceil(limit / BLOCK_POINTS) + 1)
      let from = request.from
      for await (const window of readWindows(this.#query, series.id, request, { maxBlocks, points: limit })) {
        decodeWindow(series, selection, window, { from, to: request.to }, points)
        from = window.until ?? request.to
        if (points.length >= limit) break
        if (points.length > maxPoints) throw tooLarge(key, maxPoints)
      }
      points.truncate(limit)
      if (points.length > maxPoints) throw tooLarge(key, maxPoints)
      return handOver({ columns: selection.columns, ...points.points() })
    })
  }

  async seriesPage(request: SeriesPageRequest): Promise<SeriesPage | null> {
    const { key, columns, chunk } = request
    return await this.#reading(key, async (series) => {
      const selection = Selection.of(series, columns)
      const points = new PointBuffer(selection.columns, chunk + BLOCK_POINTS)
      const maxBlocks = Math.min(WINDOW_BLOCKS, Math.ceil(chunk / BLOCK_POINTS) + 1)
      let next: number | null = request.from
      for await (const window of readWindows(this.#query, series.id, request, { maxBlocks, points: chunk })) {
        decodeWindow(series, selection, window, { from: next as number, to: request.to }, points)
        next = window.until
        // A window holds a time whole.
        if (points.length >= chunk) break
      }
      let end = Math.min(chunk, points.length)
      // A time goes whole, so that the next page begins behind it.
      while (end < points.length && points.ts[end] === points.ts[end - 1]) end += 1
      if (end < points.length) next = nextUp(points.ts[end - 1] as number)
      points.truncate(end)
      return handOver({ columns: selection.columns, ...points.points(), next })
    })
  }

  async seriesLast(request: {
    readonly key: SeriesKey
    readonly count: number
    readonly columns: readonly string[] | null
  }): Promise<SeriesPoints | null> {
    const { key, count, columns } = request
    const remembered = this.#catalog.remembered(key)
    const known = remembered?.tail.last(count)
    if (remembered !== undefined && known !== undefined) return handOver(selected(remembered.record, columns, known))
    return await this.#reading(key, async (series) => {
      const state = this.#catalog.remembered(key)
      const version = state?.version
      const wanted = Math.max(count, TAIL_POINTS)
      const { points, isWhole } = await this.#lastOf(series, state === undefined ? count : wanted)
      if (state !== undefined && state === this.#catalog.remembered(key) && state.version === version) {
        state.tail.fill(points, isWhole)
      }
      const start = Math.max(0, points.ts.length - count)
      return handOver(selected(series, columns, sliceOf(points, start, points.ts.length)))
    })
  }

  async seriesAggregate(
    request: SeriesSpan & { readonly key: SeriesKey; readonly columns: readonly string[] | null },
  ): Promise<SeriesAggregate | null> {
    return await this.#reading(request.key, (series) =>
      aggregateSeries(this.#query, series, Selection.of(series, request.columns), request),
    )
  }

  async seriesResample(request: SeriesResampleRequest): Promise<SeriesPoints | null> {
    const { key, bucket, maxPoints } = request
    return await this.#reading(key, async (series) => {
      const source = sourceOf(key.kind, series.columns)
      if (source === undefined) throw noBars(key)
      const selection = Selection.of(series, neededColumns(source))
      const resampler = new Resampler(bucket, source)
      const points = new PointBuffer(selection.columns, WINDOW_BLOCKS * BLOCK_POINTS)
      let from = request.from
      for await (const window of readWindows(this.#query, series.id, request)) {
        points.truncate(0)
        decodeWindow(series, selection, window, { from, to: request.to }, points)
        from = window.until ?? request.to
        resampler.add(points)
        if (resampler.bars.length > maxPoints) throw tooLarge(key, maxPoints)
      }
      return handOver({ columns: RESAMPLED_COLUMNS, ...resampler.bars.points() })
    })
  }

  async seriesGaps({ key, bucket, maxGaps, ...span }: SeriesGapsRequest): Promise<readonly SeriesGap[] | null> {
    return await this.#reading(key, (series) => findGaps(this.#query, series, bucket, span, maxGaps))
  }

  async seriesDelete({
    key,
    ...span
  }: SeriesSpan & { readonly key: SeriesKey }): Promise<{ readonly deleted: number }> {
    return await this.#ownErrors(async () => {
      const record = await this.#catalog.record(key)
      if (record === undefined) return { deleted: 0 }
      const { count } = await aggregateSeries(this.#query, record, Selection.of(record, []), span)
      await this.#writer.delete(key, span)
      return { deleted: count }
    })
  }

  async seriesList({ kind }: { readonly kind: SeriesKind | null }): Promise<readonly SeriesInfo[]> {
    return await this.#ownErrors(() => readInfo(this.#query, { kind, symbol: null, interval: null }))
  }

  async seriesInfo({ key }: { readonly key: SeriesKey }): Promise<SeriesInfo | null> {
    return await this.#ownErrors(async () => (await readInfo(this.#query, key))[0] ?? null)
  }

  async seriesCompact({ key }: { readonly key: SeriesKey | null }): Promise<CompactionResult> {
    return await this.#ownErrors(async () => {
      const keys = key === null ? await this.seriesList({ kind: null }) : [key]
      const total = { blocksWritten: 0, rowsMerged: 0 }
      for (const each of keys) {
        const { blocksWritten, rowsMerged } = await this.#compactor.compact(each, true)
        total.blocksWritten += blocksWritten
        total.rowsMerged += rowsMerged
      }
      return total
    })
  }

  /** Of all series, for maintenance. One that is damaged does not keep the others from it; `check` names it. */
  async compactAll(isFull: boolean, isStopped: () => boolean): Promise<SeriesMaintenance> {
    const total = { blocksWritten: 0, rowsMerged: 0, damaged: 0 }
    for (const key of await this.#ownErrors(() => this.#catalog.keys())) {
      try {
        const { blocksWritten, rowsMerged } = await this.#ownErrors(() =>
          this.#compactor.compact(key, isFull, isStopped),
        )
        total.blocksWritten += blocksWritten
        total.rowsMerged += rowsMerged
      } catch (error) {
        if (!isStoreError(error) || error.code !== 'STORE_CORRUPT') throw error
        total.damaged += 1
      }
    }
    return total
  }

  watch(keys: readonly SeriesKey[], to: number): WriteWatch {
    return this.#writer.watch(keys, to)
  }

  /** @throws StoreError `INVALID_ARGUMENT` when a series refuses the points; then nothing was done */
  async exchange(exchange: SeriesExchange): Promise<boolean> {
    const isDone = await this.#ownErrors(() => this.#writer.exchange(exchange))
    for (const { key } of exchange.appends) this.#compactor.consider(key)
    return isDone
  }

  /** Before the files close. */
  async close(): Promise<void> {
    await this.#compactor.end()
    await this.#writer.settled()
  }

  async #lastOf(series: SeriesRecord, count: number): Promise<{ readonly points: Points; readonly isWhole: boolean }> {
    const selection = Selection.all(series)
    let blocks = Math.ceil(count / BLOCK_POINTS)
    for (;;) {
      const [start] = await this.#query(
        `SELECT min("fromTs") AS "from", count(*) AS "blocks",
           (SELECT "ts" FROM "_points" WHERE "series" = ?1
              AND "ts" > ifnull((SELECT max("toTs") FROM "_blocks" WHERE "series" = ?1), -1e300)
              ORDER BY "ts" DESC, "tie" DESC LIMIT 1 OFFSET ?3) AS "row"
         FROM (SELECT "fromTs" FROM "_blocks" WHERE "series" = ?1 ORDER BY "toTs" DESC LIMIT ?2)`,
        [series.id, blocks, count - 1],
      )
      const inRows = start?.row ?? null
      const isAll = inRows === null && Number(start?.blocks) < blocks
      const from = inRows !== null ? Number(inRows) : isAll ? WHOLE_SPAN.from : Number(start?.from)
      const points = new PointBuffer(series.columns)
      const span = { from, to: WHOLE_SPAN.to }
      let at = from
      for await (const window of readWindows(this.#query, series.id, span)) {
        decodeWindow(series, selection, window, { from: at, to: span.to }, points)
        at = window.until ?? span.to
      }
      if (isAll || points.length >= count) return { points: points.points(), isWhole: isAll }
      blocks *= 2
    }
  }

  /** No fewer points than there are in the span. @throws StoreError `RESULT_TOO_LARGE` when it is sure */
  async #upperBound(series: SeriesRecord, { key, from, to, limit, maxPoints }: SeriesRangeRequest): Promise<number> {
    const [row] = await this.#query(
      `SELECT ifnull(sum("count"), 0) AS "points",
         ifnull(sum(CASE WHEN "fromTs" >= ?2 AND "toTs" < ?3 THEN "count" ELSE 0 END), 0) AS "inside",
         (SELECT count(*) FROM "_points" WHERE "series" = ?1 AND "ts" >= ?2 AND "ts" < ?3) AS "rows"
       FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?2 AND "fromTs" < ?3
         AND "toTs" <= ifnull((SELECT "toTs" FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?3 ORDER BY "toTs" LIMIT 1), 1e300)`,
      [series.id, from, to],
    )
    if (Math.min(limit, Number(row?.inside)) > maxPoints) throw tooLarge(key, maxPoints)
    return Number(row?.points) + Number(row?.rows)
  }

  async #reading<T>(key: SeriesKey, work: (series: SeriesRecord) => Promise<T>): Promise<T | null> {
    return await this.#ownErrors(async () => {
      const series = await this.#catalog.record(key)
      return series === undefined ? null : await work(series)
    })
  }

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}

/** The buffers change hands with the answer; nothing else may hold them. */
function handOver<T extends Points>(points: T): T {
  const buffers = new Set<ArrayBuffer>([points.ts.buffer as ArrayBuffer])
  for (const values of points.values) {
    if (values instanceof Float64Array) buffers.add(values.buffer as ArrayBuffer)
  }
  return transfer(points, [...buffers])
}

function selected(
  series: SeriesRecord,
  names: readonly string[] | null,
  points: Points,
): Points & { readonly columns: readonly SeriesColumn[] } {
  const { columns, indexes } = Selection.of(series, names)
  return { columns, ts: points.ts, values: indexes.map((index) => points.values[index] as Float64Array) }
}

function tooLarge({ symbol }: SeriesKey, maxPoints: number): StoreError {
  return new StoreError(
    'RESULT_TOO_LARGE',
    `The range of "${symbol}" holds more than ${maxPoints} points. Read it in pieces with scan, or raise maxPoints.`,
    { details: { symbol, maxPoints } },
  )
}

function noBars({ kind, symbol }: SeriesKey): StoreError {
  return new StoreError('INVALID_ARGUMENT', `"${symbol}" (${kind}) has no columns that bars can be made of.`, {
    details: { kind, symbol },
  })
}
