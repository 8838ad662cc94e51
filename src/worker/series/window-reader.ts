/**
 * Reads a series piece by piece. One statement answers for a window of time: its blocks and the rows that lie beside them
 * or over them, as of one moment, so that compaction between two windows neither hides nor doubles a point.
 */
import { MAX_TS, type Points, type SeriesColumn, type SeriesShape, type SeriesSpan } from '../../protocol/series.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { BindValue, Row } from '../driver.ts'
import { BLOCK_POINTS, decodeBlock } from './block.ts'
import { DamagedColumnError } from './codec/damaged-column.ts'
import { mergePoints } from './merge-points.ts'
import { lowerBound, PointBuffer, sliceOf } from './point-buffer.ts'
import { decodeRow } from './row-values.ts'
import { idColumn } from './tie.ts'

export const WINDOW_BLOCKS = 8
const WINDOW_ROWS = 8_192
/** As many as there are slots for reads. */
const MAX_UNDER_WAY = 2
const PLANNED_WINDOWS = 64

export type RunQuery = (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>

export interface SeriesRecord extends SeriesShape {
  readonly id: number
  readonly symbol: string
}

export interface StoredBlock {
  readonly id: number
  readonly fromTs: number
  readonly toTs: number
  readonly count: number
  readonly maxStep: number
  readonly stats: Uint8Array
  /** Null where it was not asked for and no row and no end of the span lies inside. */
  readonly data: Uint8Array | null
}

export interface Window {
  readonly blocks: readonly StoredBlock[]
  readonly rows: readonly StoredRow[]
  /** What lies before it has been read; null at the end of the span. */
  readonly until: number | null
}

export interface StoredRow {
  readonly ts: number
  readonly values: Uint8Array
}

export interface WindowOptions extends SeriesSpan {
  /** Default 8. */
  readonly maxBlocks?: number
  /** Default: rows that a few blocks would hold. */
  readonly maxRows?: number
  /** Of all blocks, or only of those that their statistics do not answer for. */
  readonly data: 'all' | 'partial'
}

const BLOCKS = `
  WITH b AS MATERIALIZED (
    SELECT "id", "fromTs", "toTs" FROM "_blocks"
    WHERE "series" = ?1 AND "toTs" >= ?2 AND "fromTs" < ?3
      AND "toTs" <= ifnull((SELECT "toTs" FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?3 ORDER BY "toTs" LIMIT 1), 1e300)
    ORDER BY "toTs" LIMIT ?4
  )`
const BLOCK_FIELDS = '"_blocks"."id", "_blocks"."fromTs", "_blocks"."toTs", "count", "maxStep", "stats"'
const ROWS = `
  SELECT 1, NULL, "ts", NULL, NULL, NULL, NULL, "values" FROM (
    SELECT "ts", "values" FROM "_points"
    WHERE "series" = ?1 AND "ts" >= ?2 AND "ts" < ?3
      AND "ts" <= (SELECT CASE WHEN count(*) = ?4 THEN max("toTs") ELSE 1e300 END FROM b)
    ORDER BY "ts", "tie" LIMIT ?5
  )`
const PARTIAL = `CASE WHEN b."fromTs" < ?2 OR b."toTs" >= ?3 OR EXISTS (
    SELECT 1 FROM "_points" WHERE "series" = ?1 AND "ts" >= b."fromTs" AND "ts" <= b."toTs"
  ) THEN "data" END`
const FROM_BLOCKS = 'FROM b JOIN "_blocks" ON "_blocks"."id" = b."id"'
const SQL = {
  all: `${BLOCKS} SELECT 0 AS "tier", ${BLOCK_FIELDS}, "data" ${FROM_BLOCKS} UNION ALL ${ROWS}`,
  partial: `${BLOCKS} SELECT 0 AS "tier", ${BLOCK_FIELDS}, ${PARTIAL} AS "data" ${FROM_BLOCKS} UNION ALL ${ROWS}`,
} as const

export async function readWindow(query: RunQuery, seriesId: number, options: WindowOptions): Promise<Window> {
  const { from, to, maxBlocks = WINDOW_BLOCKS, maxRows = WINDOW_ROWS, data } = options
  const found = await query(SQL[data], [seriesId, from, to, maxBlocks, maxRows])
  const blocks: StoredBlock[] = []
  const rows: StoredRow[] = []
  for (const row of found) {
    if (row.tier === 0) blocks.push(row as unknown as StoredBlock)
    else rows.push({ ts: row.fromTs as number, values: row.data as Uint8Array })
  }
  blocks.sort((a, b) => a.toTs - b.toTs)
  if (rows.length === maxRows) {
    const last = rows[rows.length - 1] as StoredRow
    const whole = rows.findIndex(({ ts }) => ts === last.ts)
    // All of one time: only a larger window can end behind it.
    if (whole === 0) return await readWindow(query, seriesId, { ...options, maxRows: maxRows * 4 })
    return {
      blocks: blocks.filter(({ fromTs }) => fromTs < last.ts),
      rows: rows.slice(0, whole),
      until: last.ts,
    }
  }
  const until = blocks.length === maxBlocks ? nextUp((blocks[maxBlocks - 1] as StoredBlock).toTs) : null
  return { blocks, rows, until: until !== null && until >= to ? null : until }
}

/** Where each `?4`th block of a span ends. */
const BORDERS = `
  SELECT "toTs" FROM (
    SELECT "toTs", row_number() OVER (ORDER BY "toTs") AS "place" FROM "_blocks"
    WHERE "series" = ?1 AND "toTs" >= ?2 AND "toTs" < ?3 ORDER BY "toTs" LIMIT ?4 * ?5
  ) WHERE "place" % ?4 = 0`

export interface ReadAhead {
  /** Of a window; default 8. */
  readonly maxBlocks?: number
  /** No more is read ahead than holds so many points; default all of it. */
  readonly points?: number
}

/**
 * All windows of a span with their blocks. The next two are read while the caller is at work on one, so that two threads
 * decrypt beside it: where they begin is planned from the index, and holds whatever is written meanwhile.
 */
export async function* readWindows(
  query: RunQuery,
  seriesId: number,
  { from, to }: SeriesSpan,
  { maxBlocks = WINDOW_BLOCKS, points = Number.POSITIVE_INFINITY }: ReadAhead = {},
): AsyncGenerator<Window> {
  const read = (start: number, end: number) =>
    readWindow(query, seriesId, { from: start, to: end, maxBlocks, data: 'all' })
  const plan = async (start: number) => {
    const rows = await query(BORDERS, [seriesId, start, to, maxBlocks, PLANNED_WINDOWS])
    return rows.map(({ toTs }) => nextUp(toTs as number)).filter((border) => border < to)
  }
  const first = await read(from, to)
  let missing = points - pointsOf(first)
  const { until } = first
  let planned = until === null || missing <= 0 ? undefined : inBackground(plan(until))
  yield first
  let start = until
  while (start !== null) {
    const borders = await (planned ?? plan(start))
    planned = undefined
    const ends = borders.length < PLANNED_WINDOWS ? [...borders, to] : borders
    const underWay: Promise<Window>[] = []
    let begin = start
    let started = 0
    const readAhead = () => {
      while (started < ends.length && underWay.length < MAX_UNDER_WAY && (underWay.length === 0 || missing > 0)) {
        const end = ends[started++] as number
        underWay.push(inBackground(read(begin, end)))
        begin = end
        missing -= maxBlocks * BLOCK_POINTS
      }
    }
    for (const end of ends) {
      readAhead()
      let window = (await underWay.shift()) as Window
      if (missing > 0) readAhead()
      // More lies there than was planned for.
      while (window.until !== null) {
        yield window
        window = await read(window.until, end)
      }
      yield end === to ? window : { ...window, until: end }
    }
    const last = ends[ends.length - 1] as number
    start = last === to ? null : last
  }
}

/** No fewer than a window holds. */
function pointsOf({ blocks, rows }: Window): number {
  return blocks.reduce((sum, { count }) => sum + count, rows.length)
}

/** Whoever stops early does not hear of its failure. */
function inBackground<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined)
  return work
}

