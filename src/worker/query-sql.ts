/**
 * SQL for reads. Documents are folded into one JSON text inside SQLite: half of what a scan costs in this driver is
 * building row objects. Pages go on by key set, not by offset, so a stream costs the same at its end as at its start.
 */
import type { PageCursor, PageRequest } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { ComparisonWire, ConditionWire, ScalarWire, WhereWire } from '../schema/query.ts'
import type { BindValue } from './driver.ts'
import { quoteName } from './quote.ts'
import { fieldSql, openDocumentSql } from './table-sql.ts'

export interface Sql {
  readonly text: string
  readonly parameters: readonly BindValue[]
}

export class SqlBuilder {
  readonly parameters: BindValue[] = []

  bind(value: BindValue | boolean): string {
    if (typeof value === 'number' && isWideInteger(value)) {
      this.parameters.push(String(value))
      return 'CAST(? AS INTEGER)'
    }
    this.parameters.push(typeof value === 'boolean' ? Number(value) : value)
    return '?'
  }
}

/**
 * True for what SQLite reads from JSON as a 64-bit integer that is not the double with the same digits, such as a time
 * in nanoseconds: bound as a double it would equal nothing.
 */
function isWideInteger(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 2 ** 63
}

const OPERATORS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function conditionSql(column: string, condition: ConditionWire, sql: SqlBuilder): string {
  if (condition === null) return `${column} IS NULL`
  if (typeof condition !== 'object') return `${column} = ${sql.bind(condition)}`
  return comparisonSql(column, condition, sql)
}

function comparisonSql(column: string, comparison: ComparisonWire, sql: SqlBuilder): string {
  const parts: string[] = []
  if (comparison.in !== undefined) parts.push(inSql(column, comparison.in, sql))
  if (comparison.ne !== undefined) parts.push(`${column} IS NOT ${sql.bind(comparison.ne)}`)
  for (const [name, operator] of Object.entries(OPERATORS)) {
    const operand = comparison[name as keyof typeof OPERATORS]
    if (operand !== undefined) parts.push(`${column} ${operator} ${sql.bind(operand)}`)
  }
  return parts.length === 0 ? 'TRUE' : `(${parts.join(' AND ')})`
}

function inSql(column: string, values: readonly (ScalarWire | null)[], sql: SqlBuilder): string {
  const present = values.filter((value) => value !== null)
  const list = present.length === 0 ? 'FALSE' : `${column} IN (${present.map((value) => sql.bind(value)).join(', ')})`
  return values.includes(null) ? `(${list} OR ${column} IS NULL)` : list
}

export function columnOf(spec: CollectionSpec, field: string): string {
  if (field === spec.key) return '"_key"'
  if (spec.indexes.includes(field)) return fieldSql(spec, field)
  const known = [spec.key, ...spec.indexes].join(', ')
  throw new StoreError(
    'INVALID_QUERY',
    `"${spec.name}" can't be searched by "${field}". Indexed fields are: ${known}. Add it to indexes, or use sql().`,
    { details: { collection: spec.name, field } },
  )
}

export function whereSql(spec: CollectionSpec, where: WhereWire, sql: SqlBuilder): string[] {
  return Object.entries(where).map(([field, condition]) => conditionSql(columnOf(spec, field), condition, sql))
}

function cursorSql(order: string | null, descending: boolean, cursor: PageCursor, sql: SqlBuilder): string {
  const beyond = descending ? '<' : '>'
  if (order === null) return `"_id" ${beyond} ${sql.bind(cursor.id)}`
  if (cursor.value === null) {
    const sameNull = `(${order} IS NULL AND "_id" ${beyond} ${sql.bind(cursor.id)})`
    return descending ? sameNull : `(${sameNull} OR ${order} IS NOT NULL)`
  }
  const later = `(${order}, "_id") ${beyond} (${sql.bind(cursor.value)}, ${sql.bind(cursor.id)})`
  return descending ? `(${later} OR ${order} IS NULL)` : later
}

/** One row: `json` (array of documents), `count`, and `value` and `id` of the last document. */
export function pageSql({ query, cursor, maxRows }: PageRequest, spec: CollectionSpec): Sql {
  const sql = new SqlBuilder()
  const descending = query.order === 'desc'
  const direction = descending ? 'DESC' : 'ASC'
  const order = query.orderBy === undefined ? null : columnOf(spec, query.orderBy)
  const conditions = whereSql(spec, query.where ?? {}, sql)
  if (cursor !== null) conditions.push(cursorSql(order, descending, cursor, sql))
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const orderBy = order === null ? `"_id" ${direction}` : `${order} ${direction}, "_id" ${direction}`
  const limit = sql.bind(maxRows)
  const offset = cursor === null && query.offset !== undefined ? ` OFFSET ${sql.bind(query.offset)}` : ''
  const page = `SELECT row_number() OVER () AS n, ${openDocumentSql(spec)} AS d, ${order ?? 'NULL'} AS o, "_id" AS i FROM (SELECT * FROM main.${quoteName(spec.name)}${where} ORDER BY ${orderBy} LIMIT ${limit}${offset})`
  const text = `WITH page AS MATERIALIZED (${page})
SELECT '[' || coalesce(group_concat(d, ',' ORDER BY n), '') || ']' AS "json", count(*) AS "count",
  (SELECT o FROM page ORDER BY n DESC LIMIT 1) AS "value", (SELECT i FROM page ORDER BY n DESC LIMIT 1) AS "id"
FROM page`
  return { text, parameters: sql.parameters }
}

export function countSql(spec: CollectionSpec, where: WhereWire): Sql {
  const sql = new SqlBuilder()
  const conditions = whereSql(spec, where, sql)
  const clause = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  return { text: `SELECT count(*) AS "count" FROM main.${quoteName(spec.name)}${clause}`, parameters: sql.parameters }
}

/** One row: `json` (array of `[version, document]`) and `last`, the row id to go on from. */
export function hydrateSql(spec: CollectionSpec, after: number, maxRows: number): Sql {
  const sql = new SqlBuilder()
  const conditions = [`"_id" > ${sql.bind(after)}`]
  if (typeof spec.hot === 'object') conditions.push(inSql(fieldSql(spec, spec.hot.field), spec.hot.in, sql))
  const rows = `SELECT "_id" AS i, "_version" AS v, ${openDocumentSql(spec)} AS d FROM main.${quoteName(spec.name)} WHERE ${conditions.join(' AND ')} ORDER BY "_id" LIMIT ${sql.bind(maxRows)}`
  const text = `WITH page AS MATERIALIZED (${rows}) SELECT '[' || coalesce(group_concat('[' || v || ',' || d || ']', ',' ORDER BY i), '') || ']' AS "json", max(i) AS "last", count(*) AS "count" FROM page`
  return { text, parameters: sql.parameters }
}
