/**
 * Restore from an archive into a new directory. The databases are put together beside it and opened with the password
 * before the directory gets its name, so what bears the name is a store that opens.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { RestoredMoment } from '../protocol/archive.ts'
import type { CheckFinding } from '../protocol/check-finding.ts'
import { StoreError } from '../protocol/store-error.ts'
import { openStore } from './open-store.ts'
import { readPassword } from './password-source.ts'
import { resolvedLocation } from './standby.ts'
import { WorkerLink } from './worker-link.ts'

export interface RestoreArchiveOptions {
  readonly from: string
  /** A directory that does not exist or is empty. */
  readonly dir: string
  /** Like that of `openStore`: the password of the moment's generation. */
  readonly password?: string | Uint8Array | undefined
  /** The last commit at this time or before it; a Date or Unix milliseconds. */
  readonly at?: Date | number | undefined
  /** The last commit of this batch of state.db, and market.db at the same time. Neither: the latest there is. */
  readonly sequence?: number | undefined
}

/**
 * Brings back a moment from an archive. When something that is needed is missing or damaged, it brings back what comes
 * before and says so: see `isComplete` and `problems` of the result.
 *
 * Rejects with `STORE_EXISTS` for a directory that is not empty, `BACKUP_NOT_FOUND` when the archive does not reach back
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
  const dir = resolve(options.dir)
  if (existsSync(dir) && (await readdir(dir)).length > 0) {
    throw new StoreError(
      'STORE_EXISTS',
      `${dir} is not empty. A restore never writes over anything: name a new directory.`,
      {
        details: { dir },
      },
    )
  }
  await mkdir(dirname(dir), { recursive: true })
  const staging = `${dir}.restoring`
  await rm(staging, { recursive: true, force: true })
  const password = readPassword(options.password)
  const link = await WorkerLink.start()
  try {
    const request = { from: resolvedLocation(from), dir: staging, atMs, sequence: sequence ?? null }
    const restored = await link.call('restoreMoment', { ...request, password })
    await assertOpens(staging, password)
    if (existsSync(dir)) await rmdir(dir)
    await rename(staging, dir)
    return restored
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    throw error
  } finally {
    password.fill(0)
    await link.terminate()
  }
}

async function assertOpens(dir: string, password: Uint8Array): Promise<void> {
  const store = await openStore({ dir, password: Uint8Array.from(password), readOnly: true })
  let findings: readonly CheckFinding[]
  try {
    findings = await store.check()
  } finally {
    await store.close()
  }
  // The head of the audit trail stands outside the databases and is written anew by the next owner.
  const error = findings.find(({ severity, code }) => severity === 'error' && code !== 'AUDIT_BROKEN')
  if (error === undefined) return
  throw new StoreError('ARCHIVE_DAMAGED', `What was restored is damaged: ${error.subject}: ${error.problem}`)
}

function invalid(message: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', message)
}