/** Each block of a window with the rows that lie before its end and behind the one before; then the rows behind all blocks. */
export function* blocksWithRows({
  blocks,
  rows,
}: Window): Generator<{ readonly block: StoredBlock | null; readonly rows: readonly StoredRow[] }> {
  let row = 0
  for (const block of blocks) {
    const first = row
    while (row < rows.length && (rows[row]?.ts as number) <= block.toTs) row += 1
    yield { block, rows: rows.slice(first, row) }
  }
  yield { block: null, rows: rows.slice(row) }
}

/** The columns of a result: which of those of the series, and where they are. */
export class Selection {
  readonly columns: readonly SeriesColumn[]
  readonly indexes: readonly number[]

  private constructor(series: SeriesShape, indexes: readonly number[]) {
    this.indexes = indexes
    this.columns = indexes.map((index) => series.columns[index] as SeriesColumn)
  }

  static all(series: SeriesShape): Selection {
    return new Selection(
      series,
      series.columns.map((_, index) => index),
    )
  }

  /** @throws StoreError `INVALID_ARGUMENT` for a column that the series has not */
  static of(series: SeriesRecord, names: readonly string[] | null): Selection {
    if (names === null) return Selection.all(series)
    const known = series.columns.map(({ name }) => name)
    const unknown = names.find((name) => !known.includes(name))
    if (unknown !== undefined) {
      throw new StoreError('INVALID_ARGUMENT', `This series has no column "${unknown}". It has ${known.join(', ')}.`, {
        details: { symbol: series.symbol, column: unknown },
      })
    }
    return new Selection(
      series,
      names.map((name) => known.indexOf(name)),
    )
  }

