/**
 * Looks at a store directory before anything in it is touched: is there a store, may one be made here, is something
 * missing. A new store's databases bear unfinished names until the keyring is on disk, so a crash while creating one
 * can always be told from a store that has lost a file.
 */
import { existsSync, statSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { KEYRING_BACKUP_FILE, KEYRING_FILE } from '../crypto/keyring-file.ts'
import { syncPath } from '../crypto/sync-path.ts'
import { StoreError } from '../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import { failpoint } from './failpoint.ts'
import {
  DIRECTORY_MODE,
  databasePath,
  FILE_MODE,
  KEYRING_LOCK_FILE,
  LOCK_FILE,
  OWNER_FILE,
  unfinishedDatabasePath,
} from './store-files.ts'

const IF_PRESENT = { throwIfNoEntry: false } as const

/** @throws StoreError `STORE_NOT_FOUND` when there is no directory and `create` is false. */
export async function prepareDirectory(dir: string, create: boolean): Promise<void> {
  if (existsSync(dir)) return
  if (!create) throw notFound(dir)
  await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE })
}

export function notFound(dir: string): StoreError {
  return new StoreError(
    'STORE_NOT_FOUND',
    `There is no store in ${dir}. Check the path, or create one (holdfast init).`,
    {
      details: { dir },
    },
  )
}

/** @throws StoreError `NOT_A_STORE` or `KEYRING_CORRUPT` when a directory without a keyring holds anything else. */
export async function assertMayCreate(dir: string): Promise<void> {
  const harmless = new Set([LOCK_FILE, KEYRING_LOCK_FILE, OWNER_FILE, ...unfinishedNames()])
  const found = (await readdir(dir)).filter((name) => !harmless.has(name) && !name.startsWith('.'))
  const databases = found.filter((name) => DATABASE_FILES.some((file) => name === `${file}.db`))
  if (databases.length > 0) {
    throw new StoreError(
      'KEYRING_CORRUPT',
      `${dir} holds a database but neither copy of the keyring. Without it nothing can be decrypted: restore keyring.json from a backup.`,
      { details: { dir, found: databases } },
    )
  }
  if (found.length > 0) {
    throw new StoreError(
      'NOT_A_STORE',
      `${dir} holds other files and no store. Choose an empty or a new directory for the store.`,
      { details: { dir, found: found.slice(0, 5) } },
    )
  }
}

/** What a process that died while creating a store may leave: databases, and a keyring that was not yet in its place. */
function unfinishedNames(): string[] {
  return [
    ...DATABASE_FILES.flatMap((file) => ['', '-wal', '-shm', '-journal'].map((suffix) => `${file}.db.new${suffix}`)),
    ...[KEYRING_FILE, KEYRING_BACKUP_FILE].map((name) => `${name}.tmp`),
  ]
}

/** Removes what a creation that never got its keyring has left; nothing was ever accepted into it. */
export async function discardUnfinished(dir: string): Promise<void> {
  for (const name of unfinishedNames()) await rm(`${dir}/${name}`, { force: true })
}

/** True when a process died with commits in the log of this database. */
export function hasLog(dir: string, file: DatabaseFile): boolean {
  return (statSync(`${databasePath(dir, file)}-wal`, IF_PRESENT)?.size ?? 0) > 0
}

/** Gives the databases their real names: the last step of creating a store, repeated after a crash. */
export async function publishDatabases(dir: string): Promise<void> {
  let renamed = false
  for (const file of DATABASE_FILES) {
    const unfinished = unfinishedDatabasePath(dir, file)
    if (existsSync(databasePath(dir, file)) || !existsSync(unfinished)) continue
    await chmod(unfinished, FILE_MODE)
    await rename(unfinished, databasePath(dir, file))
    renamed = true
    if (file === 'state') await failpoint('create:first-renamed')
  }
  if (renamed) await syncPath(dir)
}

/**
 * An empty file counts as missing: SQLite would take it for a new database, and the store for an empty one.
 *
 * @throws StoreError `STORE_CORRUPT` when a database is missing beside its keyring.
 */
export function assertDatabasesPresent(dir: string): void {
  const missing = DATABASE_FILES.filter((file) => (statSync(databasePath(dir, file), IF_PRESENT)?.size ?? 0) === 0)
  if (missing.length === 0) return
  throw new StoreError(
    'STORE_CORRUPT',
    `${dir} has a keyring but ${missing.map((file) => `${file}.db`).join(' and ')} is missing or empty. Nothing was changed; restore a copy of the store.`,
    { details: { dir, missing: missing.map((file) => `${file}.db`) } },
  )
}
