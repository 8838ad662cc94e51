/** What `holdfast top` tells of one moment: plain data, the same for the screen and for JSON lines. */
import type { AuditStatus, DiskSpace, Store } from '../index.ts'
import { type StoreOwner, storeOwner } from './store-owner.ts'
import { type OwnerFigures, ownerFigures } from './top-owner-figures.ts'

export interface TopFrame {
  /** ISO 8601 in UTC. */
  readonly at: string
  readonly dir: string
  readonly storeId: string
  readonly owner: StoreOwner | null
  readonly files: readonly {
    readonly name: string
    readonly databaseBytes: number
    readonly freeBytes: number | null
    readonly walBytes: number
  }[]
  readonly disk: DiskSpace
  readonly growth: { readonly bytesPerDay: number | null; readonly daysUntilDiskFull: number | null }
  /** As maintenance measured them last; largest first. */
  readonly collections: readonly {
    readonly name: string
    readonly file: string
    readonly bytes: number
    readonly bytesPerDay: number | null
  }[]
  readonly audit: Pick<AuditStatus, 'entries' | 'waitingNotes' | 'refusedNotes'>
  readonly migrations: { readonly applied: number; readonly last: string | null }
  readonly keys: { readonly dataKeyCreatedAtMs: number; readonly slots: number; readonly isRotating: boolean }
  readonly lastBackupAtMs: number | null
  /** From `--metrics`; null without, or when it can't be had. */
  readonly ownerFigures: OwnerFigures | null
  /** Between the frame before and this one; null at first. */
  readonly perSecond: { readonly durableOperations: number; readonly commits: number } | null
  /** Why there are no `ownerFigures` although they were asked for. */
  readonly metricsProblem: string | null
}

export async function topFrame(store: Store, metrics: URL | undefined, before?: TopFrame): Promise<TopFrame> {
  const { dir, storeId, files, yearlyFiles, disk, growth, audit, migrations, keys, lastBackupAtMs } =
    await store.status()
  const { figures, problem } =
    metrics === undefined ? { figures: null, problem: null } : await ownerFigures(metrics, storeId)
  const at = new Date()
  return {
    at: at.toISOString(),
    dir,
    storeId,
    owner: await storeOwner(dir),
    files: [
      ...Object.entries(files).map(([name, { databaseBytes, freeBytes, walBytes }]) => ({
        name: `${name}.db`,
        databaseBytes,
        freeBytes,
        walBytes,
      })),
      ...yearlyFiles.map((file) => ({ ...file, freeBytes: null })),
    ],
    disk,
    growth: { bytesPerDay: growth.bytesPerDay, daysUntilDiskFull: growth.daysUntilDiskFull },
    collections: (growth.measured?.collections ?? []).map((collection) => ({
      ...collection,
      bytesPerDay: growth.collectionBytesPerDay[collection.name] ?? null,
    })),
    audit: { entries: audit.entries, waitingNotes: audit.waitingNotes, refusedNotes: audit.refusedNotes },
    migrations: { applied: migrations.length, last: migrations.at(-1)?.name ?? null },
    keys: { dataKeyCreatedAtMs: keys.dataKeyCreatedAtMs, slots: keys.slots.length, isRotating: keys.isRotating },
    lastBackupAtMs,
    ownerFigures: figures,
    perSecond: perSecond(before, figures, at),
    metricsProblem: problem,
  }
}

/** Counters begin at zero again with a new owner: then there is no rate. */
function perSecond(before: TopFrame | undefined, now: OwnerFigures | null, at: Date): TopFrame['perSecond'] {
  const then = before?.ownerFigures ?? null
  if (before === undefined || then === null || now === null) return null
  const seconds = (at.getTime() - Date.parse(before.at)) / 1_000
  const operations = now.durableOperations - then.durableOperations
  const commits = now.commits - then.commits
  if (seconds <= 0 || operations < 0 || commits < 0) return null
  return { durableOperations: operations / seconds, commits: commits / seconds }
}
