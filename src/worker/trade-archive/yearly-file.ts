/** Makes yearly files, and attaches them to a connection that has `state.db` open. */
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { withSecret } from '../../crypto/zero.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { CollectionSpec } from '../../schema/define-collection.ts'
import { type Connection, type Driver, DriverError, queryOnce } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { isPlainSqlite, openKeyedDatabase } from '../keyed-database.ts'
import { quoteName } from '../quote.ts'
import { DIRECTORY_MODE, FILE_MODE, type StoreDatabase, yearlyDatabase } from '../store-files.ts'
import { createYearlyTableSql, schemaOf } from './yearly-tables.ts'

/** SQLite's own bound on what one connection can attach, in this build. */
export const MAX_YEARLY_FILES = 10

const BUSY_TIMEOUT_MS = 10_000

export interface YearlyFileAccess {
  readonly driver: Driver
  readonly dir: string
  /** The sub-key of a database, for the caller to zero. */
  readonly keyOf: (database: Pick<StoreDatabase, 'keyPurpose'>) => Buffer
}

/** Under an unfinished name first: a file with its real name is whole. */
export async function createYearlyFile(
  { driver, dir, keyOf }: YearlyFileAccess,
  year: number,
  specs: readonly CollectionSpec[],
): Promise<void> {
  const database = yearlyDatabase(dir, year)
  const folder = dirname(database.path)
  await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE })
  const unfinished = `${database.path}.new`
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${unfinished}${suffix}`, { force: true })
  const connection = await withSecret(keyOf(database), (key) =>
    openKeyedDatabase(driver, unfinished, {
      key,
      mode: 'create',
      role: 'checkpointer',
      durability: 'full',
      busyTimeoutMs: BUSY_TIMEOUT_MS,
    }),
  )
  try {
    await connection.exec(`BEGIN;${specs.map(createYearlyTableSql).join(';')};COMMIT`)
  } finally {
    await connection.close()
  }
  if (await isPlainSqlite(unfinished)) {
    throw new StoreError('INTERNAL', 'The new database is not encrypted. The driver in use is not SQLCipher.')
  }
  await chmod(unfinished, FILE_MODE)
  await syncPath(unfinished)
  await rename(unfinished, database.path)
  await syncPath(folder)
  await syncPath(dir)
  await failpoint('archive-trades:file-made')
}

/** @throws StoreError `STORE_CORRUPT` when the file is missing or does not open under its key */
export async function attachYearlyFile(
  connection: Connection,
  { dir, keyOf }: YearlyFileAccess,
  year: number,
): Promise<void> {
  const database = yearlyDatabase(dir, year)
  try {
    await withSecret(keyOf(database), (key) =>
      queryOnce(connection, `ATTACH DATABASE ? AS ${quoteName(schemaOf(year))} KEY ?`, [
        database.path,
        `x'${key.toString('hex')}'`,
      ]),
    )
    await queryOnce(connection, `SELECT count(*) FROM ${quoteName(schemaOf(year))}.sqlite_schema`)
    await connection.exec(`PRAGMA ${quoteName(schemaOf(year))}.synchronous = FULL`)
  } catch (error) {
    if (!(error instanceof DriverError) || !['CANTOPEN', 'NOTADB', 'CORRUPT'].includes(error.code)) throw error
    const problem =
      error.code === 'CANTOPEN' ? 'is missing' : "does not open under this store's key: it is damaged or foreign"
    throw new StoreError(
      'STORE_CORRUPT',
      `${database.relativePath}, which holds trades that were archived, ${problem}. Put back a copy of it that is as new as the store.`,
      { details: { path: database.path }, cause: error },
    )
  }
}
