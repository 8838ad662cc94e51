/** Backups: `store.backup` asks the store's own worker, the other functions one that has no store open. */
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import type {
  BackupListing,
  BackupProgress,
  BackupRequest,
  BackupResult,
  BackupVerification,
  PruneResult,
  RestoreResult,
  VerifyBackupResult,
} from '../protocol/backup.ts'
import type { MethodName, RequestOf, ResultOf } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { type RetentionRule, retentionRule } from '../schema/retention-rule.ts'
import { forgetPasswordVariable, readPassword } from './password-source.ts'
import { WorkerLink } from './worker-link.ts'
import type { WorkerSupervisor } from './worker-supervisor.ts'

const PROGRESS_INTERVAL_MS = 200

/** Called a few times a second while a backup or a restore is at work. */
export type BackupProgressListener = (progress: BackupProgress) => void

export interface BackupOptions {
  /** Default: `full` up to 64 MiB, `quick` above. `quick` reads back what was written and opens the first pages. */
  readonly verify?: BackupVerification
  /** Afterwards, lets go of what the rule does not keep; folders only. */
  readonly retention?: RetentionRule
  /** For the audit trail; default: the user of this process. */
  readonly actor?: string
  readonly onProgress?: BackupProgressListener
}

export interface RestoreStoreOptions {
  /** A folder of backups, or a `.tar`. */
  readonly from: string
  /** Where the store is to be; must be empty or not there unless `force` is given. */
  readonly dir: string
  /** The password at the time of the backup; default as for `openStore`. */
  readonly password?: string | Uint8Array
  /** Default: the newest one. */
  readonly id?: string
  /** Moves what is at `dir` aside, to `<dir>.replaced-<time>`. */
  readonly force?: boolean
  /** For the audit trail; default: the user of this process. */
  readonly actor?: string
  readonly onProgress?: BackupProgressListener
}

export interface VerifyBackupOptions {
  readonly from: string
  readonly id?: string
  /** With it the manifest is proven to be this store's. */
  readonly password?: string | Uint8Array
  readonly onProgress?: BackupProgressListener
}

const password = z.union([z.string(), z.instanceof(Uint8Array)]).optional()
const listener = z.custom<BackupProgressListener>((value) => typeof value === 'function', 'not a function').optional()
const actor = z.string().min(1).max(200).optional()
const location = z.string().min(1)

const backupOptions = z.strictObject({
  verify: z.enum(['quick', 'full']).optional(),
  retention: retentionRule.optional(),
  actor,
  onProgress: listener,
})
const restoreOptions = z.strictObject({
  from: location,
  dir: z.string().min(1),
  password,
  id: z.string().min(1).optional(),
  force: z.boolean().optional(),
  actor,
  onProgress: listener,
})
const verifyOptions = z.strictObject({
  from: location,
  id: z.string().min(1).optional(),
  password,
  onProgress: listener,
})
const pruneOptions = z.strictObject({ from: location, retention: retentionRule })

/** `store.backup`: see there. */
export async function backUp(supervisor: WorkerSupervisor, target: unknown, options: unknown): Promise<BackupResult> {
  const to = checked('backup', location, target)
  const { verify, retention, actor: who, onProgress } = checked('backup', backupOptions, options)
  const request: BackupRequest = {
    to: absolute(to),
    verify: verify ?? null,
    retention: retention ?? null,
    actor: who ?? userInfo().username,
  }
  return await withProgress(supervisor.callOnce('backup', request), onProgress, () =>
    supervisor.callOnce('backupProgress'),
  )
}

/**
 * Brings a store back from a backup: to a moment that `result.createdAt` and `result.sequences` tell. The store at `dir`
 * is there whole when it resolves, and not at all when it rejects. Never writes over anything.
 *
 * @throws StoreError `INVALID_ARGUMENT`, `PASSWORD_MISSING`, `WRONG_PASSWORD`, `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED`,
 * `TARGET_FILE_MISSING`, `STORE_EXISTS`, `STORE_LOCKED`, `STORE_FROM_FUTURE`, `DISK_FULL`, `PERMISSION_DENIED`,
 * `IO_ERROR`, `WORKER_LOST`
 *
 * @example
 * const { createdAt, sequences } = await restoreStore({ from: '/mnt/backups', dir: './state' })
 */
