/**
 * Moves closed trades into yearly files, piece by piece. Each piece is copied into its yearly file under the number of a
 * move that does not count yet, and is durable there, beside the commits. Then one transaction on `state.db`, between two
 * commits, makes sure that nothing of it has changed, deletes it and lets the move count. Killed before that
 * transaction, all of the piece is in `state.db`, and what was copied counts for nobody and is removed by the next run;
 * killed after it, all of it is in the yearly file.
 */

import { StoreError } from '../../protocol/store-error.ts'
import type { ArchiveCounts, ArchiveTradesRequest, ArchiveTradesResult } from '../../protocol/trade-archive.ts'
import type { Committer } from '../committer.ts'
import { type BindValue, type Connection, queryOnce, type Row } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { quoteName } from '../quote.ts'
import { yearlyDatabase, yearlyFiles } from '../store-files.ts'
import { type ArchivePlan, type MovedSpecs, NOT_FINAL, type PlannedYear, planArchive } from './archive-plan.ts'
import { type ForeignReference, foreignReferences, isReferencedSql } from './foreign-references.ts'
import { attachYearlyFile, createYearlyFile, type YearlyFileAccess } from './yearly-file.ts'
import { lastMoveSql, MOVED_COLUMNS, schemaOf, yearlyTable } from './yearly-tables.ts'

/** How long commits may wait for a piece; pieces grow and shrink with what they take. */
const PAUSE_MS = 3
const FIRST_PIECE_ROWS = 60
const LEAST_PIECE_ROWS = 10
const MOST_PIECE_ROWS = 1_000
/** Pieces after which the log of a yearly file is moved into it. */
const PIECES_PER_CHECKPOINT = 100

export interface TradeMoverOptions extends YearlyFileAccess {
  readonly specs: MovedSpecs
  readonly committer: Committer
  /** A connection to `state.db` that may write, with nothing attached. */
  readonly open: () => Promise<Connection>
  /** True once the store is being closed: what is under way ends after its piece. */
  readonly isEnding: () => boolean
}

/** A row as it was copied. */
type Moved = readonly [id: number, sequence: number]

/** JSON arrays: `[row id, position or null]` of trades, and the positions. */
interface Lists {
  readonly trades: string
  readonly positions: string
}

interface Piece {
  readonly year: number
  readonly move: number
  readonly lists: Lists
  readonly trades: readonly Moved[]
  readonly orders: readonly Moved[]
  readonly fills: readonly Moved[]
}

interface Range {
  readonly from: number
  readonly to: number
}

const MOVED = ['trades', 'orders', 'fills'] as const

const listed = (list: string) => `SELECT "value" FROM json_each(${list})`

/** True of the rows of a piece; `list` is the parameter with the trades, or for the others with the positions. */
const memberSql: Readonly<Record<keyof MovedSpecs, (list: string) => string>> = {
  trades: (list) => `"_id" IN (SELECT "value" ->> 0 FROM json_each(${list}))`,
  orders: (list) => `"positionId" IN (${listed(list)})`,
  fills: (list) => `"orderId" IN (SELECT "_key" FROM main."orders" WHERE "positionId" IN (${listed(list)}))`,
}

function listOf(name: keyof MovedSpecs, { trades, positions }: Lists): string {
  return name === 'trades' ? trades : positions
}

/** How many rows are as they were copied, and how many there are. */
function sameRowsSql(name: keyof MovedSpecs): string {
  const table = `main.${quoteName(name)}`
  return `SELECT
  (SELECT count(*) FROM json_each(?1) AS e JOIN ${table} AS r ON r."_id" = (e."value" ->> 0) AND r."_sequence" = (e."value" ->> 1)) AS "same",
  (SELECT count(*) FROM ${table} WHERE ${memberSql[name]('?2')}) AS "all"`
}

export class TradeMover {
  readonly #options: TradeMoverOptions
  readonly #connection: Connection
  readonly #request: ArchiveTradesRequest
  #references: readonly ForeignReference[] = []
  #pieceRows = FIRST_PIECE_ROWS
  #longestPauseMs = 0
  #changed = 0

