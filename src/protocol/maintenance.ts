/** Upkeep of an open store: what can be asked for, and what is told of it. */
import type { DatabaseFile } from '../schema/database-file.ts'
import type { ArtifactGarbage } from './artifacts.ts'
import type { StoreErrorCode } from './store-error.ts'

export interface MaintenanceSchedule {
  /** From one run to the next. */
  readonly everyMs: number
  /** How long there has to be no commit before a run begins. A store that is never idle is served after another `everyMs`. */
  readonly idleMs: number
}

export interface MaintainRequest {
  /** Rewrites each file that has free space; commits wait meanwhile. */
  readonly fullVacuum: boolean
}

export interface FileMaintenance {
  /** Bytes given back to the file system. */
  readonly freedBytes: number
  /** Free bytes still inside the file, which later writes use first. */
  readonly freeBytes: number
  /** True for a file from before incremental vacuum: only a full one gives its free space back. */
  readonly needsFullVacuum: boolean
  /** Tables the query planner has new statistics of. */
  readonly analyzed: readonly string[]
}

/** Recent points and corrections that became blocks. */
export interface SeriesMaintenance {
  readonly blocksWritten: number
  readonly rowsMerged: number
  /** Series that could not be compacted, because a block of them is damaged; `check` names them. */
  readonly damaged: number
}

export interface MaintenanceResult {
  readonly durationMs: number
  /** What puts that were broken off have left. */
  readonly artifacts: ArtifactGarbage
  readonly series: SeriesMaintenance
  readonly files: Readonly<Record<DatabaseFile, FileMaintenance>>
}

export interface MaintenanceStatus {
  readonly schedule: MaintenanceSchedule | null
  readonly isRunning: boolean
  readonly lastRun: {
    readonly atMs: number
    readonly durationMs: number
    readonly freedBytes: number
    /** Why it ended early. */
    readonly error: StoreErrorCode | null
  } | null
}

export interface CollectionSize {
  readonly name: string
  readonly file: DatabaseFile
  /** Pages of the table and its indexes. */
  readonly bytes: number
}

export interface StoreSizes {
  readonly atMs: number
  /** Bytes in use, by file: without free pages and without the log. */
  readonly files: Readonly<Record<DatabaseFile, number>>
  /** Largest first; tables of the store itself and of migrations among them. */
  readonly collections: readonly CollectionSize[]
}

export interface Growth {
  /** The sizes maintenance measured last; null before its first run. */
  readonly measured: StoreSizes | null
  /** Of the last 30 days at most; null until there are samples a day apart. */
  readonly bytesPerDay: number | null
  readonly collectionBytesPerDay: Readonly<Record<string, number>>
  /** Null when the store does not grow, or when that is not known yet. */
  readonly daysUntilDiskFull: number | null
}
