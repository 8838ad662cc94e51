/** Runs one read-only query, with the names of its columns also when it finds nothing. */
import type { DatabaseFile, SqlParameter, Store } from '../index.ts'
import type { SqlResult } from './sql-result.ts'

export interface QueryOptions {
  readonly file: DatabaseFile
  readonly parameters?: readonly SqlParameter[]
  readonly maxRows?: number
  /** A CSV file has a header even when it has no line. */
  readonly needsColumns: boolean
}

export async function runQuery(store: Store, text: string, options: QueryOptions): Promise<SqlResult> {
  const { file, parameters = [], maxRows, needsColumns } = options
  const statement = text.trim().replace(/;\s*$/, '')
  const rows = await store.sql(statement, parameters, { file, ...(maxRows === undefined ? {} : { maxRows }) })
  const [first] = rows
  if (first !== undefined) return { columns: Object.keys(first), rows }
  return { columns: needsColumns ? await columnsOf(store, statement, parameters, file) : [], rows }
}

/** Rows are objects, so no row has no columns: joined to a row of nothing, an empty result shows its columns. */
async function columnsOf(
  store: Store,
  statement: string,
  parameters: readonly SqlParameter[],
  file: DatabaseFile,
): Promise<string[]> {
  const text = `select "result".* from (select 1) left join (\n${statement}\n) as "result" on true`
  try {
    return Object.keys((await store.sql(text, parameters, { file }))[0] ?? {})
  } catch {
    return []
  }
}
