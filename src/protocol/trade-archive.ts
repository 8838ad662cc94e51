/** What `archiveTrades` is asked and answers, on both sides of the thread boundary. */

/** Why a trade that was closed before the cut stays where it is. */
export type KeptReason =
  /** Another trade of its position is not closed, or closed later. */
  | 'laterTrade'
  /** Its position is held, or a held one has its stop among the orders. */
  | 'openPosition'
  /** An order of its position is not final. */
  | 'openOrder'
  /** A collection or table of yours refers to it, to one of its orders or fills. */
  | 'referenced'
  /** A document with its key, or that of one of its orders or fills, was archived before. */
  | 'alreadyArchived'
  /** Its year would need one yearly file more than can be read together. */
  | 'tooManyYears'
  /** It was written to while it was about to move; the next run takes it. */
  | 'changed'

export interface ArchiveCounts {
  readonly trades: number
  readonly orders: number
  readonly fills: number
}

export interface ArchivedYear extends ArchiveCounts {
  readonly year: number
  /** From the store directory. */
  readonly file: string
}

export interface ArchiveTradesRequest {
  /** Unix milliseconds. */
  readonly before: number
  readonly dryRun: boolean
  readonly actor: string
}

/** What was moved, or would be in a dry run. */
export interface ArchiveTradesResult extends ArchiveCounts {
  /** Unix milliseconds. */
  readonly before: number
  readonly dryRun: boolean
  readonly years: readonly ArchivedYear[]
  /** Trades closed before the cut that stay, by reason. */
  readonly kept: Readonly<Partial<Record<KeptReason, number>>>
  readonly durationMs: number
  /** The longest time that commits had to wait for a piece of it. */
  readonly longestPauseMs: number
}
