/**
 * The cache files that a snapshot of `state.db` has rows of, for a backup. A symbol may be cleared before its file was read: then
 * the row is in the backup, its file can't be. In its place goes an empty file, sealed with the key in the row, of a later
 * generation; so what was cleared comes back empty, and a file that is missing for another reason is damage still.
 */
import { type Connection, queryOnce, type Row } from '../driver.ts'
import { encodeBars } from './bar-payload.ts'
import { NO_BARS } from './bar-table.ts'
import { cachePath } from './cache-folder.ts'
import { RecordSeal } from './cache-format.ts'

export interface SnapshotFile {
  /** In the store directory. */
  readonly path: string
  /** What is saved where the file is gone; undefined when it is lost. */
  whenGone(): Promise<Buffer | undefined>
}

export interface CacheRows {
  /** Of the row's file, opened; zeroed by whoever asked. */
  keyIn(row: Row): Buffer
  /** Whether the present database still has a row of this file. */
  hasRow(file: string): Promise<boolean>
}

export async function snapshotFiles(state: Connection, { keyIn, hasRow }: CacheRows): Promise<SnapshotFile[]> {
  const rows = await queryOnce(state, 'SELECT "file", "key", "generation" FROM "_sessionCache" ORDER BY "file"')
  return rows.map((row) => {
    const file = String(row.file)
    return {
      path: cachePath(file),
      whenGone: async () => {
        if (await hasRow(file)) return undefined
        const key = keyIn(row)
        const seal = new RecordSeal(key, Buffer.from(file, 'hex'), Number(row.generation) + 1)
        try {
          return Buffer.concat([seal.header, seal.seal(0, encodeBars(NO_BARS))])
        } finally {
          seal.zero()
          key.fill(0)
        }
      },
    }
  })
}
