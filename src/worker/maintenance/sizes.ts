/** How large each collection is, by the pages of its table and indexes (https://sqlite.org/dbstat.html). */
import type { CollectionSize, StoreSizes } from '../../protocol/maintenance.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import type { FileBackend } from '../file-backend.ts'

/** Reads every page, so a table at a time: a reader that never ends would keep the log from starting over. */
export async function measureSizes(
  files: ReadonlyMap<DatabaseFile, FileBackend>,
  isStopped: () => boolean,
): Promise<StoreSizes | undefined> {
  const collections: CollectionSize[] = []
  const used: Partial<Record<DatabaseFile, number>> = {}
  for (const file of DATABASE_FILES) {
    const backend = files.get(file) as FileBackend
    used[file] = (await backend.freeSpace()).usedBytes
    const bytes = new Map<string, number>()
    const trees = await backend.readers.query(
      'SELECT "name", "tbl_name" AS "table" FROM main.sqlite_schema WHERE "rootpage" > 0',
      [],
    )
    for (const { name, table } of trees) {
      if (isStopped()) return undefined
      const sql = `SELECT "pgsize" FROM dbstat WHERE schema = 'main' AND aggregate = TRUE AND name = ?`
      const [row] = await backend.readers.query(sql, [name as string])
      bytes.set(String(table), (bytes.get(String(table)) ?? 0) + Number(row?.pgsize ?? 0))
    }
    for (const [name, size] of bytes) collections.push({ name, file, bytes: size })
  }
  collections.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
  return { atMs: Date.now(), files: used as StoreSizes['files'], collections }
}
