/** The backups of one open store: what a backup needs of it, one at a time, ended when the store is closed. */
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret } from '../../crypto/zero.ts'
import type { BackupRequest, BackupResult } from '../../protocol/backup.ts'
import type { Durability } from '../../protocol/methods.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { DatabaseFile } from '../../schema/database-file.ts'
import { withBlobsHeld } from '../artifacts/blob-holds.ts'
import { leaveAuditNote } from '../audit/audit-inbox.ts'
import type { Driver } from '../driver.ts'
import type { FileBackend } from '../file-backend.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import type { MaintenanceLock } from '../maintenance-lock.ts'
import type { SessionCache } from '../session-cache/session-cache.ts'
import { HeldDescriptors } from './held-descriptors.ts'
import { makeBackup } from './make-backup.ts'
import { paceBeside } from './pace.ts'
import type { BackupKeys } from './restored-files.ts'
import { takeStoreSnapshot } from './store-snapshots.ts'

const BUSY_TIMEOUT_MS = 10_000

export interface StoreBackupsOptions {
  readonly driver: Driver
  readonly dir: string
  readonly durability: Durability
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  readonly keys: BackupKeys
  readonly sessionCache: SessionCache
  readonly maintenanceLock: MaintenanceLock
}

export class StoreBackups {
  readonly #options: StoreBackupsOptions
  readonly #descriptors = new HeldDescriptors()
  #running: Promise<unknown> = Promise.resolve()
  #isClosing = false

  constructor(options: StoreBackupsOptions) {
    this.#options = options
  }

  /** @throws StoreError like `makeBackup`, and `BUSY_OPERATION` */
  async make(request: BackupRequest): Promise<BackupResult> {
    const { dir, files, keys, maintenanceLock } = this.#options
    const assertGoesOn = () => {
      if (this.#isClosing) throw new StoreError('STORE_CLOSED', 'The store was closed before the backup was complete.')
    }
    const committers = [...files.values()].flatMap(({ committer }) => committer ?? [])
    const pace = paceBeside(() => committers.reduce((sum, { status }) => sum + status.commits, 0))
    const backup = maintenanceLock.exclusiveOperation('backup', () =>
      withBlobsHeld(dir, () =>
        makeBackup({ dir, keys, request, takeSnapshot: () => this.#snapshot(), assertGoesOn, pace }),
      ),
    )
    this.#running = backup.catch(() => undefined)
    const result = await backup
    await this.#record(request.actor, result)
    return result
  }

  /** Beside the owner there is no writer: it takes the note in. */
  async #record(actor: string, { id, location, sequences, verified }: BackupResult): Promise<void> {
    const { dir, files, keys } = this.#options
    const data = { backup: id, location, sequence: String(sequences.state), verified }
    const entry = { actor, event: 'backup.made', data } as const
    const committer = files.get('state')?.committer ?? null
    if (committer !== null) return await committer.audit(entry)
    await withSecret(deriveSubKey(keys.dataKey, keys.storeId, 'audit-mac'), (key) => leaveAuditNote(dir, key, entry))
  }

  /** Call before the files are closed; `releaseFiles` when they are. */
  async end(): Promise<void> {
    this.#isClosing = true
    await this.#running
  }

  async releaseFiles(): Promise<void> {
    await this.#descriptors.close()
  }

  #snapshot() {
    const { driver, dir, durability, files, keys, sessionCache } = this.#options
    return takeStoreSnapshot({
      dir,
      files,
      descriptors: this.#descriptors,
      cacheFilesIn: (state) => sessionCache.filesIn(state),
      openReader: ({ path, keyPurpose }) =>
        withSecret(deriveSubKey(keys.dataKey, keys.storeId, keyPurpose), (key) =>
          openKeyedDatabase(driver, path, {
            key,
            durability,
            mode: 'read-only',
            role: 'reader',
            busyTimeoutMs: BUSY_TIMEOUT_MS,
          }),
        ),
    })
  }
}
