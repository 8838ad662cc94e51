/**
 * The one writer of series: appends, deletes and compaction take turns, so that each is planned on what is there. A turn
 * is short; what is long goes in steps, and each step is a transaction of its own.
 */
import { setImmediate } from 'node:timers/promises'
import type {
  CompactionResult,
  Points,
  SeriesAppend,
  SeriesAppended,
  SeriesKey,
  SeriesSpan,
} from '../../protocol/series.ts'
import { StoreError, serializeError } from '../../protocol/store-error.ts'
import type { Committer, TransactionStatements } from '../committer.ts'
import type { BindValue } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { toStoreError } from '../io-error.ts'
import { type AppendPlan, type NewRow, planAppend } from './append-plan.ts'
import { BLOCK_POINTS, blockCuts, type EncodedBlock, encodeBlock } from './block.ts'
import { PointBuffer, sliceOf } from './point-buffer.ts'
import { assertShape, type SeriesCatalog, type SeriesState } from './series-catalog.ts'
import {
  decodeRows,
  decodeWindow,
  nextUp,
  type RunQuery,
  readWindow,
  Selection,
  type SeriesRecord,
} from './window-reader.ts'
import { WriteWatch } from './write-watch.ts'

/** A block of fewer points is merged with its neighbours. */
export const SMALL_BLOCK_POINTS = BLOCK_POINTS / 2
/** The newest rows stay rows: they are corrected most, and a bar that is not closed is corrected with every trade. */
const KEPT_ROWS = 256
const COMPACT_ROWS = 1_024
const COMPACT_LATE_ROWS = 256
const COMPACT_SMALL_BLOCKS = 16
const MERGED_ROWS = 8_192
const DELETED_BLOCKS = 256
const ROWS_PER_STATEMENT = [256, 64, 16, 4, 1] as const

/** Each statement is a round trip through libuv's pool, which beside trading waits behind those of the commits. */
const BLOCKS_PER_STATEMENT = [8, 4, 2, 1] as const
const BLOCK_COLUMNS = '"series", "fromTs", "toTs", "count", "maxStep", "stats", "data"'
const DELETE_BLOCKS = 'DELETE FROM "_blocks" WHERE "id" IN (SELECT "value" FROM json_each(?))'
const INSERT_SERIES =
  'INSERT INTO "_series" ("kind", "symbol", "interval", "identity", "columns") VALUES (?, ?, ?, ?, ?) RETURNING "id"'

const DELETE_BLOCKS_INSIDE =
  'DELETE FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?2 AND "toTs" < ?3 AND "fromTs" >= ?2'
const FORGET_EMPTY = `DELETE FROM "_series" WHERE "id" = ?1
  AND NOT EXISTS (SELECT 1 FROM "_blocks" WHERE "series" = ?1) AND NOT EXISTS (SELECT 1 FROM "_points" WHERE "series" = ?1)`

export interface SeriesWriterOptions {
  readonly dir: string
  readonly committer: Committer | null
  readonly query: RunQuery
  readonly catalog: SeriesCatalog
}

/** A change of one series, planned. */
interface PlannedAppend {
  readonly append: SeriesAppend
  readonly state: SeriesState | undefined
  readonly record: SeriesRecord
  readonly plan: AppendPlan
}

/** What is left of a block that an end of a span lies in. */
interface CutBlock {
  readonly id: number
  readonly blocks: readonly EncodedBlock[]
}

export interface SeriesExchange {
  readonly appends: readonly SeriesAppend[]
  readonly removed: SeriesSpan & { readonly key: SeriesKey }
  readonly watch: WriteWatch
}

export class SeriesWriter {
  readonly #dir: string
  readonly #committer: Committer | null
  readonly #query: RunQuery
  readonly #catalog: SeriesCatalog
  readonly #watches = new Set<WriteWatch>()
  #tail: Promise<unknown> = Promise.resolve()

  constructor({ dir, committer, query, catalog }: SeriesWriterOptions) {
    this.#dir = dir
    this.#committer = committer
    this.#query = query
    this.#catalog = catalog
  }

  /** One transaction for all; what is refused is refused alone. */
  append(appends: readonly SeriesAppend[]): Promise<SeriesAppended[]> {
    return this.#exclusively(() => this.#append(appends))
  }

