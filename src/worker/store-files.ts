/** The names in a store directory, and the modes they are kept at. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { SubKeyPurpose } from '../crypto/sub-key.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'

export const DIRECTORY_MODE = 0o700
export const FILE_MODE = 0o600

export const LOCK_FILE = 'lock'
export const OWNER_FILE = 'owner.json'
export const KEYRING_LOCK_FILE = 'keyring.lock'

/** Below the store directory: closed trades with their orders and fills, a database for each year. */
export const YEARLY_DIRECTORY = 'archive'

const YEARLY_FILE = /^trades-(\d{4})\.db$/

/** One of the databases of a store. */
export interface StoreDatabase {
  readonly name: DatabaseFile | `trades-${number}`
  /** From the store directory, '/'-separated. */
  readonly relativePath: string
  readonly path: string
  /** What the sub-key of this file is derived for. */
  readonly keyPurpose: SubKeyPurpose
}

/**
 * Every database of the store there is on disk, `state` first: what key rotation, backup, archive and check have to go
 * through. A yearly file is closed unless trades are being moved or read; its `-wal` belongs to it as that of the others
 * does.
 *
 * Copy them in this order. `state.db` says which rows of a yearly file count, so a yearly file as new as `state.db`, or
 * newer, is always right with it; an older one may lack trades that `state.db` has given away.
 */
export async function storeDatabases(dir: string): Promise<StoreDatabase[]> {
  const years = await yearlyFiles(dir)
  return [
    ...DATABASE_FILES.map((file): StoreDatabase => {
      const relativePath = `${file}.db`
      return { name: file, relativePath, path: join(dir, relativePath), keyPurpose: `database:${file}` }
    }),
    ...years.map((year) => yearlyDatabase(dir, year)),
  ]
}

export function yearlyDatabase(dir: string, year: number): StoreDatabase {
  const relativePath = `${YEARLY_DIRECTORY}/trades-${year}.db`
  return {
    name: `trades-${year}`,
    relativePath,
    path: join(dir, relativePath),
    keyPurpose: `database:trades-${year}`,
  }
}

/** The years there is a file for, ascending. */
export async function yearlyFiles(dir: string): Promise<number[]> {
  let names: string[]
  try {
    names = await readdir(join(dir, YEARLY_DIRECTORY))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return names
    .map((name) => YEARLY_FILE.exec(name)?.[1])
    .filter((year) => year !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

export function databasePath(dir: string, file: DatabaseFile): string {
  return join(dir, `${file}.db`)
}

/** A database that is being created; it takes its real name once the keyring that opens it is on disk. */
export function unfinishedDatabasePath(dir: string, file: DatabaseFile): string {
  return join(dir, `${file}.db.new`)
}
