/**
 * The one method map of the thread boundary: the worker implements it, the client's typed link and its blocking twin
 * are derived from it. Requests and results are plain data; large results travel as one JSON text a page, which costs
 * the receiving thread a single parse and no clone of thousands of objects.
 */

import type { DatabaseFile } from '../schema/database-file.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { QueryWire, WhereWire } from '../schema/query.ts'
import type {
  ArchiveSettings,
  ArchiveStatus,
  FollowRequest,
  RestoredMoment,
  RestoreMomentRequest,
  StandbyStatus,
} from './archive.ts'
import type { ArtifactMethods, ArtifactsStatus } from './artifacts.ts'
import type { AuditNoteRequest, AuditPage, AuditPageRequest, AuditStatus, AuditVerification } from './audit.ts'
import type {
  BackupListing,
  BackupProgress,
  BackupRequest,
  BackupResult,
  PruneRequest,
  PruneResult,
  RestoreRequest,
  RestoreResult,
  VerifyBackupRequest,
  VerifyBackupResult,
} from './backup.ts'
import type { Batch, CommitResult, UnitBatch, UnitCommitResult, Witness } from './batch.ts'
import type { BookMethods } from './books.ts'
import type { CheckFinding, CheckRequest, FindingCode, RepairRequest, RepairResult } from './check-finding.ts'
import type {
  KeyRequest,
  KeyResult,
  KeyringInfo,
  RotateDataKeyRequest,
  RotateDataKeyResult,
  RotationProgress,
} from './keys.ts'
import type { LatencyCounts } from './latency-histogram.ts'
import type {
  Growth,
  MaintainRequest,
  MaintenanceResult,
  MaintenanceSchedule,
  MaintenanceStatus,
  StoreSizes,
} from './maintenance.ts'
import type { SeriesMethods, SeriesStatus } from './series.ts'
import type { SeriesRuleMethods } from './series-rules.ts'
import type { SessionCacheMethods, SessionCacheSettings, SessionCacheStatus } from './session-cache.ts'
import type { SkillMethods, SkillsStatus } from './skills.ts'
import type { SerializedError } from './store-error.ts'
import type { ArchiveTradesRequest, ArchiveTradesResult } from './trade-archive.ts'

export type Durability = 'full' | 'normal'

/** Cost of argon2id for a new keyring (RFC 9106). */
export interface KdfCostOptions {
  readonly memoryKiB: number
  readonly iterations: number
  readonly parallelism: number
}

export interface OpenRequest {
  readonly dir: string
  readonly create: boolean
  readonly readOnly: boolean
  readonly password: Uint8Array
  readonly durability: Durability
  readonly kdfCost: KdfCostOptions | null
  /** Those of the package, and those the program defines. */
  readonly builtInCollections: readonly CollectionSpec[]
  readonly collections: readonly CollectionSpec[]
  /** Folder of the built-in migrations, and of the user's own. */
  readonly migrationsDir: string
  readonly userMigrationsDir: string | null
  /** `rehearse` runs pending migrations, rolls them back and then refuses like `refuse`. */
  readonly migrate: 'apply' | 'refuse' | 'rehearse'
  readonly session: number | null
  /** The keyring as it was when `password` last opened it, for a worker that takes over; null at the first open. */
  readonly keyring: string | null
  readonly maintenance: MaintenanceSchedule | null
  /** Continuous archiving; null without. */
  readonly archive: ArchiveSettings | null
  readonly sessionCache: SessionCacheSettings
}

export interface OpenResult {
  readonly storeId: string
  /** Serialized; ciphertext throughout. */
  readonly keyring: string
  readonly created: boolean
  readonly session: number
  readonly appliedMigrations: readonly string[]
  /** When they ran, in Unix milliseconds; null when there were none. */
  readonly migrated: { readonly startedAtMs: number; readonly endedAtMs: number } | null
  /** File names of keyring copies that were missing or damaged and have been restored from the other one. */
  readonly restoredKeyringCopies: readonly string[]
  /** True when SQL of the user's own, which may hold constraints and triggers, was ever applied. */
  readonly hasUserMigrations: boolean
  /** Every collection the store has a table for, also those this open did not define. */
  readonly collections: readonly CollectionSpec[]
}

