/** Brings a store back from a backup. */
import { join } from 'node:path'
import { parseKeyring, unlockKeyring } from '../../crypto/keyring.ts'
import { KEYRING_FILE, writeKeyring } from '../../crypto/keyring-file.ts'
import { passwordBytes } from '../../crypto/password.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret, zero } from '../../crypto/zero.ts'
import type { RestoreRequest, RestoreResult, VerifyBackupRequest, VerifyBackupResult } from '../../protocol/backup.ts'
import { leaveAuditNote } from '../audit/audit-inbox.ts'
import { failpoint } from '../failpoint.ts'
import { nativeCall } from '../native-calls.ts'
import {
  assertAuthentic,
  damaged,
  filePath,
  type Manifest,
  manifestPath,
  newestBackupId,
  readManifest,
  readSmallFile,
  summaryOf,
} from './manifest.ts'
import { beginPhase, endProgress } from './progress.ts'
import {
  assertDatabasesOpen,
  assertPacksWhole,
  type BackupKeys,
  writeDatabases,
  writeStoredFile,
} from './restored-files.ts'
import { assertMayRestore, restoreStaged } from './staged-restore.ts'
import { type BackupTarget, openTarget } from './target.ts'

const MAX_KEYRING_BYTES = 1024 * 1024

/**
 * @throws StoreError `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED`, `TARGET_FILE_MISSING`, `WRONG_PASSWORD`, `STORE_EXISTS`,
 * `STORE_LOCKED`, `STORE_FROM_FUTURE`, `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`; nothing is at `dir` then, or what was
 */
export async function restoreBackup(request: RestoreRequest): Promise<RestoreResult> {
  const startedAt = performance.now()
  const { dir } = request
  try {
    await assertMayRestore(dir, request.force)
    const target = await openTarget(request.from)
    const manifest = await readManifest(target, request.id ?? (await newestBackupId(target)))
    const keys = await unlock(target, manifest, request.password)
    try {
      const { movedAside } = await restoreStaged({ dir, force: request.force, name: manifest.id }, (stage) =>
        fill(stage, target, manifest, keys, request.actor),
      )
      return { ...summaryOf(manifest), dir, movedAside, durationMs: performance.now() - startedAt }
    } finally {
      zero(keys.dataKey, keys.nextDataKey)
    }
  } finally {
    zero(request.password)
    endProgress()
  }
}

/** Reads every byte of a backup, and with the password also proves who made it. */
export async function verifyBackup(request: VerifyBackupRequest): Promise<VerifyBackupResult> {
  try {
    const target = await openTarget(request.from)
    const manifest = await readManifest(target, request.id ?? (await newestBackupId(target)))
    if (request.password !== null) {
      const { dataKey, nextDataKey } = await unlock(target, manifest, request.password)
      zero(dataKey, nextDataKey)
    }
    const small = [
      ...manifest.files.map(({ bytes, sha256 }) => ({ path: filePath(sha256), bytes, sha256 })),
      ...manifest.databases.map(({ pages, pageHashes }) => ({ ...pageHashes, bytes: pages * 16 })),
    ]
    const checked = [...manifest.packs, ...small]
    const checkedBytes = checked.reduce((sum, { bytes }) => sum + bytes, 0)
    beginPhase('verify', checkedBytes)
    await assertPacksWhole(target, checked)
    return { ...summaryOf(manifest), checkedBytes, isAuthenticated: request.password !== null }
  } finally {
    if (request.password !== null) zero(request.password)
    endProgress()
  }
}

interface UnlockedBackup extends BackupKeys {
  readonly nextDataKey: Buffer | undefined
}

/** The keys of the store as it was, once the password and the manifest have proven right. */
async function unlock(target: BackupTarget, manifest: Manifest, given: Uint8Array): Promise<UnlockedBackup> {
  const entry = manifest.files.find(({ path }) => path === KEYRING_FILE)
  if (entry === undefined) throw damaged(manifestPath(manifest.id), 'it has no keyring')
  await assertPacksWhole(target, [{ ...entry, path: filePath(entry.sha256) }])
  const keyring = parseKeyring(
    (await readSmallFile(target, filePath(entry.sha256), MAX_KEYRING_BYTES)).toString('utf8'),
  )
  const password = passwordBytes(Buffer.from(given).toString('utf8'))
  const { dataKey, nextDataKey, sealingKey } = await withSecret(password, () =>
    nativeCall(() => unlockKeyring(keyring, password)),
  )
  zero(sealingKey)
  try {
    if (keyring.storeId !== manifest.storeId)
      throw damaged(manifestPath(manifest.id), 'its keyring is of another store')
    await withSecret(deriveSubKey(dataKey, keyring.storeId, 'backup-mac'), (key) => assertAuthentic(manifest, key))
  } catch (error) {
    zero(dataKey, nextDataKey)
    throw error
  }
  return { storeId: keyring.storeId, dataKey, nextDataKey }
}

async function fill(
  stage: string,
  target: BackupTarget,
  manifest: Manifest,
  keys: BackupKeys,
  actor: string,
): Promise<void> {
  beginPhase('restore', summaryOf(manifest).bytes)
  await writeDatabases(target, manifest, stage)
  for (const { path, sha256 } of manifest.files) {
    if (path === KEYRING_FILE) continue
    await writeStoredFile(target, sha256, join(stage, path))
  }
  const keyring = manifest.files.find(({ path }) => path === KEYRING_FILE)
  const text = await readSmallFile(target, filePath(keyring?.sha256 as string), MAX_KEYRING_BYTES)
  await writeKeyring(stage, parseKeyring(text.toString('utf8')))
  await failpoint('restore:files-written')
  await assertDatabasesOpen(manifest.databases, stage, keys)
  await withSecret(deriveSubKey(keys.dataKey, keys.storeId, 'audit-mac'), (key) =>
    leaveAuditNote(stage, key, {
      actor,
      event: 'store.restored',
      data: { backup: manifest.id, createdAt: manifest.createdAt, sequence: String(manifest.sequences.state) },
    }),
  )
  await failpoint('restore:checked')
}