  /** Deletes the points of a span; one transaction unless they fill very many blocks. */
  async delete(key: SeriesKey, span: SeriesSpan): Promise<void> {
    let isDone = false
    while (!isDone) isDone = await this.#exclusively(() => this.#deleteStep(key, span))
  }

  /** Sees what is written to these series from now on, until it is ended. */
  watch(keys: readonly SeriesKey[], to: number): WriteWatch {
    const watch = new WriteWatch(keys, to, (ended) => this.#watches.delete(ended))
    this.#watches.add(watch)
    return watch
  }

  /**
   * Puts points in the place of others, in one transaction. Does nothing, and says false, when what is watched was written
   * meanwhile: then the points were made from what is not there any more.
   */
  exchange({ appends, removed, watch }: SeriesExchange): Promise<boolean> {
    return this.#exclusively(async () => {
      this.#assertWritable()
      if (watch.isTouched) return false
      const planned: PlannedAppend[] = []
      for (const append of appends) planned.push(await this.#plan(append))
      const { key, ...span } = removed
      const record = await this.#catalog.record(key)
      const cut = record === undefined ? [] : await this.#cutBlocks(record, span)
      try {
        await this.#commit(planned, async (statements) => {
          await failpoint('series-rules:downsampled')
          if (record === undefined) return
          await statements.run(DELETE_BLOCKS_INSIDE, [record.id, span.from, span.to])
          await deleteRest(statements, record.id, span, cut)
        })
      } finally {
        this.#catalog.forget(key)
      }
      this.#tellWatches(key, span.from)
      return true
    })
  }

  /** True when there is something that the compaction in the background should do. */
  needsCompaction(key: SeriesKey): boolean {
    const state = this.#catalog.remembered(key)
    return state !== undefined && isWorthCompacting(state)
  }

  /**
   * Does the next bit of compaction. Null when there is none.
   *
   * @param isFull also what is not worth it yet
   */
  compactStep(key: SeriesKey, isFull: boolean): Promise<CompactionResult | null> {
    return this.#exclusively(() => this.#compactStep(key, isFull))
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#tail
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work)
    this.#tail = result.catch(() => undefined)
    return result
  }

  async #append(appends: readonly SeriesAppend[]): Promise<SeriesAppended[]> {
    this.#assertWritable()
    const results: SeriesAppended[] = []
    const planned: PlannedAppend[] = []
    const seen = new Set<string>()
    for (const append of appends) {
      const name = JSON.stringify(append.key)
      // A second append to a series is planned on what the first has written.
      if (seen.has(name)) {
        await this.#commit(planned.splice(0))
        seen.clear()
      }
      seen.add(name)
      try {
        const one = await this.#plan(append)
        planned.push(one)
        results.push({ written: one.plan.written.ts.length })
      } catch (error) {
        const own = await toStoreError(error, this.#dir)
        if (own.code !== 'INVALID_ARGUMENT') throw own
        results.push({ error: serializeError(own) })
      }
    }
    await this.#commit(planned)
    return results
  }

  async #plan(append: SeriesAppend): Promise<PlannedAppend> {
    const { key, shape, points } = append
    const state = await this.#catalog.state(key, SMALL_BLOCK_POINTS)
    if (state !== undefined) assertShape(state.record, key, shape)
    const record = state?.record ?? { id: 0, symbol: key.symbol, ...shape }
    const plan = await planAppend(this.#query, record, state?.lastTs ?? Number.NEGATIVE_INFINITY, points)
    return { append, state, record, plan }
  }

  /** `also` is done in the same transaction. */
  async #commit(
    planned: readonly PlannedAppend[],
    also?: (statements: TransactionStatements) => Promise<void>,
  ): Promise<void> {
    const changed = planned.filter(({ plan, state }) => state === undefined || plan.written.ts.length > 0)
    if (changed.length === 0 && also === undefined) return
    const made = new Map<PlannedAppend, SeriesRecord>()
    try {
      await this.#transact(async (statements) => {
        await failpoint('series:append-begun')
        const blocks: NewBlock[] = []
        for (const each of changed) {
          const record = each.state?.record ?? (await this.#createSeries(statements, each.append))
          made.set(each, record)
          blocks.push(...blocksOf(record.id, each.plan.blocks))
          await insertRows(statements, record.id, each.plan.rows)
        }
        await insertBlocks(statements, blocks)
        await also?.(statements)
        await failpoint('series:append-before-commit')
      })
    } catch (error) {
      // Whether it was committed is not sure where the disk fails.
      for (const { append } of changed) this.#catalog.forget(append.key)
      throw error
    }
    for (const each of changed) {
      this.#remember(each, made.get(each) as SeriesRecord)
      this.#tellWatches(each.append.key, each.plan.written.ts[0] ?? Number.POSITIVE_INFINITY)
    }
    await failpoint('series:append-committed')
  }

  #remember({ append, plan, state: before }: PlannedAppend, record: SeriesRecord): void {
    const state = before ?? this.#catalog.add(append.key, record)
    if (before === undefined) state.tail.fill({ ts: new Float64Array(0), values: emptyValues(record) }, true)
    state.version += 1
    if (plan.isBeyond) state.tail.append(plan.written)
    else state.tail.correct(plan.written)
    for (const { count } of plan.blocks) if (count < SMALL_BLOCK_POINTS) state.smallBlocks += 1
    if (!plan.isBeyond) state.smallFrom = Number.NEGATIVE_INFINITY
    // Rows before a new block are late ones from now on; that some of them replaced others is of no importance here.
    if (plan.blocks.length > 0) {
      state.lateRows += state.rows + plan.rows.length
      state.rows = 0
    } else if (plan.isBeyond) state.rows += plan.rows.length
    else {
      for (const { ts } of plan.rows) {
        if (ts > state.lastTs) state.rows += 1
        else state.lateRows += 1
      }
    }
    state.lastTs = plan.lastTs
  }

  async #createSeries(statements: TransactionStatements, { key, shape }: SeriesAppend): Promise<SeriesRecord> {
    const { kind, symbol, interval } = key
    const columns = JSON.stringify(shape.columns)
    const [row] = await statements.all(INSERT_SERIES, [kind, symbol, interval, shape.identity, columns])
    return { id: Number(row?.id), symbol, ...shape }
  }

  async #deleteStep(key: SeriesKey, span: SeriesSpan): Promise<boolean> {
    this.#assertWritable()
    const record = await this.#catalog.record(key)
    const { from, to } = span
    if (record === undefined || from >= to) return true
    const inside = await this.#query(
      'SELECT "id" FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?2 AND "toTs" < ?3 AND "fromTs" >= ?2 ORDER BY "toTs" LIMIT ?4',
      [record.id, from, to, DELETED_BLOCKS],
    )
    const isLast = inside.length < DELETED_BLOCKS
    const cut = isLast ? await this.#cutBlocks(record, span) : []
    try {
      await this.#transact(async (statements) => {
        await deleteBlocks(
          statements,
          inside.map(({ id }) => Number(id)),
        )
        if (!isLast) return
        await deleteRest(statements, record.id, span, cut)
      })
    } finally {
      this.#catalog.forget(key)
      this.#tellWatches(key, from)
    }
    return isLast
  }

  /** What is left of the blocks that the ends of the span lie in. */
  async #cutBlocks(record: SeriesRecord, { from, to }: SeriesSpan): Promise<CutBlock[]> {
    const ends = await this.#query(
      `SELECT "id", "fromTs", "toTs", "count", "maxStep", "stats", "data" FROM (
         SELECT * FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?2 ORDER BY "toTs" LIMIT 1
       ) WHERE "fromTs" < ?2
       UNION
       SELECT "id", "fromTs", "toTs", "count", "maxStep", "stats", "data" FROM (
         SELECT * FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?3 ORDER BY "toTs" LIMIT 1
       ) WHERE "fromTs" < ?3`,
      [record.id, from, to],
    )
    return ends.map((row) => {
      const block = row as never
      const kept = new PointBuffer(record.columns)
      const window = { blocks: [block], rows: [], until: null }
      const selection = Selection.all(record)
      decodeWindow(record, selection, window, { from: Number.NEGATIVE_INFINITY, to: from }, kept)
      const before = kept.length
      decodeWindow(record, selection, window, { from: to, to: Number.POSITIVE_INFINITY }, kept)
      const points = kept.points()
      const parts = [sliceOf(points, 0, before), sliceOf(points, before, kept.length)]
      return {
        id: Number(row.id),
        blocks: parts.filter(({ ts }) => ts.length > 0).map(encodeBlock),
      }
    })
  }

  async #compactStep(key: SeriesKey, isFull: boolean): Promise<CompactionResult | null> {
    if (this.#committer === null) return null
    const state = await this.#catalog.state(key, SMALL_BLOCK_POINTS)
    if (state === undefined) return null
    if (state.lateRows >= (isFull ? 1 : COMPACT_LATE_ROWS)) return await this.#mergeLateRows(key, state)
    const kept = isFull ? 0 : KEPT_ROWS
    if (state.rows >= (isFull ? 1 : COMPACT_ROWS + kept)) return await this.#rowsToBlock(key, state, kept)
    if (state.smallBlocks >= (isFull ? 2 : COMPACT_SMALL_BLOCKS))
      return await this.#mergeSmallBlocks(key, state, isFull)
    return null
  }

  /** The first rows that a block lies behind or around go into that block. */
  async #mergeLateRows(key: SeriesKey, state: SeriesState): Promise<CompactionResult | null> {
    const { record } = state
    const [first] = await this.#query(
      `SELECT "ts" FROM "_points" WHERE "series" = ?1
         AND "ts" <= (SELECT max("toTs") FROM "_blocks" WHERE "series" = ?1) ORDER BY "ts" LIMIT 1`,
      [record.id],
    )
    if (first === undefined) return await this.#recount(key)
    const from = Number(first.ts)
    const [next] = await this.#query(
      'SELECT "fromTs", "toTs" FROM "_blocks" WHERE "series" = ?1 AND "toTs" >= ?2 ORDER BY "toTs" LIMIT 1',
      [record.id, from],
    )
    const span = { from: Math.min(from, Number(next?.fromTs)), to: nextUp(Number(next?.toTs)) }
    const window = await readWindow(this.#query, record.id, {
      ...span,
      data: 'all',
      maxBlocks: 2,
      maxRows: MERGED_ROWS,
    })
    const rowsTo = window.until === null ? span.to : window.until
    const merged = new PointBuffer(record.columns)
    // The block is merged whole, also when there are more rows than fit one step.
    decodeWindow(record, Selection.all(record), { ...window, until: null }, span, merged)
    const removed = window.blocks.map(({ id }) => id)
    return await this.#replace(key, state, {
      removed,
      points: merged.points(),
      rows: { from: span.from, to: rowsTo, count: window.rows.length, areLate: true },
    })
  }

  /** The oldest rows behind all blocks become a block. */
  async #rowsToBlock(key: SeriesKey, state: SeriesState, kept: number): Promise<CompactionResult | null> {
    const { record } = state
    const limit = Math.min(BLOCK_POINTS, Math.max(0, state.rows - kept))
    const found = await this.#query(
      `SELECT "ts", "values" FROM "_points" WHERE "series" = ?1
         AND "ts" > ifnull((SELECT max("toTs") FROM "_blocks" WHERE "series" = ?1), -1e300) ORDER BY "ts", "tie" LIMIT ?2`,
      [record.id, limit + 1],
    )
    let count = Math.min(found.length, limit)
    // A time goes whole.
    const timeAt = (index: number) => found[index]?.ts
    if (found.length > limit) while (count > 0 && timeAt(count) === timeAt(count - 1)) count -= 1
    if (count === 0)
      return found.length === 0 ? await this.#recount(key) : await this.#runToBlock(key, state, Number(timeAt(0)))
    const rows = found.slice(0, count) as never
    const to = nextUp(Number(timeAt(count - 1)))
    return await this.#replace(key, state, {
      removed: [],
      points: decodeRows(record, Selection.all(record), rows),
      rows: { from: Number(timeAt(0)), to, count, areLate: false },
    })
  }

  /** All rows of one time, however many. */
  async #runToBlock(key: SeriesKey, state: SeriesState, ts: number): Promise<CompactionResult> {
    const { record } = state
    const rows = await this.#query(
      'SELECT "ts", "values" FROM "_points" WHERE "series" = ? AND "ts" = ? ORDER BY "tie"',
      [record.id, ts],
    )
    return await this.#replace(key, state, {
      removed: [],
      points: decodeRows(record, Selection.all(record), rows as never),
      rows: { from: ts, to: nextUp(ts), count: rows.length, areLate: false },
    })
  }

  /** The first small blocks that are neighbours become one, or full ones. */
  async #mergeSmallBlocks(key: SeriesKey, state: SeriesState, isFull: boolean): Promise<CompactionResult | null> {
    const { record } = state
    const found = await this.#query(
      `SELECT "toTs", "count", "next" FROM (
         SELECT "toTs", "count", lead("count") OVER (ORDER BY "toTs") AS "next" FROM "_blocks"
         WHERE "series" = ?1 AND "toTs" >= ?4
       ) WHERE "count" < ?2 AND "next" + "count" <= ?3 ORDER BY "toTs" LIMIT 1`,
      [record.id, SMALL_BLOCK_POINTS, BLOCK_POINTS, state.smallFrom],
    )
    const [first] = found
    if (first === undefined) {
      state.smallBlocks = 0
      return null
    }
    const from = Number(first.toTs)
    state.smallFrom = from
    const following = await this.#query(
      'SELECT "fromTs", "toTs", "count" FROM "_blocks" WHERE "series" = ? AND "toTs" >= ? ORDER BY "toTs" LIMIT 64',
      [record.id, from],
    )
    let sum = 0
    let taken = 0
    while (taken < following.length && sum + Number(following[taken]?.count) <= BLOCK_POINTS) {
      sum += Number(following[taken]?.count)
      taken += 1
    }
    // The last blocks wait until there are enough of them to make a full one.
    if (!isFull && taken === following.length && taken < COMPACT_SMALL_BLOCKS && sum < SMALL_BLOCK_POINTS) {
      state.smallBlocks = taken
      return null
    }
    const span = { from: Number(following[0]?.fromTs), to: nextUp(Number(following[taken - 1]?.toTs)) }
    const window = await readWindow(this.#query, record.id, { ...span, data: 'all', maxBlocks: taken + 1 })
    const merged = new PointBuffer(record.columns)
    // Rows between them stay where they are.
    decodeWindow(record, Selection.all(record), { ...window, rows: [], until: null }, span, merged)
    return await this.#replace(key, state, {
      removed: window.blocks.map(({ id }) => id),
      points: merged.points(),
      rows: null,
    })
  }

  async #replace(key: SeriesKey, state: SeriesState, change: Replacement): Promise<CompactionResult> {
    const { record } = state
    const { removed, points, rows } = change
    const blocks = await encodeAll(points)
    try {
      await this.#transact(async (statements) => {
        await failpoint('series:compact-begun')
        await deleteBlocks(statements, removed)
        await insertBlocks(statements, blocksOf(record.id, blocks))
        await failpoint('series:compact-blocks-written')
        if (rows !== null) {
          const sql = 'DELETE FROM "_points" WHERE "series" = ? AND "ts" >= ? AND "ts" < ?'
          await statements.run(sql, [record.id, rows.from, rows.to])
        }
        await failpoint('series:compact-before-commit')
      })
    } catch (error) {
      this.#catalog.forget(key)
      throw error
    }
    state.version += 1
    if (rows?.areLate) state.lateRows = Math.max(0, state.lateRows - rows.count)
    else if (rows !== null) state.rows = Math.max(0, state.rows - rows.count)
    if (rows === null) state.smallBlocks = Math.max(0, state.smallBlocks - removed.length)
    for (const { count } of blocks) if (count < SMALL_BLOCK_POINTS) state.smallBlocks += 1
    if (rows?.areLate) state.smallFrom = Number.NEGATIVE_INFINITY
    return { blocksWritten: blocks.length, rowsMerged: rows?.count ?? 0 }
  }

  /** What is remembered was an estimate that is used up. */
  async #recount(key: SeriesKey): Promise<CompactionResult | null> {
    this.#catalog.forget(key)
    return { blocksWritten: 0, rowsMerged: 0 }
  }

  #tellWatches(key: SeriesKey, firstTs: number): void {
    for (const watch of this.#watches) watch.see(key, firstTs)
  }

  async #transact(work: (statements: TransactionStatements) => Promise<void>): Promise<void> {
    this.#assertWritable()
    await (this.#committer as Committer).transact((_connection, statements) => work(statements))
  }

  #assertWritable(): void {
    if (this.#committer !== null) return
    throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
  }
}

