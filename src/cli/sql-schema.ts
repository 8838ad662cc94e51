/** What there is to query, as `.tables` and `.schema` of the shell show it. */
import { type DatabaseFile, type SqlTable, type Store, StoreError } from '../index.ts'
import { collectionSpecs } from './collection-specs.ts'

/** The names of the tables of a file: collections first, then those of the store itself and of migrations. */
export async function listTables(store: Store, file: DatabaseFile): Promise<string[]> {
  const collections = [...(await collectionSpecs(store)).values()].filter((spec) => spec.file === file)
  const names = collections.map((spec) => spec.name)
  const rows = await store.sql(
    `select "name" from sqlite_schema where "type" in ('table', 'view') and "name" not like 'sqlite%' order by "name"`,
    [],
    { file },
  )
  return [...names, ...rows.map((row) => String(row.name)).filter((name) => !names.includes(name))]
}

export async function listColumns(store: Store, table: string, file: DatabaseFile): Promise<string[]> {
  const rows = await store.sql('select "name" from pragma_table_info(?)', [table], { file })
  return rows.map((row) => String(row.name))
}

/** The columns of a table and what they are for. @throws StoreError `NOT_FOUND` */
export async function describeTable(store: Store, table: string, file: DatabaseFile): Promise<SqlTable> {
  const columns = await listColumns(store, table, file)
  if (columns.length === 0) {
    throw new StoreError('NOT_FOUND', `There is no table "${table}" in ${file}.db. See .tables.`, {
      details: { table },
    })
  }
  const spec = (await collectionSpecs(store)).get(table)
  if (spec === undefined) return { columns: ['column'], rows: columns.map((column) => [column]) }
  const rows = columns.map((column) => {
    const roles: string[] = []
    if (STORED_COLUMNS[column] !== undefined) roles.push(STORED_COLUMNS[column])
    if (column === spec.key) roles.push('key')
    if (spec.unique.includes(column)) roles.push('unique')
    else if (spec.indexes.includes(column)) roles.push('indexed')
    const parent = spec.references[column]
    if (parent !== undefined) roles.push(`refers to ${parent}`)
    return [column, roles.join(', ')]
  })
  return { columns: ['column', 'role'], rows }
}

const STORED_COLUMNS: Readonly<Record<string, string>> = {
  _key: 'key of the document',
  _doc: 'the document as JSON',
  _version: 'how often it was written',
  _createdAt: 'Unix milliseconds',
  _updatedAt: 'Unix milliseconds',
  _sequence: 'order of commit',
}