export async function restoreStore(options: RestoreStoreOptions): Promise<RestoreResult> {
  const { from, dir, id, force, actor: who, onProgress, ...rest } = checked('restoreStore', restoreOptions, options)
  const secret = readPassword(rest.password)
  try {
    const request = {
      from: absolute(from),
      dir: resolve(dir),
      password: secret,
      id: id ?? null,
      force: force ?? false,
      actor: who ?? userInfo().username,
    }
    const result = await withWorker('restore', onProgress, request)
    forgetPasswordVariable()
    return result
  } finally {
    secret.fill(0)
  }
}

/**
 * The backups in a folder or a `.tar`, oldest first. Needs no password, so nothing it says is authenticated.
 *
 * @throws StoreError `INVALID_ARGUMENT`, `BACKUP_NOT_FOUND`, `PERMISSION_DENIED`, `IO_ERROR`
 */
export async function listBackups(from: string): Promise<BackupListing> {
  return await withWorker('listBackups', undefined, { location: absolute(checked('listBackups', location, from)) })
}

/**
 * Reads every byte of a backup and holds it against its hashes; with the password also proves who made it.
 *
 * @throws StoreError `INVALID_ARGUMENT`, `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED` (`details.file`), `TARGET_FILE_MISSING`,
 * `WRONG_PASSWORD`, `IO_ERROR`
 */
export async function verifyBackup(options: VerifyBackupOptions): Promise<VerifyBackupResult> {
  const { from, id, onProgress, ...rest } = checked('verifyBackup', verifyOptions, options)
  const secret = rest.password === undefined ? null : readPassword(rest.password)
  try {
    return await withWorker('verifyBackup', onProgress, { from: absolute(from), id: id ?? null, password: secret })
  } finally {
    secret?.fill(0)
  }
}

/**
 * Lets go of the backups in a folder that `retention` does not keep; the newest one is always kept.
 *
 * @throws StoreError `INVALID_ARGUMENT`, `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED` when a manifest can't be read (nothing is
 * removed then), `TARGET_BUSY`, `PERMISSION_DENIED`, `IO_ERROR`
 *
 * @example await pruneBackups({ from: '/mnt/backups', retention: { last: 3, daily: 7, weekly: 4, monthly: 12 } })
 */
export async function pruneBackups(options: {
  readonly from: string
  readonly retention: RetentionRule
}): Promise<PruneResult> {
  const { from, retention } = checked('pruneBackups', pruneOptions, options)
  return await withWorker('pruneBackups', undefined, { location: absolute(from), retention })
}

function checked<T>(name: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.map(String).join('.') || '(value)'}: ${issue.message}`,
  )
  throw new StoreError('INVALID_ARGUMENT', `${name} can't take this: ${problems.join('; ')}`, { details: { problems } })
}

/** A path is one of this process; a URL is left as it is. */
function absolute(place: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(place) ? place : resolve(place)
}

async function withWorker<M extends MethodName>(
  method: M,
  onProgress: BackupProgressListener | undefined,
  ...request: RequestOf<M>
): Promise<ResultOf<M>> {
  const link = await WorkerLink.start()
  try {
    return await withProgress(link.call(method, ...request), onProgress, () => link.call('backupProgress'))
  } finally {
    await link.terminate()
  }
}

async function withProgress<T>(
  work: Promise<T>,
  onProgress: BackupProgressListener | undefined,
  ask: () => Promise<BackupProgress | null>,
): Promise<T> {
  if (onProgress === undefined) return await work
  const timer = setInterval(() => {
    ask().then(
      (progress) => {
        if (progress !== null) onProgress(progress)
      },
      // `work` tells.
      () => undefined,
    )
  }, PROGRESS_INTERVAL_MS)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
