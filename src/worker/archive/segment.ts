/**
 * A segment: the frames of some commits as they stood in the write-ahead log, ciphertext, with what is needed to tell
 * that nothing is missing before it and nothing in it was changed. Applying one needs no key.
 *
 *     8 bytes   "HFSEGMT1"
 *     4 bytes   length of the header, big-endian
 *     header    JSON, see `SegmentHeader`
 *     frames    24 bytes of the log's frame header and one page each
 *     commits   24 bytes each: sequence and time as 64-bit floats, last frame and database pages as 32-bit integers
 *     32 bytes  SHA-256 of everything before
 *     32 bytes  HMAC-SHA-256 of that hash under the sub-key `backup-mac`
 *
 * The same commits always give the same bytes, so a segment that is written again, after a failure nobody knows the
 * outcome of, replaces itself.
 */
import { createHash, createHmac, type Hash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { StoreError } from '../../protocol/store-error.ts'
import { FRAME_HEADER_BYTES } from './wal-frames.ts'

const MAGIC = Buffer.from('HFSEGMT1', 'latin1')
const COMMIT_BYTES = 24
const HASH_BYTES = 32
const MAX_HEADER_BYTES = 4_096
const NO_SEQUENCE = 0

export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/)
export const saltHex = z.string().regex(/^[0-9a-f]{16}$/)

const segmentHeader = z.strictObject({
  version: z.literal(1),
  storeId: z.uuid(),
  generation: z.string().min(1),
  file: z.enum(['state', 'market']),
  number: z.int().min(1),
  /** SHA-256 of the segment before; of the base for the first. */
  previous: sha256Hex,
  session: z.int().nonnegative(),
  pageBytes: z.int().min(512).max(65_536),
  salt: saltHex,
  /** Number of its first frame in the log that has this salt. */
  firstFrame: z.int().min(1),
  frames: z.int().min(1),
  commits: z.int().min(1),
})

export type SegmentHeader = z.infer<typeof segmentHeader>

/** One committed transaction. */
export interface SegmentCommit {
  /** Null for one that is no batch of writes, such as an entry of the audit trail. */
  readonly sequence: number | null
  /** Unix milliseconds, never less than that of the commit before. */
  readonly timeMs: number
  readonly lastFrame: number
  /** Size of the database in pages after it. */
  readonly pages: number
}

/** A segment that was read to its end and found whole. */
export interface ReadSegment {
  readonly header: SegmentHeader
  readonly commits: readonly SegmentCommit[]
  readonly sha256: string
  /** Checksum words of its last frame, as the log has them. */
  readonly lastChecksum: Buffer
  readonly mac: Buffer
}

/** The bytes of a segment as they are made; `sha256` is known at their end. */
export class SegmentContent implements AsyncIterable<Uint8Array> {
  readonly #header: SegmentHeader
  readonly #commits: readonly SegmentCommit[]
  readonly #frames: () => AsyncIterable<Uint8Array>
  readonly #macKey: Uint8Array
  #sha256: string | undefined

  constructor(
    header: SegmentHeader,
    commits: readonly SegmentCommit[],
    frames: () => AsyncIterable<Uint8Array>,
    macKey: Uint8Array,
  ) {
    this.#header = header
    this.#commits = commits
    this.#frames = frames
    this.#macKey = macKey
  }

