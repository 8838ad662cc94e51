/** Continuous archiving as it is asked for and reported, across the thread boundary. */
import type { StoreErrorCode } from './store-error.ts'

/** `archive` of `openStore`, with everything decided. */
export interface ArchiveSettings {
  readonly location: string
  readonly intervalMs: number
  readonly maxLagBytes: number
  readonly baseEveryMs: number
  readonly baseAfterBytes: number
  readonly keepGenerations: number
}

/** How far the archive is. Lag is what would be lost if this machine burned now. */
export interface ArchiveStatus {
  readonly location: string
  /** How far it may be behind, as it was asked for. */
  readonly intervalMs: number
  /** Null while none is under way: the archive has not been reached yet, or the last one was given up. */
  readonly generation: string | null
  /** Age of the oldest commit that the archive does not have. */
  readonly lagMs: number
  readonly lagBytes: number
  /** In this generation, of both databases. */
  readonly segments: number
  /** Chunks of artifacts that the archive is to get before the next segment; 0 before it has been reached. */
  readonly filesWaiting: number
  /** Of state.db; null before the first. */
  readonly lastShippedSequence: number | null
  readonly lastError: { readonly code: StoreErrorCode; readonly message: string } | null
}

/** What a restore from an archive has brought back. */
export interface RestoredMoment {
  readonly dir: string
  /** Where the store that was in the way is now. */
  readonly movedAside: string | null
  readonly generation: string
  readonly storeId: string
  /** The last batch of state.db in it; null when nobody knows its name. */
  readonly sequence: number | null
  /** Of its last commit, in Unix milliseconds. */
  readonly timeMs: number
  /** The last commit of the archive. */
  readonly archivedUntilMs: number
  /** False when it ends before the moment that was asked for; `problems` say why, and what is wrong with its trail. */
  readonly isComplete: boolean
  readonly problems: readonly string[]
  /**
   * Files that belong to this moment and could not be brought back, relative to `dir`: yearly files of archived trades,
   * such as `archive/trades-2025.db`, of which a copy as new as the moment or newer belongs there; and chunks of artifacts.
   */
  readonly missingFiles: readonly string[]
  /** Names of artifacts with chunks among them. */
  readonly artifactsWithoutContent: readonly string[]
}

export interface FollowRequest {
  readonly from: string
  readonly dir: string
  readonly pollMs: number
}

/** How far a standby is. */
export interface StandbyStatus {
  readonly dir: string
  readonly from: string
  readonly generation: string | null
  /** True once it holds a whole copy and can be promoted. */
  readonly isReady: boolean
  /** True when it had everything the archive holds when it last looked. */
  readonly isCaughtUp: boolean
  /** Applied ones of this generation, of both databases. */
  readonly segments: number
  /** The last batch of state.db in it. */
  readonly sequence: number | null
  /** Of its last commit, in Unix milliseconds. */
  readonly timeMs: number | null
  readonly lastError: { readonly code: StoreErrorCode; readonly message: string } | null
}

/** Restores a moment into an empty or new directory; with `force` what is there is moved aside. */
export interface RestoreMomentRequest {
  readonly from: string
  readonly dir: string
  readonly password: Uint8Array
  readonly force: boolean
  /** Who restores, for the audit trail. */
  readonly actor: string
  /** Unix milliseconds; or a batch of state.db; or neither for the latest. */
  readonly atMs: number | null
  readonly sequence: number | null
}
