/**
 * Makes a backup: copies what has changed since the one before, verifies the result by opening it, and only then writes
 * the manifest that makes it count. A backup that breaks off leaves files that no manifest names; the next one, which
 * has the target's lock, removes them.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret } from '../../crypto/zero.ts'
import type { BackupRequest, BackupResult, BackupVerification } from '../../protocol/backup.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { failpoint } from '../failpoint.ts'
import { isAlive } from '../process-alive.ts'
import { DIRECTORY_MODE } from '../store-files.ts'
import {
  assertAuthentic,
  BACKUP_AREA,
  backupIds,
  filePath,
  type Manifest,
  type ManifestBody,
  nextBackupId,
  readManifests,
  sealManifest,
  summaryOf,
  writeManifest,
} from './manifest.ts'
import type { Pace } from './pace.ts'
import { copyPages } from './page-copier.ts'
import { beginPhase, endProgress } from './progress.ts'
import { pruneBackups, removeUnreferenced } from './prune.ts'
import {
  assertDatabasesOpen,
  assertFirstPagesOpen,
  assertPacksWhole,
  type BackupKeys,
  writeDatabases,
} from './restored-files.ts'
import type { StoreSnapshot } from './store-snapshots.ts'
import { createTar, isTar } from './tar-target.ts'
import { type BackupTarget, openTarget } from './target.ts'

/** Up to this size a backup is restored and checked page by page unless something else is asked for. */
const FULL_VERIFICATION_BYTES = 64 * 1024 * 1024
/** A copy up to this size is checked and removed before it has gone to the disk. */
const UNSYNCED_BYTES = FULL_VERIFICATION_BYTES
const CHECK_FOLDER = /^\.backup-check-(\d+)$/

export interface BackupJob {
  readonly dir: string
  readonly keys: BackupKeys
  readonly request: BackupRequest
  readonly takeSnapshot: () => Promise<StoreSnapshot>
  /** Throws when the store is being closed. */
  readonly assertGoesOn: () => void
  readonly pace: Pace
}

/**
 * @throws StoreError `TARGET_BUSY`, `INVALID_ARGUMENT` (a tar that exists, a retention rule for one), `BACKUP_DAMAGED`
 * when what was written does not verify, `STORE_CORRUPT`, `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`
 */
export async function makeBackup(job: BackupJob): Promise<BackupResult> {
  const { to, retention } = job.request
  try {
    if (!isTar(to)) return await intoFolder(job, await openTarget(to, job.pace))
    if (retention !== null)
      throw new StoreError('INVALID_ARGUMENT', 'A .tar holds one backup: there is nothing to prune.')
    const tar = await createTar(to, job.pace)
    try {
      const result = await run(job, tar, undefined, [])
      await tar.publish()
      return result
    } catch (error) {
      await tar.discard()
      throw error
    }
  } finally {
    endProgress()
  }
}

async function intoFolder(job: BackupJob, target: BackupTarget): Promise<BackupResult> {
  const { retention } = job.request
  const lock = await target.lock(BACKUP_AREA)
  try {
    const { manifests, damaged } = await readManifests(target)
    // With a manifest that can't be read, nobody knows what it needs.
    if (damaged.length === 0) await removeUnreferenced(target, manifests)
    const base = await usableBase(job, target, manifests)
    const result = await run(job, target, base, await backupIds(target))
    if (retention === null) return result
    const { removed } = await pruneBackups(target, retention)
    return { ...result, pruned: removed }
  } finally {
    await lock.release()
  }
}

/** The newest backup of this store under its present key, if every pack of it is there. */
async function usableBase(
  { keys }: BackupJob,
  target: BackupTarget,
  manifests: readonly Manifest[],
): Promise<Manifest | undefined> {
  const newest = manifests.filter(({ storeId }) => storeId === keys.storeId).at(-1)
  if (newest === undefined) return undefined
  try {
    await withMacKey(keys, (key) => assertAuthentic(newest, key))
  } catch (error) {
    if (error instanceof StoreError && error.code === 'BACKUP_DAMAGED') return undefined
    throw error
  }
  const bytesOf = new Map((await target.list(`${BACKUP_AREA}/packs/`)).map(({ path, bytes }) => [path, bytes]))
  return newest.packs.every(({ path, bytes }) => bytesOf.get(path) === bytes) ? newest : undefined
}

async function withMacKey<T>({ dataKey, storeId }: BackupKeys, use: (key: Buffer) => T): Promise<T> {
  return await withSecret(deriveSubKey(dataKey, storeId, 'backup-mac'), use)
}

