/** What the worker can be asked about backups without a store being open. */
import type {
  BackupListing,
  BackupProgress,
  PruneRequest,
  PruneResult,
  RestoreRequest,
  RestoreResult,
  VerifyBackupRequest,
  VerifyBackupResult,
} from '../../protocol/backup.ts'
import { toStoreError } from '../io-error.ts'
import { BACKUP_AREA, listBackups, newestBackupId } from './manifest.ts'
import { backupProgress } from './progress.ts'
import { pruneBackups } from './prune.ts'
import { restoreBackup, verifyBackup } from './restore-backup.ts'
import { openTarget } from './target.ts'

export const targetMethods = {
  async listBackups({ location }: { readonly location: string }): Promise<BackupListing> {
    return await knowing(location, async () => await listBackups(await openTarget(location)))
  },
  async verifyBackup(request: VerifyBackupRequest): Promise<VerifyBackupResult> {
    return await knowing(request.from, () => verifyBackup(request))
  },
  async pruneBackups({ location, retention }: PruneRequest): Promise<PruneResult> {
    return await knowing(location, async () => {
      const target = await openTarget(location)
      await newestBackupId(target)
      const lock = await target.lock(BACKUP_AREA)
      try {
        return await pruneBackups(target, retention)
      } finally {
        await lock.release()
      }
    })
  },
  async restore(request: RestoreRequest): Promise<RestoreResult> {
    return await knowing(request.dir, () => restoreBackup(request))
  },
  async backupProgress(): Promise<BackupProgress | null> {
    return backupProgress()
  },
}

async function knowing<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw await toStoreError(error, place)
  }
}