interface Replacement {
  readonly removed: readonly number[]
  readonly points: Points
  readonly rows: {
    readonly from: number
    readonly to: number
    readonly count: number
    readonly areLate: boolean
  } | null
}

function isWorthCompacting({ rows, lateRows, smallBlocks }: SeriesState): boolean {
  return lateRows >= COMPACT_LATE_ROWS || rows >= COMPACT_ROWS + KEPT_ROWS || smallBlocks >= COMPACT_SMALL_BLOCKS
}

/** Between the blocks the worker takes commits. */
async function encodeAll(points: Points): Promise<EncodedBlock[]> {
  const blocks: EncodedBlock[] = []
  let start = 0
  for (const end of blockCuts(points.ts)) {
    await setImmediate()
    blocks.push(encodeBlock(sliceOf(points, start, end)))
    start = end
  }
  return blocks
}

function emptyValues({ columns }: SeriesRecord): (Float64Array | string[])[] {
  return columns.map(({ type }) => (type === 'number' ? new Float64Array(0) : []))
}

/** Rows, and blocks that lie in the span in part; then the series itself, if nothing is left of it. */
async function deleteRest(
  statements: TransactionStatements,
  series: number,
  { from, to }: SeriesSpan,
  cut: readonly CutBlock[],
): Promise<void> {
  await deleteBlocks(
    statements,
    cut.map(({ id }) => id),
  )
  await insertBlocks(
    statements,
    cut.flatMap(({ blocks }) => blocksOf(series, blocks)),
  )
  await statements.run('DELETE FROM "_points" WHERE "series" = ? AND "ts" >= ? AND "ts" < ?', [series, from, to])
  await statements.run(FORGET_EMPTY, [series])
  await failpoint('series:delete-before-commit')
}

