/**
 * Lets old backups go: manifests first, each removal durable, then the files that no manifest that is left names. A
 * crash in between leaves files too many, never one too few.
 */
import type { PruneResult } from '../../protocol/backup.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { RetentionRule } from '../../schema/retention-rule.ts'
import { failpoint } from '../failpoint.ts'
import { BACKUP_AREA, filePath, type ManifestBody, manifestPath, readManifests } from './manifest.ts'
import { keptBackups } from './retention.ts'
import type { BackupTarget } from './target.ts'

/**
 * Applies `rule`; the caller has the lock of the target.
 *
 * @throws StoreError `BACKUP_DAMAGED` when a manifest can't be read: nothing is removed then, since nobody knows what it
 * needs
 */
export async function pruneBackups(target: BackupTarget, rule: RetentionRule): Promise<PruneResult> {
  const { manifests, damaged } = await readManifests(target)
  const [first] = damaged
  if (first !== undefined) {
    throw new StoreError(
      'BACKUP_DAMAGED',
      `${first} is damaged, so nobody can tell which packs it needs. Nothing was pruned: move it aside first.`,
      { details: { file: first } },
    )
  }
  const kept = new Set<string>()
  // A target may hold the backups of several stores.
  for (const storeId of new Set(manifests.map((manifest) => manifest.storeId))) {
    for (const id of keptBackups(
      manifests.filter((manifest) => manifest.storeId === storeId),
      rule,
    ))
      kept.add(id)
  }
  const removed = manifests.filter(({ id }) => !kept.has(id))
  for (const { id } of removed) {
    await target.remove(manifestPath(id))
    await failpoint('prune:manifest-removed')
  }
  const freedBytes = await removeUnreferenced(
    target,
    manifests.filter(({ id }) => kept.has(id)),
  )
  return { kept: [...kept].sort(), removed: removed.map(({ id }) => id), freedBytes }
}

/** Removes what none of all manifests names; the caller has the lock of the target. */
export async function removeUnreferenced(target: BackupTarget, manifests: readonly ManifestBody[]): Promise<number> {
  const needed = new Set(
    manifests.flatMap(({ packs, databases, files }) => [
      ...packs.map(({ path }) => path),
      ...databases.map(({ pageHashes }) => pageHashes.path),
      ...files.map(({ sha256 }) => filePath(sha256)),
    ]),
  )
  let freedBytes = 0
  for (const folder of ['packs', 'pages', 'files']) {
    for (const { path, bytes } of await target.list(`${BACKUP_AREA}/${folder}/`)) {
      if (needed.has(path)) continue
      await target.remove(path)
      await failpoint('prune:file-removed')
      freedBytes += bytes
    }
  }
  return freedBytes
}
