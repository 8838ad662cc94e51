/** The names in a store directory, and the modes they are kept at. */
import { join } from 'node:path'
import type { DatabaseFile } from '../schema/database-file.ts'

export const DIRECTORY_MODE = 0o700
export const FILE_MODE = 0o600

export const LOCK_FILE = 'lock'
export const OWNER_FILE = 'owner.json'

export function databasePath(dir: string, file: DatabaseFile): string {
  return join(dir, `${file}.db`)
}

/** A database that is being created; it takes its real name once the keyring that opens it is on disk. */
export function unfinishedDatabasePath(dir: string, file: DatabaseFile): string {
  return join(dir, `${file}.db.new`)
}