export interface HydrateRequest {
  readonly collection: string
  /** Row id to go on after; 0 for the first page. */
  readonly after: number
}

/** `json` is an array of `[version, document]`; `last` is the row id to go on after, null at the end. */
export interface HydratePage {
  readonly json: string
  readonly last: number | null
}

export interface PageRequest {
  readonly collection: string
  readonly query: QueryWire
  /** Where the page before ended; null for the first. */
  readonly cursor: PageCursor | null
  readonly maxRows: number
}

export interface PageCursor {
  readonly value: string | number | null
  readonly id: number
  /** Where yearly files are read as well: row ids may occur in several. */
  readonly key?: string
}

/** `json` is an array of documents; `cursor` is null when there is no more. */
export interface Page {
  readonly json: string
  readonly count: number
  readonly cursor: PageCursor | null
}

export interface GetRequest {
  readonly collection: string
  readonly key: string
  readonly includeArchived?: boolean
}

export interface CountRequest {
  readonly collection: string
  readonly where: WhereWire
  readonly includeArchived?: boolean
}

export interface EntryWire {
  readonly json: string
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly sequence: number
}

export type SqlValue = string | number | null | Uint8Array
export type SqlRow = Readonly<Record<string, SqlValue>>

/** `columns` in the order of the query; each row has a value for each. */
export interface SqlTable {
  readonly columns: string[]
  readonly rows: SqlValue[][]
}

/**
 * What becomes of an integer that a number would show with other digits: `refuse` rejects with `INVALID_QUERY`, `text`
 * gives it as a text of its digits.
 */
export type WideIntegers = 'refuse' | 'text'

export interface SqlRequest {
  readonly sql: string
  readonly parameters: readonly (string | number | boolean | null)[]
  readonly file: DatabaseFile
  readonly maxRows: number
  /** Default `refuse`. */
  readonly wideIntegers?: WideIntegers
}

export interface RevealRequest {
  readonly collection: string
  readonly key: string
  readonly actor: string
  readonly reason: string
}

export interface FileStatus {
  readonly databaseBytes: number
  /** Of those, what later writes use first, or maintenance gives back. */
  readonly freeBytes: number
  readonly walBytes: number
  readonly commits: number
  readonly checkpoints: number
  readonly commitMs: number
  readonly checkpointMs: number
  /** From the beginning of a transaction to its fsync. */
  readonly commitLatency: LatencyCounts
}

/** Closed trades of a year, in a file of its own. */
export interface YearlyFileStatus {
  /** From the store directory. */
  readonly name: string
  readonly databaseBytes: number
  readonly walBytes: number
}

export interface DiskSpace {
  /** What this user may still write. */
  readonly freeBytes: number
  readonly totalBytes: number
}

/** How the last check of this worker ended. */
export interface LastCheck {
  readonly atMs: number
  readonly errors: number
  readonly warnings: number
  readonly codes: readonly FindingCode[]
}

export interface WorkerStatus {
  readonly audit: AuditStatus
  /** Null without continuous archiving. */
  readonly archive: ArchiveStatus | null
  readonly files: Readonly<Record<DatabaseFile, FileStatus>>
  /** Ascending by year. */
  readonly yearlyFiles: readonly YearlyFileStatus[]
  readonly readsActive: number
  readonly readsWaiting: number
  /** Of reads since the worker started, with the wait for their turn. */
  readonly readLatency: LatencyCounts
  readonly disk: DiskSpace
  readonly lastCheck: LastCheck | null
  readonly artifacts: ArtifactsStatus
  readonly skills: SkillsStatus
  readonly sessionCache: SessionCacheStatus
  readonly series: SeriesStatus
  /** What the keyring says of itself, without its secrets, and how far a rotation of the data key has come. */
  readonly keys: KeyringInfo & { readonly rotation: RotationProgress | null }
  readonly maintenance: MaintenanceStatus
  /** As the audit trail has it; null when no backup is recorded. */
  readonly lastBackupAtMs: number | null
  readonly growth: Growth
  readonly migrations: readonly { readonly origin: string; readonly number: number; readonly name: string }[]
}