  /** With the column of ids, which tell points apart where rows are merged into blocks. */
  withId(series: SeriesShape): Selection {
    const id = idColumn(series)
    return id < 0 || this.indexes.includes(id) ? this : new Selection(series, [...this.indexes, id])
  }
}

/** Appends the points of a window to `into`, rows over blocks. @throws StoreError `STORE_CORRUPT` */
export function decodeWindow(
  series: SeriesRecord,
  selection: Selection,
  { blocks, rows, until }: Window,
  { from, to }: SeriesSpan,
  into: PointBuffer,
): void {
  const end = until === null ? to : until
  const overlay = rows.length === 0 ? null : decodeRows(series, selection.withId(series), rows)
  let at = 0
  for (const block of blocks) {
    const first = overlay === null ? 0 : lowerBound(overlay.ts, block.fromTs)
    const behind = overlay === null ? 0 : lowerBound(overlay.ts, nextUp(block.toTs))
    if (overlay !== null && first > at) appendSelected(into, overlay, at, first)
    if (overlay === null || behind === Math.max(first, at)) {
      decodeStored(series, selection, block, { from, to: end }, into)
    } else {
      const withId = selection.withId(series)
      const own = new PointBuffer(withId.columns)
      decodeStored(series, withId, block, { from, to: end }, own)
      const merged = new PointBuffer(withId.columns)
      const id = withId.columns.findIndex((_, index) => withId.indexes[index] === idColumn(series))
      mergePoints(series.identity, id, own.points(), sliceOf(overlay, first, behind), merged)
      appendSelected(into, merged.points(), 0, merged.length)
    }
    at = Math.max(at, behind)
  }
  if (overlay !== null) appendSelected(into, overlay, at, overlay.ts.length)
}

/** `from` may have the id as one column more. */
function appendSelected(into: PointBuffer, from: Points, start: number, end: number): void {
  into.append({ ts: from.ts, values: from.values.slice(0, into.columns.length) }, start, end)
}

/** Decodes a block and keeps of it what lies in the span. */
function decodeStored(
  series: SeriesRecord,
  selection: Selection,
  block: StoredBlock,
  { from, to }: SeriesSpan,
  into: PointBuffer,
): void {
  const { data, count, fromTs, toTs } = block
  const at = into.length
  guarded(series, block, () => {
    if (data === null) throw new DamagedColumnError('it was not read')
    decodeBlock(series.columns, selection.indexes, { data, count }, into)
    if (into.ts[at] !== fromTs || into.ts[at + count - 1] !== toTs) {
      throw new DamagedColumnError('its times are others than its row says')
    }
  })
  if (toTs >= to) into.truncate(at + lowerBound(into.ts.subarray(at, at + count), to))
  if (fromTs < from) cutOut(into, at, lowerBound(into.ts.subarray(at, into.length), from))
}

/** Takes `count` points out at `at`. */
function cutOut(into: PointBuffer, at: number, count: number): void {
  if (count === 0) return
  const kept = into.copy(at + count, into.length)
  into.truncate(at)
  into.append(kept, 0, kept.ts.length)
}

export function decodeRows(series: SeriesRecord, selection: Selection, rows: readonly StoredRow[]): Points {
  const into = new PointBuffer(selection.columns, rows.length)
  into.length = rows.length
  for (const [index, { ts, values }] of rows.entries()) {
    into.ts[index] = ts
    guarded(series, { fromTs: ts, toTs: ts }, () =>
      decodeRow(series.columns, selection.indexes, values, into.values, index),
    )
  }
  return into.points()
}

function guarded(series: SeriesRecord, { fromTs, toTs }: { fromTs: number; toTs: number }, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof DamagedColumnError)) throw error
    throw damaged(series, fromTs, toTs, error)
  }
}

export function damaged(series: SeriesRecord, fromTs: number, toTs: number, cause: unknown): StoreError {
  return new StoreError(
    'STORE_CORRUPT',
    `Points of the series "${series.symbol}" from ${fromTs} to ${toTs} are damaged. Nothing was changed; restore a backup, or delete that span and load it again.`,
    { details: { symbol: series.symbol, from: fromTs, to: toTs }, cause },
  )
}

const double = new Float64Array(1)
const bits = new BigInt64Array(double.buffer)

/** The next larger double. */
export function nextUp(value: number): number {
  if (value >= MAX_TS + 1) return value
  double[0] = value === 0 ? 0 : value
  bits[0] = (bits[0] as bigint) + (value >= 0 ? 1n : -1n)
  return double[0] as number
}
