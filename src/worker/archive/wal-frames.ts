/**
 * Reads a write-ahead log as SQLite does: frames count up to the last commit before the first one that does not fit.
 * Pages stay ciphertext; no key is needed. Safe beside a writer, since every frame is proven by salt and checksum.
 *
 * Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
 */
import { type FileHandle, open } from 'node:fs/promises'

export const WAL_HEADER_BYTES = 32
export const FRAME_HEADER_BYTES = 24
export const DEFAULT_PAGE_BYTES = 4_096

const MAGIC_LITTLE_ENDIAN = 0x377f0682
const MAGIC_BIG_ENDIAN = 0x377f0683
const MIN_PAGE_BYTES = 512
const MAX_PAGE_BYTES = 65_536
/** Read at once: small enough that checking it holds the thread for a fraction of a millisecond. */
const CHUNK_FRAMES = 16

/** The log's cumulative checksum: two 32-bit words. */
export type WalChecksum = readonly [number, number]

export interface WalHeader {
  readonly pageBytes: number
  readonly isBigEndian: boolean
  /** 8 bytes; another log in the same file has another salt. */
  readonly salt: Buffer
  readonly sum: WalChecksum
}

export interface WalFrame {
  /** 1 for the first frame of the log. */
  readonly index: number
  readonly pageNumber: number
  /** Size of the database in pages after this commit, for the last frame of a transaction; else 0. */
  readonly commitPages: number
  /** Of the frame's header in the file; the page follows behind `FRAME_HEADER_BYTES`. */
  readonly offset: number
}

export interface WalFrames {
  readonly header: WalHeader
  /** Ends with the last commit frame that is valid, with every frame before it. */
  readonly frames: readonly WalFrame[]
}

/**
 * The committed frames of a log, behind the first `from` ones, whose checksums are taken as they stand.
 *
 * @returns undefined when there is no log, or none with a valid header: there is nothing but the database file then.
 */
export async function readWalFrames(path: string, from = 0): Promise<WalFrames | undefined> {
  const file = await openIfPresent(path)
  if (file === undefined) return undefined
  try {
    const header = await readWalHeader(file)
    if (header === undefined) return undefined
    return { header, frames: await committedFrames(file, header, from) }
  } finally {
    await file.close()
  }
}

export async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function readWalHeader(file: FileHandle): Promise<WalHeader | undefined> {
  const bytes = Buffer.alloc(WAL_HEADER_BYTES)
  const { bytesRead } = await file.read(bytes, 0, WAL_HEADER_BYTES, 0)
  return bytesRead < WAL_HEADER_BYTES ? undefined : parseWalHeader(bytes)
}

/**
 * What stands where frames would, behind the first `from` ones, whatever it is: some frames at a time, each a header
 * with its page. The memory of one piece is that of the next.
 */
export async function* framePieces(
  file: FileHandle,
  pageBytes: number,
  from: number,
  pieceFrames = CHUNK_FRAMES,
): AsyncGenerator<Buffer[]> {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes
  const chunk = Buffer.alloc(pieceFrames * frameBytes)
  const slots = Array.from({ length: pieceFrames }, (_, n) => chunk.subarray(n * frameBytes, (n + 1) * frameBytes))
  for (let index = from; ; ) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, frameOffset(index + 1, pageBytes))
    const count = Math.floor(bytesRead / frameBytes)
    if (count === 0) return
    yield slots.slice(0, count)
    index += count
  }
}

async function committedFrames(file: FileHandle, header: WalHeader, from: number): Promise<WalFrame[]> {
  const frames: WalFrame[] = []
  let committed = 0
  let index = from
  let sum = header.sum
  if (from > 0) {
    const last = Buffer.alloc(FRAME_HEADER_BYTES)
    const { bytesRead } = await file.read(last, 0, last.length, frameOffset(from, header.pageBytes))
    if (bytesRead < last.length || header.salt.compare(last, 8, 16) !== 0) return []
    sum = frameChecksum(last)
  }
  for await (const piece of framePieces(file, header.pageBytes, from)) {
    for (const frame of piece) {
      const next = nextChecksum(frame, header, sum)
      if (next === undefined) return frames.slice(0, committed)
      sum = next
      index += 1
      const commitPages = frame.readUInt32BE(4)
      const offset = frameOffset(index, header.pageBytes)
      frames.push({ index, pageNumber: frame.readUInt32BE(0), commitPages, offset })
      if (commitPages !== 0) committed = frames.length
    }
  }
  return frames.slice(0, committed)
}

/** Where the header of frame `index` stands; the first is 1. */
export function frameOffset(index: number, pageBytes: number): number {
  return WAL_HEADER_BYTES + (index - 1) * (FRAME_HEADER_BYTES + pageBytes)
}

/** Undefined when the bytes are no header of a log. */
export function parseWalHeader(bytes: Buffer): WalHeader | undefined {
  const magic = bytes.readUInt32BE(0)
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined
  const isBigEndian = magic === MAGIC_BIG_ENDIAN
  const sum = checksum(bytes.subarray(0, 24), isBigEndian, [0, 0])
  if (bytes.readUInt32BE(24) !== sum[0] || bytes.readUInt32BE(28) !== sum[1]) return undefined
  const pageBytes = bytes.readUInt32BE(8)
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0) return undefined
  return { pageBytes, isBigEndian, salt: bytes.subarray(16, 24), sum }
}

/** The checksum after `frame`, a header with its page, or undefined when the frame does not follow one that ended with `sum`. */
export function nextChecksum(frame: Buffer, header: WalHeader, sum: WalChecksum): WalChecksum | undefined {
  if (frame.readUInt32BE(0) === 0 || header.salt.compare(frame, 8, 16) !== 0) return undefined
  const page = frame.subarray(FRAME_HEADER_BYTES)
  const next = checksum(page, header.isBigEndian, checksum(frame.subarray(0, 8), header.isBigEndian, sum))
  const [first, second] = frameChecksum(frame)
  return next[0] === first && next[1] === second ? next : undefined
}

/** The checksum that a frame's header states. */
export function frameChecksum(frameHeader: Buffer): WalChecksum {
  return [frameHeader.readUInt32BE(16), frameHeader.readUInt32BE(20)]
}

const HOST_IS_BIG_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 0

function checksum(bytes: Buffer, isBigEndian: boolean, from: WalChecksum): WalChecksum {
  let [first, second] = from
  if (isBigEndian === HOST_IS_BIG_ENDIAN && bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    for (let index = 0; index < words.length; index += 2) {
      first = (first + (words[index] as number) + second) | 0
      second = (second + (words[index + 1] as number) + first) | 0
    }
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let offset = 0; offset < bytes.length; offset += 8) {
      first = (first + view.getUint32(offset, !isBigEndian) + second) | 0
      second = (second + view.getUint32(offset + 4, !isBigEndian) + first) | 0
    }
  }
  return [first >>> 0, second >>> 0]
}
