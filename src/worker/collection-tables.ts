/**
 * Keeps the tables of user-defined collections in step with their definitions. Only what can be derived changes:
 * tables and columns are added, indexes are added and dropped; documents are never touched. The definition is recorded
 * beside the data, so that tools can read collections that they were not given.
 */
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import { type Connection, queryOnce } from './driver.ts'
import { quoteName } from './quote.ts'
import { columnFields, columnSql, createIndexSql, createTableSql, indexName } from './table-sql.ts'

const recordedSpec = z.object({
  name: z.string(),
  key: z.string(),
  fields: z.array(z.string()),
  indexes: z.array(z.string()),
  unique: z.array(z.string()),
  references: z.record(z.string(), z.string()),
  sealed: z.array(z.string()),
  hot: z.union([z.boolean(), z.object({ field: z.string(), in: z.array(z.string()) })]),
  file: z.enum(['state', 'market']),
})

/** The definitions this database file was last opened with, but for the built-in ones. */
export async function recordedCollections(connection: Connection): Promise<CollectionSpec[]> {
  const rows = await queryOnce(connection, 'SELECT "spec" FROM "_collections" ORDER BY "name"')
  return rows.map((row) => recordedSpec.parse(JSON.parse(String(row.spec))))
}

export async function ensureCollectionTables(connection: Connection, specs: readonly CollectionSpec[]): Promise<void> {
  const recorded = new Map((await recordedCollections(connection)).map((spec) => [spec.name, spec]))
  const changed = specs.filter((spec) => JSON.stringify(recorded.get(spec.name)) !== JSON.stringify(spec))
  if (changed.length === 0) return
  await connection.exec('BEGIN IMMEDIATE')
  try {
    for (const spec of changed) await ensureTable(connection, spec, recorded.get(spec.name))
    await connection.exec('COMMIT')
  } catch (error) {
    await connection.exec('ROLLBACK').catch(() => undefined)
    throw error
  }
}

async function ensureTable(connection: Connection, spec: CollectionSpec, before: CollectionSpec | undefined) {
  if (before === undefined) {
    const taken = await queryOnce(connection, 'SELECT 1 FROM sqlite_schema WHERE lower("name") = lower(?)', [spec.name])
    if (taken.length > 0) {
      throw invalid(spec, 'a table of that name exists already, made by a migration or by a name that differs in case')
    }
    await connection.exec(createTableSql(spec))
  } else {
    assertCompatible(spec, before)
    const present = await queryOnce(connection, `PRAGMA table_xinfo(${quoteName(spec.name)})`)
    const columns = new Set(present.map((row) => String(row.name)))
    for (const field of columnFields(spec)) {
      if (!columns.has(field)) {
        await connection.exec(`ALTER TABLE ${quoteName(spec.name)} ADD COLUMN ${columnSql(spec, field)}`)
      }
    }
    for (const field of columnFields(before)) await connection.exec(`DROP INDEX ${quoteName(indexName(spec, field))}`)
  }
  for (const field of columnFields(spec)) await connection.exec(createIndexSql(spec, field))
  await queryOnce(
    connection,
    'INSERT INTO "_collections" ("name", "spec") VALUES (?, ?) ON CONFLICT ("name") DO UPDATE SET "spec" = excluded."spec"',
    [spec.name, JSON.stringify(spec)],
  )
}

/** What a definition may not change once there is a table, because documents already follow it. */
function assertCompatible(spec: CollectionSpec, before: CollectionSpec): void {
  if (spec.key !== before.key) throw invalid(spec, `its key is the field "${before.key}" in this store`)
  const unsealed = before.sealed.filter((field) => !spec.sealed.includes(field))
  if (unsealed.length > 0) throw invalid(spec, `"${unsealed[0]}" is sealed in this store and has to stay so`)
  const newlySealed = spec.sealed.filter((field) => !before.sealed.includes(field) && before.fields.includes(field))
  if (newlySealed.length > 0) throw invalid(spec, `"${newlySealed[0]}" is stored unsealed; seal a field of a new name`)
  for (const [field, parent] of Object.entries(spec.references)) {
    if (columnFields(before).includes(field) && before.references[field] !== parent) {
      throw invalid(spec, `"${field}" was defined without this reference; a foreign key can't be added to a column`)
    }
  }
}

function invalid(spec: CollectionSpec, reason: string): StoreError {
  return new StoreError('INVALID_COLLECTION', `Collection "${spec.name}" can't be opened as defined: ${reason}.`, {
    details: { collection: spec.name },
  })
}