async function run(
  job: BackupJob,
  target: BackupTarget,
  base: Manifest | undefined,
  ids: readonly string[],
): Promise<BackupResult> {
  const startedAt = performance.now()
  const snapshot = await job.takeSnapshot()
  try {
    const id = nextBackupId(ids, snapshot.takenAt)
    const totalBytes = snapshot.databases.reduce((sum, each) => sum + each.snapshot.pages * each.snapshot.pageBytes, 0)
    beginPhase('copy', totalBytes)
    const { packs, databases, writtenBytes } = await copyPages({
      target,
      id,
      base,
      snapshots: snapshot.databases,
      assertGoesOn: job.assertGoesOn,
      pace: job.pace,
    })
    await failpoint('backup:packs-written')
    const sequences = await snapshot.sequences
    // The log of a database grows for as long as its snapshot is held.
    await snapshot.release()
    const { files, missing, ...copied } = await copyFiles(job, snapshot, target, base)
    const body: ManifestBody = {
      format: 'holdfast-backup',
      version: 1,
      id,
      storeId: job.keys.storeId,
      createdAt: snapshot.takenAt.toISOString(),
      sequences,
      packs: [...packs],
      databases: [...databases],
      files,
    }
    const verified = job.request.verify ?? (totalBytes <= FULL_VERIFICATION_BYTES ? 'full' : 'quick')
    await verify(job, target, body, verified)
    await failpoint('backup:verified')
    const manifest = await withMacKey(job.keys, (key) => sealManifest(body, key))
    await writeManifest(target, manifest)
    await failpoint('backup:manifest-written')
    const summary = summaryOf(body)
    return {
      ...summary,
      location: target.location,
      writtenBytes: writtenBytes + copied.writtenBytes,
      missing,
      verified,
      durationMs: performance.now() - startedAt,
      pruned: [],
    }
  } finally {
    await snapshot.release()
  }
}

interface CopiedFiles {
  readonly files: ManifestBody['files']
  readonly writtenBytes: number
  readonly missing: readonly string[]
}

/**
 * The files beside the databases. A blob never changes under its name: what the backup before has of it need not be read
 * again. One that is missing has been lost before, and keeps nothing else from being saved.
 */
async function copyFiles(
  { dir, assertGoesOn, pace }: BackupJob,
  snapshot: StoreSnapshot,
  target: BackupTarget,
  base: Manifest | undefined,
): Promise<CopiedFiles> {
  const stored = new Set((await target.list(`${BACKUP_AREA}/files/`)).map(({ path }) => path))
  const before = new Map(base?.files.map((file) => [file.path, file]))
  const files: ManifestBody['files'] = []
  const missing: string[] = []
  let writtenBytes = 0
  const store = async (path: string, content: Uint8Array): Promise<void> => {
    const sha256 = createHash('sha256').update(content).digest('hex')
    if (!stored.has(filePath(sha256))) {
      await target.write(filePath(sha256), content)
      writtenBytes += content.length
    }
    stored.add(filePath(sha256))
    files.push({ path, bytes: content.length, sha256 })
  }
  for (const [path, content] of snapshot.contents) await store(path, content)
  for (const path of snapshot.blobs) {
    assertGoesOn()
    const known = before.get(path)
    if (known !== undefined && stored.has(filePath(known.sha256))) files.push(known)
    else {
      const content = await readFile(join(dir, path)).catch(ignoreMissing)
      if (content !== undefined) await store(path, content)
      else missing.push(path)
      await pace.giveWay()
    }
  }
  for (const { path, whenGone } of snapshot.cache) {
    assertGoesOn()
    // Read once and whole, because it may be another one a moment later.
    const content = (await readFile(join(dir, path)).catch(ignoreMissing)) ?? (await whenGone())
    if (content !== undefined) await store(path, content)
    await pace.giveWay()
  }
  return { files, writtenBytes, missing }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}

/** Reads back what was written, and opens it under the key: by its first pages, or whole. */
async function verify(
  { dir, keys, pace }: BackupJob,
  target: BackupTarget,
  body: ManifestBody,
  how: BackupVerification,
): Promise<void> {
  const written = body.packs.filter(({ path }) => path.startsWith(`${BACKUP_AREA}/packs/${body.id}-`))
  const folder = await checkFolder(dir)
  try {
    if (how === 'full') {
      beginPhase('verify', summaryOf(body).bytes)
      await writeDatabases(target, body, folder, { pace, isDurable: summaryOf(body).bytes > UNSYNCED_BYTES })
      await assertDatabasesOpen(body.databases, folder, keys, pace)
    } else {
      beginPhase(
        'verify',
        written.reduce((sum, { bytes }) => sum + bytes, 0),
      )
      await assertPacksWhole(target, written, pace)
      await assertFirstPagesOpen(target, body, folder, keys)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Inside the store directory, which is for its owner alone. What a process that died has left there is removed. */
async function checkFolder(dir: string): Promise<string> {
  for (const name of await readdir(dir)) {
    const pid = CHECK_FOLDER.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(dir, name), { recursive: true, force: true })
  }
  const folder = join(dir, `.backup-check-${process.pid}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: DIRECTORY_MODE })
  return folder
}
