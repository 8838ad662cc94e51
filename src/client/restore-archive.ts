/** Restore from an archive, from the main thread. */
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import type { RestoredMoment } from '../protocol/archive.ts'
import { StoreError } from '../protocol/store-error.ts'
import { readPassword } from './password-source.ts'
import { resolvedLocation } from './standby.ts'
import { WorkerLink } from './worker-link.ts'

export interface RestoreArchiveOptions {
  readonly from: string
  /** A directory that does not exist or is empty, unless `force` is given. */
  readonly dir: string
  /** Like that of `openStore`: the password of the moment's generation. */
  readonly password?: string | Uint8Array | undefined
  /** The last commit at this time or before it; a Date or Unix milliseconds. */
  readonly at?: Date | number | undefined
  /** The last commit of this batch of state.db, and market.db at the same time. Neither: the latest there is. */
  readonly sequence?: number | undefined
  /** Moves what is in `dir` aside, to `<dir>.replaced-<time>`. Never while it is open. */
  readonly force?: boolean | undefined
  /** Who restores, for the audit trail (`store.restored`); default: the user of the process. */
  readonly actor?: string | undefined
}

/**
 * Brings back a moment from an archive. When something that is needed is missing or damaged, it brings back what comes
 * before and says so: see `isComplete` and `problems` of the result. The store at `dir` is there whole when it resolves,
 * and not at all when it rejects.
 *
 * Rejects with `STORE_EXISTS` for a directory that is not empty, `STORE_LOCKED` with `force` for one that is open, `BACKUP_NOT_FOUND` when the archive does not reach back
 * that far, `ARCHIVE_DAMAGED`, `WRONG_PASSWORD`, `INVALID_ARGUMENT`, `DISK_FULL`.
 *
 * @example
 * await restoreArchive({ from: '/mnt/archive', dir: './restored', at: new Date('2026-11-21T10:15:00Z') })
 */
export async function restoreArchive(options: RestoreArchiveOptions): Promise<RestoredMoment> {
  const { from, at, sequence } = options
  if (at !== undefined && sequence !== undefined) throw invalid('Give either a time or a sequence, not both.')
  const atMs = at === undefined ? null : Number(at)
  if (atMs !== null && !Number.isFinite(atMs)) throw invalid('The time is no valid one.')
  if (sequence !== undefined && !Number.isSafeInteger(sequence)) throw invalid('The sequence is no whole number.')
  const password = readPassword(options.password)
  const link = await WorkerLink.start()
  try {
    return await link.call('restoreMoment', {
      from: resolvedLocation(from),
      dir: resolve(options.dir),
      atMs,
      sequence: sequence ?? null,
      force: options.force ?? false,
      actor: options.actor ?? userInfo().username,
      password,
    })
  } finally {
    password.fill(0)
    await link.terminate()
  }
}

function invalid(message: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', message)
}