  get sha256(): string {
    if (this.#sha256 === undefined) throw new StoreError('INTERNAL', 'A segment was not read to its end.')
    return this.#sha256
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256')
    const header = Buffer.from(JSON.stringify(this.#header))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(header.length)
    yield hashed(hash, Buffer.concat([MAGIC, length, header]))
    for await (const frames of this.#frames()) yield hashed(hash, frames)
    yield hashed(hash, commitBytes(this.#commits))
    const digest = hash.digest()
    this.#sha256 = digest.toString('hex')
    yield Buffer.concat([digest, macOf(digest, this.#macKey)])
  }
}

function hashed(hash: Hash, bytes: Uint8Array): Uint8Array {
  hash.update(bytes)
  return bytes
}

function macOf(digest: Uint8Array, key: Uint8Array): Buffer {
  return createHmac('sha256', key).update('segment').update(digest).digest()
}

function commitBytes(commits: readonly SegmentCommit[]): Buffer {
  const bytes = Buffer.alloc(commits.length * COMMIT_BYTES)
  for (const [index, { sequence, timeMs, lastFrame, pages }] of commits.entries()) {
    const at = index * COMMIT_BYTES
    bytes.writeDoubleBE(sequence ?? NO_SEQUENCE, at)
    bytes.writeDoubleBE(timeMs, at + 8)
    bytes.writeUInt32BE(lastFrame, at + 16)
    bytes.writeUInt32BE(pages, at + 20)
  }
  return bytes
}

function parseCommits(bytes: Buffer, count: number): SegmentCommit[] {
  return Array.from({ length: count }, (_, index) => {
    const at = index * COMMIT_BYTES
    const sequence = bytes.readDoubleBE(at)
    return {
      sequence: sequence === NO_SEQUENCE ? null : sequence,
      timeMs: bytes.readDoubleBE(at + 8),
      lastFrame: bytes.readUInt32BE(at + 16),
      pages: bytes.readUInt32BE(at + 20),
    }
  })
}

/** A frame of a segment that is being read. */
export interface SegmentFrame {
  readonly index: number
  readonly pageNumber: number
  readonly page: Buffer
}

/**
 * Reads a segment from its first byte to its last, handing each frame on as it comes: what was handed on counts only
 * when this resolves, since only then its hash has been compared.
 *
 * @param macKey null where there is no key: then the hash proves that nothing was damaged, not who made it
 * @throws StoreError `ARCHIVE_DAMAGED`, with `path` in its message
 */
export async function readSegment(
  content: AsyncIterable<Uint8Array>,
  path: string,
  macKey: Uint8Array | null,
  onFrame: (frame: SegmentFrame) => Promise<void> | void = () => undefined,
  onHeader: (header: SegmentHeader) => Promise<void> | void = () => undefined,
): Promise<ReadSegment> {
  const source = new ByteSource(content, path)
  try {
    return await readFrom(source, path, macKey, onFrame, onHeader)
  } finally {
    // One that is not read to its end has a file open, too.
    await source.close()
  }
}

async function readFrom(
  source: ByteSource,
  path: string,
  macKey: Uint8Array | null,
  onFrame: (frame: SegmentFrame) => Promise<void> | void,
  onHeader: (header: SegmentHeader) => Promise<void> | void,
): Promise<ReadSegment> {
  const hash = createHash('sha256')
  const start = await source.take(MAGIC.length + 4)
  const headerBytes = start.readUInt32BE(MAGIC.length)
  if (!start.subarray(0, MAGIC.length).equals(MAGIC) || headerBytes > MAX_HEADER_BYTES) {
    throw damagedSegment(path, 'it does not begin as a segment does')
  }
  hash.update(start)
  const headerText = await source.take(headerBytes)
  hash.update(headerText)
  const header = parseHeader(headerText, path)
  await onHeader(header)
  const frameBytes = FRAME_HEADER_BYTES + header.pageBytes
  const salt = Buffer.from(header.salt, 'hex')
  const lastChecksum = Buffer.alloc(8)
  for (let index = 0; index < header.frames; index++) {
    const frame = await source.take(frameBytes)
    hash.update(frame)
    const pageNumber = frame.readUInt32BE(0)
    if (pageNumber === 0 || frame.compare(salt, 0, 8, 8, 16) !== 0) {
      throw damagedSegment(path, 'it holds a frame of another log')
    }
    frame.copy(lastChecksum, 0, 16, 24)
    await onFrame({ index: header.firstFrame + index, pageNumber, page: frame.subarray(FRAME_HEADER_BYTES) })
  }
  const index = await source.take(header.commits * COMMIT_BYTES)
  hash.update(index)
  const digest = hash.digest()
  const stated = await source.take(2 * HASH_BYTES)
  await source.assertEnd()
  if (!digest.equals(stated.subarray(0, HASH_BYTES))) throw damagedSegment(path, 'its content and its hash differ')
  const mac = stated.subarray(HASH_BYTES)
  if (macKey !== null && !timingSafeEqual(macOf(digest, macKey), mac)) {
    throw damagedSegment(path, 'it was not made with the key of this store')
  }
  const commits = parseCommits(index, header.commits)
  assertIndex(header, commits, path)
  return { header, commits, sha256: digest.toString('hex'), lastChecksum, mac: Buffer.from(mac) }
}

function parseHeader(bytes: Buffer, path: string): SegmentHeader {
  try {
    return segmentHeader.parse(JSON.parse(bytes.toString('utf8')))
  } catch {
    throw damagedSegment(path, 'its header can not be read')
  }
}

function assertIndex({ firstFrame, frames }: SegmentHeader, commits: readonly SegmentCommit[], path: string): void {
  let before: SegmentCommit = { sequence: null, timeMs: 0, lastFrame: firstFrame - 1, pages: 0 }
  for (const commit of commits) {
    if (commit.lastFrame <= before.lastFrame || commit.timeMs < before.timeMs || commit.pages === 0) {
      throw damagedSegment(path, 'its commits are out of order')
    }
    before = commit
  }
  if (before.lastFrame !== firstFrame + frames - 1) throw damagedSegment(path, 'it does not end with a commit')
}

export function damagedSegment(path: string, what: string): StoreError {
  return new StoreError(
    'ARCHIVE_DAMAGED',
    `${path} is damaged: ${what}. Moments before it can be restored from this archive; later ones only from a newer generation or a backup.`,
    { details: { path } },
  )
}

/** Takes exact numbers of bytes out of pieces of any size. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #path: string
  #rest: Buffer = Buffer.alloc(0)

  constructor(content: AsyncIterable<Uint8Array>, path: string) {
    this.#iterator = content[Symbol.asyncIterator]()
    this.#path = path
  }

  /** The bytes stay as they are until the next call. */
  async take(count: number): Promise<Buffer> {
    if (this.#rest.length < count) await this.#fill(count)
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async #fill(count: number): Promise<void> {
    const parts: Uint8Array[] = [this.#rest]
    let length = this.#rest.length
    while (length < count) {
      const { done, value } = await this.#iterator.next()
      if (done === true) throw damagedSegment(this.#path, 'it ends too early')
      parts.push(value)
      length += value.length
    }
    this.#rest = Buffer.concat(parts, length)
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }

  async assertEnd(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#iterator.next()).done !== true) {
      throw damagedSegment(this.#path, 'there are bytes behind its end')
    }
  }
}
