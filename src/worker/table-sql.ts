/**
 * The table of a collection, derived from its spec. A document is one JSON text; fields that the database has to know
 * (to find by them, to keep them unique, to refer by them) are virtual generated columns, so that indexes, uniqueness
 * and foreign keys are real and nothing is stored twice. The other fields are no columns, because SQLite computes every
 * generated column on every write: fourteen of them halved the commit rate. SQL sees them through a temporary view of
 * the same name on reader connections. Tables keep a rowid: with keys in random order a clustered text key doubled the
 * bytes written. The measurements are in docs/decisions/0002-table-layout.md.
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

/** The fields that are columns: of a collection in memory whole only those that carry a constraint. */
export function columnFields(spec: CollectionSpec): string[] {
  if (spec.hot !== true) return [...spec.indexes]
  return spec.indexes.filter((field) => spec.unique.includes(field) || spec.references[field] !== undefined)
}

/** A field in SQL: its column if it has one, otherwise the expression that reads it. */
export function fieldSql(spec: CollectionSpec, field: string): string {
  return columnFields(spec).includes(field) ? quoteName(field) : `("_doc" ->> ${quoteText(`$.${field}`)})`
}

/** All fields of a collection as columns, for SQL that users write; sealed ones are left out. */
export function createFieldsViewSql(spec: CollectionSpec): string {
  const columns = columnFields(spec)
  const expressions = spec.fields
    .filter((field) => !columns.includes(field) && !spec.sealed.includes(field))
    .map((field) => `${fieldSql(spec, field)} AS ${quoteName(field)}`)
  const document = spec.sealed.length === 0 ? '"_doc"' : `${openDocumentSql(spec)} AS "_doc"`
  const stored = ['"_key"', document, '"_version"', '"_createdAt"', '"_updatedAt"', '"_sequence"']
  const selected = [...stored, ...columns.map(quoteName), ...expressions]
  return `CREATE TEMP VIEW ${quoteName(spec.name)} AS SELECT ${selected.join(', ')} FROM main.${quoteName(spec.name)}`
}

/** The document as readers get it: without its sealed fields. */
export function openDocumentSql(spec: CollectionSpec): string {
  if (spec.sealed.length === 0) return '"_doc"'
  return `json_remove("_doc", ${spec.sealed.map((field) => quoteText(`$.${field}`)).join(', ')})`
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

/** With a dot, which no name may have: tables and indexes share one space of names. */
export function indexName(spec: CollectionSpec, field: string): string {
  return `${spec.name}.${field}`
}

export function createIndexSql(spec: CollectionSpec, field: string): string {
  const unique = spec.unique.includes(field) ? 'UNIQUE ' : ''
  return `CREATE ${unique}INDEX ${quoteName(indexName(spec, field))} ON ${quoteName(spec.name)} (${quoteName(field)})`
}