interface NewBlock extends EncodedBlock {
  readonly series: number
}

async function insertBlocks(statements: TransactionStatements, blocks: readonly NewBlock[]): Promise<void> {
  let at = 0
  while (at < blocks.length) {
    const count = BLOCKS_PER_STATEMENT.find((each) => each <= blocks.length - at) as number
    const parameters = blocks
      .slice(at, at + count)
      .flatMap(({ series, fromTs, toTs, count, maxStep, stats, data }): BindValue[] => [
        series,
        fromTs,
        toTs,
        count,
        maxStep,
        stats,
        data,
      ])
    const values = new Array(count).fill('(?, ?, ?, ?, ?, ?, ?)').join(', ')
    await statements.run(`INSERT INTO "_blocks" (${BLOCK_COLUMNS}) VALUES ${values}`, parameters)
    at += count
  }
}

function blocksOf(series: number, blocks: readonly EncodedBlock[]): NewBlock[] {
  return blocks.map((block) => ({ series, ...block }))
}

async function deleteBlocks(statements: TransactionStatements, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await statements.run(DELETE_BLOCKS, [JSON.stringify(ids)])
}

async function insertRows(statements: TransactionStatements, series: number, rows: readonly NewRow[]): Promise<void> {
  let at = 0
  while (at < rows.length) {
    const count = ROWS_PER_STATEMENT.find((each) => each <= rows.length - at) as number
    const parameters: BindValue[] = [series]
    for (const { ts, tie, values } of rows.slice(at, at + count)) parameters.push(ts, tie, values)
    await statements.run(insertRowsSql(count), parameters)
    at += count
  }
}

function insertRowsSql(count: number): string {
  const values = Array.from({ length: count }, (_, row) => `(?1, ?${row * 3 + 2}, ?${row * 3 + 3}, ?${row * 3 + 4})`)
  return `INSERT INTO "_points" ("series", "ts", "tie", "values") VALUES ${values.join(', ')}
    ON CONFLICT DO UPDATE SET "values" = excluded."values"`
}
