/**
 * The table of a collection, derived from its spec. A document is one JSON text; each of its top-level fields is a
 * virtual generated column, so that SQL sees real columns without storing anything twice, and indexes, uniqueness and
 * foreign keys are real. Tables keep a rowid: with keys in random order a clustered text key doubled the bytes written
 * (see docs/decisions/0002-table-layout.md).
 */
import type { CollectionSpec } from '../schema/define-collection.ts'
import { quoteName, quoteText } from './quote.ts'

const STORED_COLUMNS = [
  '"_id" INTEGER PRIMARY KEY',
  '"_key" TEXT NOT NULL UNIQUE',
  '"_doc" TEXT NOT NULL',
  '"_version" INTEGER NOT NULL',
  '"_createdAt" INTEGER NOT NULL',
  '"_updatedAt" INTEGER NOT NULL',
  '"_sequence" INTEGER NOT NULL',
] as const

/** The fields that become columns: all but sealed ones, whose ciphertext is nothing to query. */
export function columnFields(spec: CollectionSpec): string[] {
  return spec.fields.filter((field) => !spec.sealed.includes(field))
}

export function columnSql(spec: CollectionSpec, field: string): string {
  const parent = spec.references[field]
  const reference = parent === undefined ? '' : ` REFERENCES ${quoteName(parent)}("_key") DEFERRABLE INITIALLY DEFERRED`
  return `${quoteName(field)} ANY GENERATED ALWAYS AS ("_doc" ->> ${quoteText(`$.${field}`)}) VIRTUAL${reference}`
}

export function createTableSql(spec: CollectionSpec): string {
  const columns = [...STORED_COLUMNS, ...columnFields(spec).map((field) => columnSql(spec, field))]
  return `CREATE TABLE ${quoteName(spec.name)} (\n  ${columns.join(',\n  ')}\n) STRICT`
}

export function indexName(spec: CollectionSpec, field: string): string {
  return `${spec.name}_${field}`
}

export function createIndexSql(spec: CollectionSpec, field: string): string {
  const unique = spec.unique.includes(field) ? 'UNIQUE ' : ''
  return `CREATE ${unique}INDEX ${quoteName(indexName(spec, field))} ON ${quoteName(spec.name)} (${quoteName(field)})`
}
