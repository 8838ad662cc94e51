/** What is asked of backups and restores, and answered, across the thread boundary. */
import type { RetentionRule } from '../schema/retention-rule.ts'

/** `full`: restored to a temporary place, every page and its structure checked. `quick`: what was written is read back. */
export type BackupVerification = 'quick' | 'full'

export interface BackupRequest {
  readonly to: string
  /** Null: `full` for a small store, `quick` for a large one. */
  readonly verify: BackupVerification | null
  readonly retention: RetentionRule | null
  /** Who asks for it, for the audit trail. */
  readonly actor: string
}

/** Sequences of the last batch committed, see `store.status()`; 0 when there was none. */
export interface BackupSequences {
  readonly state: number
  readonly market: number
}

/** A backup, as its manifest describes it. */
export interface BackupSummary {
  readonly id: string
  readonly storeId: string
  /** ISO 8601, UTC: the moment of the state in it. */
  readonly createdAt: string
  readonly sequences: BackupSequences
  /** Of the store when restored. */
  readonly bytes: number
}

export interface BackupResult extends BackupSummary {
  readonly location: string
  /** What had to be written; the rest was there already. */
  readonly writtenBytes: number
  /** Chunks of artifacts that the store had lost before: see `artifacts.verify`. Empty is good news. */
  readonly missing: readonly string[]
  readonly verified: BackupVerification
  readonly durationMs: number
  /** Ids of backups that the retention rule let go. */
  readonly pruned: readonly string[]
}

export interface RestoreRequest {
  readonly from: string
  readonly dir: string
  readonly password: Uint8Array
  /** Null: the newest one. */
  readonly id: string | null
  readonly force: boolean
  /** Who restores, for the audit trail. */
  readonly actor: string
}

export interface RestoreResult extends BackupSummary {
  readonly dir: string
  /** Where the store that was in the way is now. */
  readonly movedAside: string | null
  readonly durationMs: number
}

export interface BackupListing {
  /** Oldest first. */
  readonly backups: readonly BackupSummary[]
  /** Files that should be manifests and are not whole. */
  readonly damaged: readonly string[]
}

export interface VerifyBackupRequest {
  readonly from: string
  readonly id: string | null
  /** With it the manifest is authenticated, and every page by opening it. */
  readonly password: Uint8Array | null
}

export interface VerifyBackupResult extends BackupSummary {
  readonly checkedBytes: number
  readonly isAuthenticated: boolean
}

export interface PruneRequest {
  readonly location: string
  readonly retention: RetentionRule
}

export interface PruneResult {
  readonly kept: readonly string[]
  readonly removed: readonly string[]
  readonly freedBytes: number
}

/** How far a backup, a restore or a verification is. */
export interface BackupProgress {
  readonly phase: 'copy' | 'verify' | 'restore'
  readonly doneBytes: number
  readonly totalBytes: number
}