  private constructor(options: TradeMoverOptions, connection: Connection, request: ArchiveTradesRequest) {
    this.#options = options
    this.#connection = connection
    this.#request = request
  }

  /** @throws StoreError `DISK_FULL`, `IO_ERROR`, `STORE_CORRUPT`, `STORE_CLOSED`; what was moved until then has moved */
  static async run(options: TradeMoverOptions, request: ArchiveTradesRequest): Promise<ArchiveTradesResult> {
    const connection = await options.open()
    try {
      return await new TradeMover(options, connection, request).#run()
    } finally {
      await connection.close()
    }
  }

  async #run(): Promise<ArchiveTradesResult> {
    const startedAt = performance.now()
    const { before, dryRun, actor } = this.#request
    const { committer } = this.#options
    const plan = await this.#plan()
    const moved: PlannedYear[] = []
    if (dryRun) {
      moved.push(...plan.years)
    } else if (plan.years.length > 0) {
      const cut = new Date(before).toISOString()
      await committer.audit({ actor, event: 'trades.archived', data: { phase: 'begun', before: cut } })
      try {
        for (const { year } of plan.years) moved.push({ year, ...(await this.#moveYear(year)) })
      } finally {
        await committer.audit({
          actor,
          event: 'trades.archived',
          data: { phase: 'ended', before: cut, ...total(moved) },
        })
      }
    }
    const kept = this.#changed === 0 ? plan.kept : { ...plan.kept, changed: this.#changed }
    return {
      before,
      dryRun,
      ...total(moved),
      years: moved.map((year) => ({ ...year, file: yearlyDatabase(this.#options.dir, year.year).relativePath })),
      kept,
      durationMs: performance.now() - startedAt,
      longestPauseMs: this.#longestPauseMs,
    }
  }

  async #plan(): Promise<ArchivePlan> {
    const rows = await this.#query('SELECT "year" FROM main."_yearlyFiles" ORDER BY "year"')
    const years = rows.map((row) => Number(row.year))
    for (const year of years) await attachYearlyFile(this.#connection, this.#options, year)
    this.#references = await foreignReferences(this.#connection)
    const { specs } = this.#options
    const plan = await planArchive(this.#connection, specs, this.#request.before, years, this.#references)
    for (const year of years) await this.#connection.exec(`DETACH ${quoteName(schemaOf(year))}`)
    return plan
  }

  async #moveYear(year: number): Promise<ArchiveCounts> {
    const { dir, specs } = this.#options
    if (!(await yearlyFiles(dir)).includes(year)) await createYearlyFile(this.#options, year, Object.values(specs))
    await attachYearlyFile(this.#connection, this.#options, year)
    const counts = { trades: 0, orders: 0, fills: 0 }
    await this.#removeUncounted(year)
    const sql = 'SELECT min("n") AS "first", max("n") AS "last" FROM temp."moving" WHERE "year" = ?'
    const [row] = await this.#query(sql, [year])
    const last = Number(row?.last)
    let pieces = 0
    for (let from = Number(row?.first); from <= last; ) {
      if (this.#options.isEnding()) throw ending()
      const range = { from, to: await this.#endOfPiece(from, last) }
      for (const piece of await this.#movePiece(year, range)) {
        counts.trades += piece.trades.length
        counts.orders += piece.orders.length
        counts.fills += piece.fills.length
      }
      from = range.to + 1
      pieces += 1
      if (pieces % PIECES_PER_CHECKPOINT === 0) await this.#checkpoint(year, 'PASSIVE')
    }
    await this.#checkpoint(year, 'TRUNCATE')
    await this.#connection.exec(`DETACH ${quoteName(schemaOf(year))}`)
    return counts
  }

  /** As many groups as the piece has room for, and at least one: what belongs together moves together. */
  async #endOfPiece(from: number, last: number): Promise<number> {
    const rows = await this.#query(
      `SELECT "n", sum("trades" + "orders" + "fills") OVER (ORDER BY "n") AS "rows" FROM temp."moving" WHERE "n" BETWEEN ? AND ? ORDER BY "n" LIMIT ?`,
      [from, last, this.#pieceRows],
    )
    const fitting = rows.filter((row) => Number(row.rows) <= this.#pieceRows).at(-1)
    return fitting === undefined ? from : Number(fitting.n)
  }

  /** The pieces it came to: one, unless something in it has changed; then its groups one by one, but for those. */
  async #movePiece(year: number, range: Range): Promise<Piece[]> {
    const piece = await this.#copy(year, range)
    if (piece !== null) {
      await failpoint('archive-trades:copied')
      if (await this.#give(piece)) {
        await failpoint('archive-trades:moved')
        return [piece]
      }
      await this.#removeUncounted(year)
    }
    if (range.from === range.to) {
      const [row] = await this.#query(`SELECT "trades" FROM temp."moving" WHERE "n" = ?`, [range.from])
      this.#changed += Number(row?.trades)
      return []
    }
    const pieces: Piece[] = []
    for (let n = range.from; n <= range.to; n++) pieces.push(...(await this.#movePiece(year, { from: n, to: n })))
    return pieces
  }

  /** Copies a piece into its yearly file, durable when it resolves; null when it is no longer what was planned. */
  async #copy(year: number, range: Range): Promise<Piece | null> {
    return await this.#inTransaction(async () => {
      const lists = await this.#listsOf(range)
      if (await this.#hasChanged(this.#connection, lists)) return null
      const [row] = await this.#query(`SELECT ${lastMoveSql(year)} + 1 AS "move"`)
      const move = Number(row?.move)
      const copy = async (name: keyof MovedSpecs): Promise<Moved[]> => {
        const table = yearlyTable(year, this.#options.specs[name])
        await this.#query(
          `INSERT INTO ${table} (${MOVED_COLUMNS}, "_move") SELECT ${MOVED_COLUMNS}, ${move} FROM main.${quoteName(name)} WHERE ${memberSql[name]('?1')} ORDER BY "_id"`,
          [listOf(name, lists)],
        )
        const rows = await this.#query(
          `SELECT "_id" AS "id", "_sequence" AS "sequence" FROM ${table} WHERE "_move" = ?`,
          [move],
        )
        return rows.map(({ id, sequence }): Moved => [Number(id), Number(sequence)])
      }
      return {
        year,
        move,
        lists,
        trades: await copy('trades'),
        orders: await copy('orders'),
        fills: await copy('fills'),
      }
    })
  }

  /** Deletes from `state.db` what was copied, and lets the move count; false, with nothing changed, if it has changed. */
  async #give(piece: Piece): Promise<boolean> {
    let begunAt = 0
    const isGiven = await this.#options.committer.transact(async (connection) => {
      begunAt = performance.now()
      if (await this.#hasChanged(connection, piece.lists)) return false
      for (const name of MOVED) {
        const [row] = await queryOnce(connection, sameRowsSql(name), [
          JSON.stringify(piece[name]),
          listOf(name, piece.lists),
        ])
        if (Number(row?.same) !== piece[name].length || Number(row?.all) !== piece[name].length) return false
      }
      for (const name of ['fills', 'orders', 'trades'] as const) {
        const sql = `DELETE FROM main.${quoteName(name)} WHERE "_id" IN (SELECT "value" ->> 0 FROM json_each(?))`
        await queryOnce(connection, sql, [JSON.stringify(piece[name])])
      }
      // A client that asks after a crash whether its batch was applied looks for its rows. Those that were here were.
      const applied = MOVED.flatMap((name) => piece[name]).reduce((most, [, sequence]) => Math.max(most, sequence), 0)
      await queryOnce(
        connection,
        `UPDATE "_session" SET "sequence" = ?1, "failures" = '[]', "unitsDone" = NULL WHERE "sequence" < ?1`,
        [applied],
      )
      await queryOnce(
        connection,
        'INSERT INTO "_yearlyFiles" ("year", "move") VALUES (?, ?) ON CONFLICT ("year") DO UPDATE SET "move" = excluded."move"',
        [piece.year, piece.move],
      )
      await failpoint('archive-trades:before-commit')
      return true
    })
    this.#adjust(performance.now() - begunAt)
    return isGiven
  }

  #adjust(pauseMs: number): void {
    this.#longestPauseMs = Math.max(this.#longestPauseMs, pauseMs)
    const fitting = Math.round(this.#pieceRows * Math.min(2, PAUSE_MS / Math.max(pauseMs, 0.1)))
    this.#pieceRows = Math.max(LEAST_PIECE_ROWS, Math.min(MOST_PIECE_ROWS, fitting))
  }

  /** What a run that was killed, or a piece that has changed, has left of copies that don't count. */
  async #removeUncounted(year: number): Promise<void> {
    const { fills, orders, trades } = this.#options.specs
    await this.#inTransaction(async () => {
      for (const spec of [fills, orders, trades]) {
        await this.#query(`DELETE FROM ${yearlyTable(year, spec)} WHERE "_move" > ${lastMoveSql(year)}`)
      }
    })
  }

  /** Writes to yearly files only: `state.db` is read in it, which keeps no commit waiting. */
  async #inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#query('BEGIN')
    try {
      const result = await work()
      await this.#query('COMMIT')
      return result
    } catch (error) {
      await this.#query('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  async #listsOf({ from, to }: Range): Promise<Lists> {
    const [row] = await this.#query(
      `SELECT (SELECT json_group_array(json_array(t."id", m."position")) FROM temp."movingTrades" AS t JOIN temp."moving" AS m USING ("n") WHERE "n" BETWEEN ?1 AND ?2) AS "trades",
  (SELECT json_group_array("position") FROM temp."moving" WHERE "n" BETWEEN ?1 AND ?2 AND "position" IS NOT NULL) AS "positions"`,
      [from, to],
    )
    return { trades: String(row?.trades), positions: String(row?.positions) }
  }

  /** True when a group of the piece may no longer move, as `planArchive` says. */
  async #hasChanged(connection: Connection, { trades, positions }: Lists): Promise<boolean> {
    const conditions = [
      `SELECT 1 FROM json_each(?1) AS e LEFT JOIN main."trades" AS t ON t."_id" = (e."value" ->> 0)
WHERE t."_id" IS NULL OR t."closedAt" IS NULL OR t."closedAt" >= ?3 OR (t."_doc" ->> '$.positionId') IS NOT (e."value" ->> 1)`,
      `SELECT 1 FROM main."positions" WHERE "_key" IN (${listed('?2')}) OR ("_doc" ->> '$.stopOrderId') IN (SELECT "_key" FROM main."orders" WHERE ${memberSql.orders('?2')})`,
      `SELECT 1 FROM main."orders" WHERE ${memberSql.orders('?2')} AND ${NOT_FINAL}`,
      ...this.#references.map((reference) => {
        const { parent } = reference
        const members = memberSql[parent](parent === 'trades' ? '?1' : '?2')
        return `SELECT 1 FROM main.${quoteName(parent)} AS r WHERE ${members} AND ${isReferencedSql(reference)}`
      }),
    ]
    const sql = `SELECT ${conditions.map((each) => `EXISTS (${each})`).join(' OR ')} AS "changed"`
    const [row] = await queryOnce(connection, sql, [trades, positions, this.#request.before])
    return Number(row?.changed) === 1
  }

  /** A checkpoint that a reader stands in the way of is made up for by the next, or by whoever closes the file last. */
  async #checkpoint(year: number, mode: 'PASSIVE' | 'TRUNCATE'): Promise<void> {
    await this.#query(`PRAGMA ${quoteName(schemaOf(year))}.wal_checkpoint(${mode})`)
  }

  #query(sql: string, parameters: readonly BindValue[] = []): Promise<Row[]> {
    return queryOnce(this.#connection, sql, parameters)
  }
}

function total(years: readonly ArchiveCounts[]): ArchiveCounts {
  const sum = (name: keyof ArchiveCounts) => years.reduce((all, each) => all + each[name], 0)
  return { trades: sum('trades'), orders: sum('orders'), fills: sum('fills') }
}

function ending(): StoreError {
  return new StoreError(
    'STORE_CLOSED',
    'The store was closed while trades were being archived. What has moved has moved; the next run goes on.',
  )
}