export interface AppliedRequest {
  readonly file: DatabaseFile
  readonly sequence: number
  readonly witness: Witness | null
  /** Of the batches sent behind it. One of them may have deleted this one's witness; where it was applied, so was this. */
  readonly later: readonly { readonly sequence: number; readonly witness: Witness }[]
}

/**
 * `applied: false`: send it again, unless it was refused as a whole with `error`. Failures are those of a batch that was
 * committed unit by unit.
 */
export type AppliedResult =
  | { readonly applied: false; readonly error?: SerializedError }
  | ({ readonly applied: true } & UnitCommitResult)

/** Everything the worker can be asked. Every method answers once and never shares state with the caller. */
export interface StoreWorkerMethods
  extends SeriesMethods,
    BookMethods,
    SeriesRuleMethods,
    SkillMethods,
    ArtifactMethods,
    SessionCacheMethods {
  open(request: OpenRequest): Promise<OpenResult>
  hydrate(request: HydrateRequest): Promise<HydratePage>
  commit(batch: Batch): Promise<CommitResult>
  commitUnits(batch: UnitBatch): Promise<UnitCommitResult>
  wasApplied(request: AppliedRequest): Promise<AppliedResult>
  get(request: GetRequest): Promise<string | null>
  entry(request: { readonly collection: string; readonly key: string }): Promise<EntryWire | null>
  page(request: PageRequest): Promise<Page>
  count(request: CountRequest): Promise<number>
  sql(request: SqlRequest): Promise<readonly SqlRow[]>
  sqlTable(request: SqlRequest): Promise<SqlTable>
  reveal(request: RevealRequest): Promise<Readonly<Record<string, string | null>>>
  auditPage(request: AuditPageRequest): Promise<AuditPage>
  auditVerify(request: { readonly head: string | null }): Promise<AuditVerification>
  auditNote(request: AuditNoteRequest): Promise<void>
  archiveTrades(request: ArchiveTradesRequest): Promise<ArchiveTradesResult>
  /** Changes of the keyring; needs no open store. */
  keys(request: KeyRequest): Promise<KeyResult>
  rotateDataKey(request: RotateDataKeyRequest): Promise<RotateDataKeyResult>
  rotationProgress(): Promise<RotationProgress | null>
  checkpoint(): Promise<void>
  check(request: CheckRequest): Promise<readonly CheckFinding[]>
  repair(request: RepairRequest): Promise<RepairResult>
  maintain(request: MaintainRequest): Promise<MaintenanceResult>
  sizes(): Promise<StoreSizes>
  status(): Promise<WorkerStatus>
  backup(request: BackupRequest): Promise<BackupResult>
  /** The rest about backups needs no open store. */
  backupProgress(): Promise<BackupProgress | null>
  listBackups(request: { readonly location: string }): Promise<BackupListing>
  verifyBackup(request: VerifyBackupRequest): Promise<VerifyBackupResult>
  pruneBackups(request: PruneRequest): Promise<PruneResult>
  restore(request: RestoreRequest): Promise<RestoreResult>
  close(): Promise<void>
  /** Makes of this worker a standby, which has no store open. */
  follow(request: FollowRequest): Promise<void>
  followed(): Promise<StandbyStatus>
  unfollow(): Promise<void>
  restoreMoment(request: RestoreMomentRequest): Promise<RestoredMoment>
  /** Ends the calls of native packages under way. The worker answers nothing after it: its thread can end without harm. */
  halt(): Promise<void>
}

export type MethodName = keyof StoreWorkerMethods
export type RequestOf<M extends MethodName> = Parameters<StoreWorkerMethods[M]>
export type ResultOf<M extends MethodName> = Awaited<ReturnType<StoreWorkerMethods[M]>>
