/**
 * The tables of a yearly file: those of trades, orders and fills with their row numbers kept as plain values, since a
 * store may use a number again after the row that had it has moved, and with the move that brought each row. Rows of
 * moves that `_yearlyFiles` in `state.db` does not count yet are not there for any reader.
 */
import type { CollectionSpec } from '../../schema/define-collection.ts'
import { quoteName } from '../quote.ts'
import { columnFields, columnSql } from '../table-sql.ts'

/** What moves with a row. */
export const MOVED_COLUMNS = '"_id", "_key", "_doc", "_version", "_createdAt", "_updatedAt", "_sequence"'

export function createYearlyTableSql(spec: CollectionSpec): string {
  const table = quoteName(spec.name)
  const fields = columnFields(spec)
  const columns = [
    '"_row" INTEGER PRIMARY KEY',
    '"_id" INTEGER NOT NULL',
    '"_key" TEXT NOT NULL UNIQUE',
    '"_doc" TEXT NOT NULL',
    '"_version" INTEGER NOT NULL',
    '"_createdAt" INTEGER NOT NULL',
    '"_updatedAt" INTEGER NOT NULL',
    '"_sequence" INTEGER NOT NULL',
    '"_move" INTEGER NOT NULL',
    ...fields.map((field) => columnSql(spec, field)),
  ]
  const index = (name: string, on: string) => `CREATE INDEX ${quoteName(`${spec.name}.${name}`)} ON ${table} (${on})`
  return [
    `CREATE TABLE ${table} (\n  ${columns.join(',\n  ')}\n) STRICT`,
    index('_id', '"_id"'),
    index('_move', '"_move"'),
    ...fields.map((field) => index(field, `${quoteName(field)}, "_id"`)),
  ].join(';\n')
}

/** The name a year's file is attached by. */
export function schemaOf(year: number): string {
  return `y${year}`
}

export function yearlyTable(year: number, spec: CollectionSpec): string {
  return `${quoteName(schemaOf(year))}.${quoteName(spec.name)}`
}

/** The last move that counts, with `main` being `state.db`. */
export function lastMoveSql(year: number): string {
  return `coalesce((SELECT "move" FROM main."_yearlyFiles" WHERE "year" = ${year}), 0)`
}
