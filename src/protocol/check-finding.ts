/** What `check` finds, as programs can act on it: a stable code, and whether `repair` can put it right. */

export const FINDING_CODES = [
  'PAGE_DAMAGED',
  'STRUCTURE_DAMAGED',
  'LOG_DAMAGED',
  'INDEX_DAMAGED',
  'SEARCH_INDEX_DAMAGED',
  'REFERENCE_BROKEN',
  'KEYRING_COPY_MISSING',
  'KEYRING_COPY_DAMAGED',
  'KEYRING_OUTDATED',
  'MODE_TOO_OPEN',
  'BLOB_MISSING',
  'BLOB_DAMAGED',
  'CACHE_DAMAGED',
  'BLOB_UNREFERENCED',
  'SERIES_DAMAGED',
  'AUDIT_BROKEN',
  'AUDIT_HEAD_MISSING',
  'DISK_NEARLY_FULL',
  'LOG_TOO_LARGE',
  'DATABASE_MISSING',
  'DATABASE_OUTDATED',
  'KEY_OVERDUE',
  'ARCHIVE_BEHIND',
  'ROTATION_UNDER_WAY',
] as const

/** What was found, as one word that programs can rely on. */
export type FindingCode = (typeof FINDING_CODES)[number]

export interface CheckFinding {
  readonly code: FindingCode
  /** An `error` needs somebody now; a `warning` can wait for a quiet hour. */
  readonly severity: 'error' | 'warning'
  /** The file, or the part of a file, that it is about. */
  readonly subject: string
  readonly problem: string
  /** What to do. */
  readonly remedy: string
  /** True for what can be rebuilt from what is there: indexes, the second copy of the keyring, modes. */
  readonly repairable: boolean
}

/** `full`: each sealed file is read and authenticated. `quick`: each is there and as long as it should be. */
export type BlobCheck = 'full' | 'quick'

export interface CheckRequest {
  /** Older keys are an error; null allows any age. */
  readonly maxKeyAgeMs: number | null
  readonly blobs: BlobCheck
}

export interface RepairRequest {
  /** Who asked for it, for the audit trail. */
  readonly actor: string
}

export interface RepairResult {
  readonly repaired: readonly CheckFinding[]
  /** What a check after it still finds. */
  readonly remaining: readonly CheckFinding[]
  /** True when nothing was touched, because something is damaged that can't be derived. */
  readonly refused: boolean
}
