/**
 * Which trades can move, decided in one read transaction. What belongs together moves together: all trades of a position
 * with all orders that name it (`positionId`) and all their fills; a trade that names no position moves alone. So no
 * reference ever leads from one file to another. A position's trades stay, all of them, while
 *
 * - one of them is not closed, or closed at or after the cut (`laterTrade`),
 * - the position is held, or a held one has its stop among their orders (`openPosition`),
 * - one of their orders is not final (`openOrder`),
 * - a collection or table of the user's refers to one of them (`referenced`),
 * - one of their keys is in a yearly file already, so that this one hides it (`alreadyArchived`),
 * - their year would need a file more than can be attached at once (`tooManyYears`).
 */
import type { ArchiveCounts, KeptReason } from '../../protocol/trade-archive.ts'
import { TERMINAL_ORDER_STATES } from '../../schema/built-in/trading.ts'
import type { CollectionSpec } from '../../schema/define-collection.ts'
import { type Connection, queryOnce } from '../driver.ts'
import { quoteText } from '../quote.ts'
import { fieldSql } from '../table-sql.ts'
import { type ForeignReference, isReferencedSql } from './foreign-references.ts'
import { MAX_YEARLY_FILES } from './yearly-file.ts'
import { lastMoveSql, yearlyTable } from './yearly-tables.ts'

export interface MovedSpecs {
  readonly trades: CollectionSpec
  readonly orders: CollectionSpec
  readonly fills: CollectionSpec
}

export interface PlannedYear extends ArchiveCounts {
  readonly year: number
}

export interface ArchivePlan {
  readonly years: readonly PlannedYear[]
  /** Trades that stay although they were closed before the cut. */
  readonly kept: Readonly<Partial<Record<KeptReason, number>>>
}

export const NOT_FINAL = `"state" NOT IN (${TERMINAL_ORDER_STATES.map(quoteText).join(', ')})`

/**
 * Leaves the temporary tables `moving` (a row for each group: `n`, ascending within each year, `year`, `position`,
 * `rows`) and `movingTrades` (`n`, `id`) behind on `connection`, which has `state.db` as `main` and the files of `years`
 * attached.
 */
