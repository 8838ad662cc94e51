/**
 * SQL for reads that go on into the yearly files. One statement sees every row in exactly one place: SQLite takes its
 * snapshot of `main` first, and with it the moves that count; a row it has not given away by then is read there, and a
 * row it has is durable in its yearly file. A document that was written again under the key of an archived one hides it.
 *
 * Rows keep their row number when they move, so a page ends at a place that means the same wherever the rows are.
 */
import type { PageCursor, PageRequest } from '../../protocol/methods.ts'
import type { CollectionSpec } from '../../schema/define-collection.ts'
import type { WhereWire } from '../../schema/query.ts'
import { columnOf, type Sql, SqlBuilder, whereSql } from '../query-sql.ts'
import { quoteName } from '../quote.ts'
import { openDocumentSql } from '../table-sql.ts'
import { lastMoveSql, yearlyTable } from './yearly-tables.ts'

/** In each result: how many yearly files there are by now, to be compared with those attached. */
const YEARS = `(SELECT count(*) FROM main."_yearlyFiles") AS "years"`

interface Source {
  readonly table: string
  readonly conditions: readonly string[]
}

function sourcesOf(spec: CollectionSpec, years: readonly number[]): Source[] {
  const main = `main.${quoteName(spec.name)}`
  const isHidden = `EXISTS (SELECT 1 FROM ${main} AS h WHERE h."_key" = a."_key")`
  return [
    { table: `${main} AS a`, conditions: [] },
    ...years.map((year) => ({
      table: `${yearlyTable(year, spec)} AS a`,
      conditions: [`a."_move" <= ${lastMoveSql(year)}`, `NOT ${isHidden}`],
    })),
  ]
}

/** Like `pageSql`, with the key of the last document besides, as `key`. */
export function archivedPageSql(request: PageRequest, spec: CollectionSpec, years: readonly number[]): Sql {
  const { query, cursor, maxRows } = request
  const sql = new SqlBuilder()
  const direction = query.order === 'desc' ? 'DESC' : 'ASC'
  const order = query.orderBy === undefined ? null : columnOf(spec, query.orderBy)
  const offset = cursor === null ? (query.offset ?? 0) : 0
  const parts = sourcesOf(spec, years).map(({ table, conditions }) => {
    const all = [...whereSql(spec, query.where ?? {}, sql), ...conditions]
    if (cursor !== null) all.push(cursorSql(order, direction === 'DESC', cursor, sql))
    const orderBy = [...(order === null ? [] : [order]), '"_id"', '"_key"'].map((term) => `${term} ${direction}`)
    return `SELECT * FROM (SELECT ${openDocumentSql(spec)} AS d, ${order ?? 'NULL'} AS o, "_id" AS i, "_key" AS k FROM ${table}${whereClause(all)} ORDER BY ${orderBy.join(', ')} LIMIT ${sql.bind(maxRows + offset)})`
  })
  const merged = `SELECT * FROM (${parts.join(' UNION ALL ')}) ORDER BY o ${direction}, i ${direction}, k ${direction} LIMIT ${sql.bind(maxRows)} OFFSET ${sql.bind(offset)}`
  const last = (column: string) => `(SELECT ${column} FROM page ORDER BY n DESC LIMIT 1)`
  const text = `WITH page AS MATERIALIZED (SELECT row_number() OVER () AS n, * FROM (${merged}))
SELECT '[' || coalesce(group_concat(d, ',' ORDER BY n), '') || ']' AS "json", count(*) AS "count",
  ${last('o')} AS "value", ${last('i')} AS "id", ${last('k')} AS "key", ${YEARS}
FROM page`
  return { text, parameters: sql.parameters }
}

export function archivedCountSql(spec: CollectionSpec, where: WhereWire, years: readonly number[]): Sql {
  const sql = new SqlBuilder()
  const counts = sourcesOf(spec, years).map(({ table, conditions }) => {
    const all = [...whereSql(spec, where, sql), ...conditions]
    return `(SELECT count(*) FROM ${table}${whereClause(all)})`
  })
  return { text: `SELECT ${counts.join(' + ')} AS "count", ${YEARS}`, parameters: sql.parameters }
}

/** One row: `json`, null when there is no such document. */
export function archivedGetSql(spec: CollectionSpec, key: string, years: readonly number[]): Sql {
  const sql = new SqlBuilder()
  const found = sourcesOf(spec, years).map(({ table, conditions }) => {
    const all = [`a."_key" = ${sql.bind(key)}`, ...conditions]
    return `(SELECT ${openDocumentSql(spec)} FROM ${table}${whereClause(all)})`
  })
  return { text: `SELECT coalesce(${found.join(', ')}, NULL) AS "json", ${YEARS}`, parameters: sql.parameters }
}

function whereClause(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

function cursorSql(order: string | null, isDescending: boolean, cursor: PageCursor, sql: SqlBuilder): string {
  const beyond = isDescending ? '<' : '>'
  const place = () => `${sql.bind(cursor.id)}, ${sql.bind(cursor.key ?? '')}`
  if (order === null) return `("_id", "_key") ${beyond} (${place()})`
  if (cursor.value === null) {
    const sameNull = `(${order} IS NULL AND ("_id", "_key") ${beyond} (${place()}))`
    return isDescending ? sameNull : `(${sameNull} OR ${order} IS NOT NULL)`
  }
  const later = `(${order}, "_id", "_key") ${beyond} (${sql.bind(cursor.value)}, ${place()})`
  return isDescending ? `(${later} OR ${order} IS NULL)` : later
}
