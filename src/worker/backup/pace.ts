/**
 * How the copying shares thread and disk with commits (docs/decisions/0012). While commits come, it works in small
 * pieces, syncs each and rests between them; while none come, large pieces at the speed of the disk.
 */
import { givingWayTo, tradingAlong } from './give-way.ts'

export interface Pace {
  /** False while commits come. */
  readonly isAlone: boolean
  /** Bytes that are read, hashed and written at a time. */
  readonly pieceBytes: number
  /** Bytes that are hashed in one turn of the event loop. */
  readonly sliceBytes: number
  /**
   * What may wait in the page cache while more is written. The sync of a commit beside it waits for that, too. RocksDB's
   * `bytes_per_sync` is the same remedy.
   */
  readonly syncEveryBytes: number
  /** To be called between pieces; resolves when the work may go on. */
  giveWay(): Promise<void>
}

const KIB = 1024

const BESIDE_COMMITS = {
  isAlone: false,
  pieceBytes: 256 * KIB,
  sliceBytes: 64 * KIB,
  syncEveryBytes: 256 * KIB,
} as const
export const MAX_PIECE_BYTES = 1024 * KIB
const ALONE = {
  isAlone: true,
  pieceBytes: MAX_PIECE_BYTES,
  sliceBytes: 1024 * KIB,
  syncEveryBytes: 8 * 1024 * KIB,
} as const

/** Trading that pauses for no longer than this is still going on. */
const QUIET_AFTER_MS = 1_000

/** For work that nobody trades beside, such as a restore. */
export const fullPace: Pace = { ...ALONE, syncEveryBytes: 64 * 1024 * KIB, giveWay: async () => undefined }

/** For work that does not know whether anybody trades beside it. */
export const gentlePace: Pace = { ...BESIDE_COMMITS, giveWay: async () => undefined }

/** @param commits rises with every commit */
export function paceBeside(commits: () => number): Pace {
  const giveWay = givingWayTo(commits)
  const isTrading = tradingAlong(commits, QUIET_AFTER_MS)
  const sizes = () => (isTrading() ? BESIDE_COMMITS : ALONE)
  return {
    get isAlone() {
      return sizes().isAlone
    },
    get pieceBytes() {
      return sizes().pieceBytes
    },
    get sliceBytes() {
      return sizes().sliceBytes
    },
    get syncEveryBytes() {
      return sizes().syncEveryBytes
    },
    giveWay,
  }
}
