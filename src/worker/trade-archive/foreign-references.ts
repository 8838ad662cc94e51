/**
 * Who else refers to trades, orders and fills: collections of the user's, and tables that a migration of the user's has
 * made. SQLite's own record of foreign keys covers both.
 */
import { type Connection, queryOnce } from '../driver.ts'
import { quoteName } from '../quote.ts'

export type MovedTable = 'trades' | 'orders' | 'fills'

export interface ForeignReference {
  readonly parent: MovedTable
  /** Quoted names. */
  readonly parentColumn: string
  readonly child: string
  readonly column: string
}

/** All but that of fills to their orders. */
export async function foreignReferences(connection: Connection): Promise<ForeignReference[]> {
  const rows = await queryOnce(
    connection,
    `SELECT s."name" AS "child", f."table" AS "parent", f."from" AS "column", coalesce(f."to", '_key') AS "parentColumn"
FROM main.sqlite_schema AS s, pragma_foreign_key_list(s."name", 'main') AS f
WHERE s."type" = 'table' AND lower(f."table") IN ('trades', 'orders', 'fills') AND NOT (s."name" = 'fills' AND f."from" = 'orderId')`,
  )
  return rows.map((row) => ({
    parent: String(row.parent).toLowerCase() as MovedTable,
    parentColumn: quoteName(String(row.parentColumn)),
    child: `main.${quoteName(String(row.child))}`,
    column: quoteName(String(row.column)),
  }))
}

/** True of a row `r` of the parent that is referred to. */
export function isReferencedSql({ parentColumn, child, column }: ForeignReference): string {
  return `EXISTS (SELECT 1 FROM ${child} AS c WHERE c.${column} = r.${parentColumn})`
}
