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

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const MAGIC_LITTLE_ENDIAN = 0x377f0682
const MAGIC_BIG_ENDIAN = 0x377f0683
const MIN_PAGE_BYTES = 512
const MAX_PAGE_BYTES = 65_536

/** @throws StoreError `STORE_CORRUPT` when commits behind a damaged frame would be lost. Reads only; no connection may be open. */
export async function assertWalUndamaged(walPath: string): Promise<void> {
  const wal = await readWal(walPath)
  if (wal === undefined || wal.length <= HEADER_BYTES || !isDamaged(wal)) return
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
  const header = readHeader(wal)
  if (header === undefined)
    return wal.subarray(0, HEADER_BYTES).some((byte) => byte !== 0) && hasLaterCommit(wal, 0, null)
  const { pageBytes, isBigEndian, salt } = header
  const frameBytes = FRAME_HEADER_BYTES + pageBytes
  let sum = header.sum
  let offset = HEADER_BYTES
  while (offset + frameBytes <= wal.length) {
    const page = wal.subarray(offset + FRAME_HEADER_BYTES, offset + frameBytes)
    const next = checksum(page, isBigEndian, checksum(wal.subarray(offset, offset + 8), isBigEndian, sum))
    const fits =
      wal.readUInt32BE(offset) !== 0 &&
      wal.compare(salt, 0, 8, offset + 8, offset + 16) === 0 &&
      wal.readUInt32BE(offset + 16) === next[0] &&
      wal.readUInt32BE(offset + 20) === next[1]
    if (!fits) return hasLaterCommit(wal, (offset - HEADER_BYTES) / frameBytes, header)
    sum = next
    offset += frameBytes
  }
  return false
}

interface WalHeader {
  readonly pageBytes: number
  readonly isBigEndian: boolean
  readonly salt: Buffer
  readonly sum: readonly [number, number]
}

function readHeader(wal: Buffer): WalHeader | undefined {
  const magic = wal.readUInt32BE(0)
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined
  const isBigEndian = magic === MAGIC_BIG_ENDIAN
  const sum = checksum(wal.subarray(0, 24), isBigEndian, [0, 0])
  if (wal.readUInt32BE(24) !== sum[0] || wal.readUInt32BE(28) !== sum[1]) return undefined
  const pageBytes = wal.readUInt32BE(8)
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0) return undefined
  return { pageBytes, isBigEndian, salt: wal.subarray(16, 24), sum }
}

const DEFAULT_PAGE_BYTES = 4_096

/**
 * Frames behind number `from` that belong to this log, by their salt: is one of them the last of a commit, with another
 * behind it? When the header itself is damaged, the salt is that of the first frame.
 */
function hasLaterCommit(wal: Buffer, from: number, header: WalHeader | null): boolean {
  const frameBytes = FRAME_HEADER_BYTES + (header?.pageBytes ?? DEFAULT_PAGE_BYTES)
  const salt = header?.salt ?? wal.subarray(HEADER_BYTES + 8, HEADER_BYTES + 16)
  let isBehindCommit = false
  for (let offset = HEADER_BYTES + from * frameBytes; offset + frameBytes <= wal.length; offset += frameBytes) {
    const isOurs = wal.readUInt32BE(offset) !== 0 && wal.compare(salt, 0, 8, offset + 8, offset + 16) === 0
    if (!isOurs) continue
    if (isBehindCommit) return true
    isBehindCommit = wal.readUInt32BE(offset + 4) !== 0
  }
  return false
}

/** The log's cumulative checksum: pairs of 32-bit words, modulo 2^32. */
function checksum(bytes: Buffer, isBigEndian: boolean, from: readonly [number, number]): readonly [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let [first, second] = from
  for (let offset = 0; offset < bytes.length; offset += 8) {
    first = (first + view.getUint32(offset, !isBigEndian) + second) | 0
    second = (second + view.getUint32(offset + 4, !isBigEndian) + first) | 0
  }
  return [first >>> 0, second >>> 0]
}
