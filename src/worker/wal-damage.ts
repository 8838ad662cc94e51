/**
 * SQLite reads a write-ahead log up to the first frame that does not fit and takes what follows for the torn end of an
 * unfinished commit. One flipped bit in the middle would so take back, without a word, every commit behind it. With an
 * fsync in each commit the two can be told apart: nothing is written behind a commit before it is on disk, so a torn
 * end can hold frames of one commit only. Frames of a later commit behind a frame that does not fit are damage.
 *
 * Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
 */
import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { StoreError } from '../protocol/store-error.ts'
import {
  DEFAULT_PAGE_BYTES,
  FRAME_HEADER_BYTES,
  framePieces,
  nextChecksum,
  openIfPresent,
  parseWalHeader,
  WAL_HEADER_BYTES,
} from './archive/wal-frames.ts'

/** Read at once. Nobody waits for this thread while a store is opened. */
const PIECE_FRAMES = 64

/** @throws StoreError `STORE_CORRUPT` when commits behind a damaged frame would be lost. Reads only; no connection may be open. */
export async function assertWalUndamaged(walPath: string): Promise<void> {
  const log = await openIfPresent(walPath)
  if (log === undefined) return
  try {
    if (!(await isDamaged(log))) return
  } finally {
    await log.close()
  }
  const file = basename(walPath)
  throw new StoreError(
    'STORE_CORRUPT',
    `${file} is damaged in the middle: writes that were durable stand behind the damage and can't be read. Nothing was changed. Restore a copy of the store, or move ${file} aside to go on with the state before it.`,
    { details: { file } },
  )
}

/** True when there are frames of a finished commit, and one more behind them, past the first that does not fit. */
async function isDamaged(log: FileHandle): Promise<boolean> {
  const start = Buffer.alloc(WAL_HEADER_BYTES + FRAME_HEADER_BYTES)
  const { bytesRead } = await log.read(start, 0, start.length, 0)
  if (bytesRead < start.length) return false
  const headerBytes = start.subarray(0, WAL_HEADER_BYTES)
  const header = parseWalHeader(headerBytes)
  if (header === undefined && headerBytes.every((byte) => byte === 0)) return false
  // When the header itself is damaged, the salt is that of the first frame.
  const behind = new FramesBehindDamage(header?.salt ?? start.subarray(WAL_HEADER_BYTES + 8, WAL_HEADER_BYTES + 16))
  let sum = header?.sum
  for await (const piece of framePieces(log, header?.pageBytes ?? DEFAULT_PAGE_BYTES, 0, PIECE_FRAMES)) {
    for (const frame of piece) {
      if (header !== undefined && sum !== undefined) sum = nextChecksum(frame, header, sum)
      if (sum === undefined && behind.showLaterCommit(frame)) return true
    }
  }
  return false
}

/** Frames that belong to this log, by their salt: is one of them the last of a commit, with another behind it? */
class FramesBehindDamage {
  readonly #salt: Buffer
  #isBehindCommit = false

  constructor(salt: Buffer) {
    this.#salt = salt
  }

  showLaterCommit(frame: Buffer): boolean {
    const isOurs = frame.readUInt32BE(0) !== 0 && frame.compare(this.#salt, 0, 8, 8, 16) === 0
    if (!isOurs) return false
    if (this.#isBehindCommit) return true
    this.#isBehindCommit = frame.readUInt32BE(4) !== 0
    return false
  }
}
