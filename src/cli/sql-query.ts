/** Runs one read-only query for people: integers of any size with all their digits. */
import type { DatabaseFile, SqlParameter, SqlTable, Store } from '../index.ts'

export interface QueryOptions {
  readonly file: DatabaseFile
  readonly parameters?: readonly SqlParameter[]
  readonly maxRows: number | undefined
}

export async function runQuery(store: Store, text: string, options: QueryOptions): Promise<SqlTable> {
  const { file, parameters = [], maxRows } = options
  return await store.sqlTable(text, parameters, {
    file,
    wideIntegers: 'text',
    ...(maxRows === undefined ? {} : { maxRows }),
  })
}