export async function planArchive(
  connection: Connection,
  specs: MovedSpecs,
  before: number,
  years: readonly number[],
  references: readonly ForeignReference[],
): Promise<ArchivePlan> {
  const run = (sql: string, ...parameters: number[]) => queryOnce(connection, sql, parameters)
  const positionOfTrade = fieldSql(specs.trades, 'positionId')
  const keep = (reason: KeptReason, condition: string) =>
    run(`UPDATE temp."groups" SET "kept" = ${quoteText(reason)} WHERE "kept" IS NULL AND (${condition})`)
  await run('BEGIN')
  try {
    await connection.exec(`DROP TABLE IF EXISTS temp."groups"; DROP TABLE IF EXISTS temp."moving";
DROP TABLE IF EXISTS temp."movingTrades";
CREATE TEMP TABLE "groups" ("position" TEXT UNIQUE, "trade" INTEGER UNIQUE, "closedAt" INTEGER NOT NULL,
  "due" INTEGER NOT NULL, "kept" TEXT, "year" INTEGER)`)
    await run(
      `INSERT INTO temp."groups" ("position", "closedAt", "due", "kept")
SELECT p, max(c), sum(c < ?1), CASE WHEN count(c) < count(*) OR max(c) >= ?1 THEN 'laterTrade' END
FROM (SELECT ${positionOfTrade} AS p, "closedAt" AS c FROM main."trades") WHERE p IS NOT NULL
GROUP BY p HAVING min(c) < ?1`,
      before,
    )
    await run(
      `INSERT INTO temp."groups" ("trade", "closedAt", "due")
SELECT "_id", "closedAt", 1 FROM main."trades" WHERE "closedAt" < ?1 AND ${positionOfTrade} IS NULL`,
      before,
    )
    await run(
      `UPDATE temp."groups" SET "year" = CAST(strftime('%Y', "closedAt" / 1000, 'unixepoch') AS INTEGER) WHERE "kept" IS NULL`,
    )

    const stopOrders = `SELECT "_doc" ->> '$.stopOrderId' FROM main."positions"`
    await keep(
      'openPosition',
      `"position" IN (SELECT "_key" FROM main."positions") OR "position" IN (SELECT "positionId" FROM main."orders" WHERE "_key" IN (${stopOrders}))`,
    )
    await keep('openOrder', `"position" IN (SELECT "positionId" FROM main."orders" WHERE ${NOT_FINAL})`)
    for (const reference of references) {
      await keep('referenced', groupsOfSql(reference.parent, isReferencedSql(reference), positionOfTrade))
    }
    for (const year of years) {
      for (const spec of [specs.trades, specs.orders, specs.fills]) {
        const archived = `r."_key" IN (SELECT "_key" FROM ${yearlyTable(year, spec)} WHERE "_move" <= ${lastMoveSql(year)})`
        await keep('alreadyArchived', groupsOfSql(spec.name as keyof MovedSpecs, archived, positionOfTrade))
      }
    }
    const others = await run(
      `SELECT DISTINCT "year" FROM temp."groups" WHERE "kept" IS NULL AND "year" NOT IN (${years.join(', ')}) ORDER BY "year" LIMIT -1 OFFSET ${Math.max(0, MAX_YEARLY_FILES - years.length)}`,
    )
    if (others.length > 0) await keep('tooManyYears', `"year" IN (${others.map(({ year }) => year).join(', ')})`)

    const fillsOf = (orders: string) => `SELECT count(*) FROM main."fills" WHERE "orderId" IN (${orders})`
    await connection.exec(`CREATE TEMP TABLE "moving" ("n" INTEGER PRIMARY KEY, "year" INTEGER NOT NULL, "position" TEXT,
  "trade" INTEGER, "trades" INTEGER NOT NULL DEFAULT 0, "orders" INTEGER NOT NULL DEFAULT 0, "fills" INTEGER NOT NULL DEFAULT 0);
INSERT INTO temp."moving" ("year", "position", "trade")
  SELECT "year", "position", "trade" FROM temp."groups" WHERE "kept" IS NULL ORDER BY "year", "closedAt";
CREATE TEMP TABLE "movingTrades" ("n" INTEGER, "id" INTEGER, PRIMARY KEY ("n", "id")) WITHOUT ROWID;
CREATE INDEX temp."movingPosition" ON "moving" ("position");
INSERT INTO temp."movingTrades" SELECT m."n", t."id"
  FROM (SELECT "_id" AS "id", ${positionOfTrade} AS "position" FROM main."trades") AS t JOIN temp."moving" AS m USING ("position");
INSERT INTO temp."movingTrades" SELECT "n", "trade" FROM temp."moving" WHERE "trade" IS NOT NULL;
UPDATE temp."moving" SET
  "trades" = (SELECT count(*) FROM temp."movingTrades" AS t WHERE t."n" = "moving"."n"),
  "orders" = (SELECT count(*) FROM main."orders" AS o WHERE o."positionId" = "moving"."position"),
  "fills" = (${fillsOf('SELECT o."_key" FROM main."orders" AS o WHERE o."positionId" = "moving"."position"')})`)

    const planned = await run(
      `SELECT "year", sum("trades") AS "trades", sum("orders") AS "orders", sum("fills") AS "fills" FROM temp."moving" GROUP BY "year" ORDER BY "year"`,
    )
    const kept = await run(
      `SELECT "kept", sum("due") AS "due" FROM temp."groups" WHERE "kept" IS NOT NULL GROUP BY "kept" ORDER BY "kept"`,
    )
    await run('COMMIT')
    return {
      years: planned.map((row) => ({
        year: Number(row.year),
        trades: Number(row.trades),
        orders: Number(row.orders),
        fills: Number(row.fills),
      })),
      kept: Object.fromEntries(kept.map((row) => [String(row.kept) as KeptReason, Number(row.due)])),
    }
  } catch (error) {
    await run('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** True of groups with a row `r` in `table` that meets `condition`. */
function groupsOfSql(table: keyof MovedSpecs, condition: string, positionOfTrade: string): string {
  switch (table) {
    case 'trades': {
      const rows = `FROM main."trades" AS r WHERE ${condition}`
      return `"position" IN (SELECT ${positionOfTrade} ${rows}) OR "trade" IN (SELECT "_id" ${rows})`
    }
    case 'orders':
      return `"position" IN (SELECT "positionId" FROM main."orders" AS r WHERE ${condition})`
    case 'fills':
      return `"position" IN (SELECT "positionId" FROM main."orders" WHERE "_key" IN (SELECT "orderId" FROM main."fills" AS r WHERE ${condition}))`
  }
}
