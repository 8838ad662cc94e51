/**
 * SQLite reads a write-ahead log up to the first frame that does not fit and takes what follows for the torn end of an
 * unfinished commit. One flipped bit in the middle would so take back, without a word, every commit behind it. With an
 * fsync in each commit the two can be told apart: nothing is written behind a commit before it is on disk, so a torn
 * end can hold frames of one commit only. Frames of a later commit behind a frame that does not fit are damage.
 *
 * Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { StoreError } from '../protocol/store-error.ts'
import {
  DEFAULT_PAGE_BYTES,
  FRAME_HEADER_BYTES,
  nextChecksum,
  parseWalHeader,
  WAL_HEADER_BYTES,
  type WalHeader,
} from './archive/wal-frames.ts'

/** @throws StoreError `STORE_CORRUPT` when commits behind a damaged frame would be lost. Reads only; no connection may be open. */
export async function assertWalUndamaged(walPath: string): Promise<void> {
  const wal = await readWal(walPath)
  if (wal === undefined || wal.length <= WAL_HEADER_BYTES || !isDamaged(wal)) return
  const file = basename(walPath)
  throw new StoreError(
    'STORE_CORRUPT',
    `${file} is damaged in the middle: writes that were durable stand behind the damage and can't be read. Nothing was changed. Restore a copy of the store, or move ${file} aside to go on with the state before it.`,
    { details: { file } },
  )
}

async function readWal(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** True when there are frames of a finished commit, and one more behind them, past the first that does not fit. */
export function isDamaged(wal: Buffer): boolean {
  const header = parseWalHeader(wal)
  if (header === undefined)
    return wal.subarray(0, WAL_HEADER_BYTES).some((byte) => byte !== 0) && hasLaterCommit(wal, 0, null)
  const frameBytes = FRAME_HEADER_BYTES + header.pageBytes
  let sum = header.sum
  let offset = WAL_HEADER_BYTES
  while (offset + frameBytes <= wal.length) {
    const next = nextChecksum(wal.subarray(offset, offset + frameBytes), header, sum)
    if (next === undefined) return hasLaterCommit(wal, (offset - WAL_HEADER_BYTES) / frameBytes, header)
    sum = next
    offset += frameBytes
  }
  return false
}

/**
 * Frames behind number `from` that belong to this log, by their salt: is one of them the last of a commit, with another
 * behind it? When the header itself is damaged, the salt is that of the first frame.
 */
function hasLaterCommit(wal: Buffer, from: number, header: WalHeader | null): boolean {
  const frameBytes = FRAME_HEADER_BYTES + (header?.pageBytes ?? DEFAULT_PAGE_BYTES)
  const salt = header?.salt ?? wal.subarray(WAL_HEADER_BYTES + 8, WAL_HEADER_BYTES + 16)
  let isBehindCommit = false
  for (let offset = WAL_HEADER_BYTES + from * frameBytes; offset + frameBytes <= wal.length; offset += frameBytes) {
    const isOurs = wal.readUInt32BE(offset) !== 0 && wal.compare(salt, 0, 8, offset + 8, offset + 16) === 0
    if (!isOurs) continue
    if (isBehindCommit) return true
    isBehindCommit = wal.readUInt32BE(offset + 4) !== 0
  }
  return false
}
