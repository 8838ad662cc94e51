/**
 * Keeps the tables of user-defined collections in step with their definitions. Only what can be derived changes:
 * tables and columns are added, indexes are added and dropped; documents are never touched. The definition is recorded
 * beside the data, so that tools can read collections that they were not given.
 */
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import type { DatabaseFile } from '../schema/database-file.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import { type Connection, DriverError, queryOnce } from './driver.ts'
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

/** Brings the tables of all files in step, or, when a definition is refused, of none. */
export async function ensureCollectionTables(
  writers: ReadonlyMap<DatabaseFile, Connection>,
  specs: readonly CollectionSpec[],
): Promise<void> {
  const recorded = new Map<string, CollectionSpec>()
  for (const writer of writers.values()) {
    for (const spec of await recordedCollections(writer)) recorded.set(spec.name, spec)
  }
  const changed = specs.filter((spec) => JSON.stringify(recorded.get(spec.name)) !== JSON.stringify(spec))
  const begun: Connection[] = []
  try {
    for (const [file, writer] of writers) {
      const own = changed.filter((spec) => spec.file === file)
      if (own.length === 0) continue
      await writer.exec('BEGIN IMMEDIATE')
      begun.push(writer)
      for (const spec of own) await ensureTable(writer, spec, recorded.get(spec.name))
    }
    for (const writer of begun) await writer.exec('COMMIT')
  } catch (error) {
    for (const writer of begun) await writer.exec('ROLLBACK').catch(() => undefined)
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
  for (const field of columnFields(spec)) await createIndex(connection, spec, field)
  await assertReferences(connection, spec)
  await queryOnce(
    connection,
    'INSERT INTO "_collections" ("name", "spec") VALUES (?, ?) ON CONFLICT ("name") DO UPDATE SET "spec" = excluded."spec"',
    [spec.name, JSON.stringify(spec)],
  )
}

async function createIndex(connection: Connection, spec: CollectionSpec, field: string): Promise<void> {
  try {
    await connection.exec(createIndexSql(spec, field))
  } catch (error) {
    if (!(error instanceof DriverError) || error.code !== 'CONSTRAINT') throw error
    throw invalid(spec, `"${field}" is to be unique, but documents share a value of it already`)
  }
}

/** A reference on a field that documents had before it was defined may lead nowhere. */
async function assertReferences(connection: Connection, spec: CollectionSpec): Promise<void> {
  if (Object.keys(spec.references).length === 0) return
  const astray = await queryOnce(connection, `PRAGMA foreign_key_check(${quoteName(spec.name)})`)
  if (astray.length > 0) throw invalid(spec, `${astray.length} of its documents refer to documents that do not exist`)
}

/** What a definition may not change once there is a table, because documents already follow it. */
function assertCompatible(spec: CollectionSpec, before: CollectionSpec): void {
  if (spec.file !== before.file) throw invalid(spec, `it lives in the file "${before.file}" in this store`)
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
