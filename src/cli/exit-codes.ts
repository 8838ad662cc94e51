/**
 * The exit codes: a contract with scripts, so a number never changes its meaning. Every code of the store's errors has
 * its place here; a new one that has none doesn't compile.
 */
import { STORE_ERROR_CODES, type StoreErrorCode } from '../index.ts'

export const EXIT = Object.freeze({
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  noStore: 4,
  password: 5,
  locked: 6,
  corrupt: 7,
  migration: 8,
  invalidDocument: 9,
  conflict: 10,
  checkFoundErrors: 11,
  diskFull: 12,
  files: 13,
  interrupted: 130,
})

export type ExitName = keyof typeof EXIT

const MEANING: Readonly<Record<ExitName, string>> = {
  ok: 'success',
  failure: 'any other failure',
  usage: 'wrong usage, or a query that is not valid',
  notFound: 'no such document, collection or backup',
  noStore: 'no store in the directory, or something else is there',
  password: 'password missing, wrong or too weak',
  locked: 'the store is in use by another process, or by an operation that must not be joined',
  corrupt: 'the store, its keyring or a backup is damaged',
  migration: 'the store is from the future, or needs a migration, or one failed',
  invalidDocument: 'a document is not valid',
  conflict: 'exists already, version conflict, or a constraint refused it',
  checkFoundErrors: 'check or audit verify found errors',
  diskFull: 'the disk is full',
  files: 'a file may not or can not be read or written',
  interrupted: 'interrupted (128 + the number of the signal)',
}

const EXIT_OF_ERROR: Readonly<Record<StoreErrorCode, ExitName>> = {
  PASSWORD_MISSING: 'password',
  PASSWORD_TOO_WEAK: 'password',
  WRONG_PASSWORD: 'password',
  STORE_NOT_FOUND: 'noStore',
  NOT_A_STORE: 'noStore',
  STORE_EXISTS: 'conflict',
  STORE_LOCKED: 'locked',
  STORE_CORRUPT: 'corrupt',
  KEYRING_CORRUPT: 'corrupt',
  KEYRING_OUTDATED: 'corrupt',
  STORE_FROM_FUTURE: 'migration',
  MIGRATION_FAILED: 'migration',
  MIGRATION_PENDING: 'migration',
  MIGRATION_CHANGED: 'migration',
  MIGRATION_INVALID: 'migration',
  INVALID_ARGUMENT: 'usage',
  INVALID_COLLECTION: 'usage',
  INVALID_QUERY: 'usage',
  INVALID_DOCUMENT: 'invalidDocument',
  UNKNOWN_COLLECTION: 'notFound',
  NOT_FOUND: 'notFound',
  ALREADY_EXISTS: 'conflict',
  VERSION_CONFLICT: 'conflict',
  CONSTRAINT: 'conflict',
  RESULT_TOO_LARGE: 'failure',
  QUEUE_FULL: 'failure',
  DISK_FULL: 'diskFull',
  OUT_OF_MEMORY: 'failure',
  PERMISSION_DENIED: 'files',
  IO_ERROR: 'files',
  READ_ONLY: 'failure',
  TIMEOUT: 'failure',
  WORKER_LOST: 'failure',
  STORE_CLOSED: 'failure',
  BACKUP_NOT_FOUND: 'notFound',
  BACKUP_DAMAGED: 'corrupt',
  TARGET_FILE_MISSING: 'notFound',
  TARGET_BUSY: 'locked',
  BUSY_OPERATION: 'locked',
  LAST_KEYSLOT: 'conflict',
  RECOVERY_KEY_MISTYPED: 'password',
  UNLOCK_COMMAND_FAILED: 'password',
  ARCHIVE_DAMAGED: 'corrupt',
  ARCHIVE_BEHIND: 'failure',
  BOOK_GAP: 'notFound',
  CACHE_DAMAGED: 'corrupt',
  STANDBY_NOT_READY: 'noStore',
  ARTIFACT_DAMAGED: 'corrupt',
  EXCHANGE_ERROR: 'failure',
  INTERNAL: 'failure',
}

export function exitCodeOf(code: StoreErrorCode): number {
  // A store of a later version of this package may know codes that this table does not.
  return EXIT[EXIT_OF_ERROR[code] ?? 'failure']
}

/** The table for `--help`. */
export function describeExitCodes(): string {
  const lines = (Object.keys(EXIT) as ExitName[]).map((name) => {
    const codes = STORE_ERROR_CODES.filter((code) => EXIT_OF_ERROR[code] === name)
    const listed = name === 'failure' || codes.length === 0 ? '' : `\n       ${codes.join(', ')}`
    return `  ${String(EXIT[name]).padStart(3)}  ${MEANING[name]}${listed}`
  })
  return `Exit codes:\n${lines.join('\n')}`
}
