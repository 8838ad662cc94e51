/**
 * How far the log of a database is committed, and how much of it the database file has: read from the shared-memory
 * file, which a writer updates only when a commit is durable. The log alone doesn't tell: its last commit may be one
 * whose fsync is under way, or has failed and is refused.
 *
 * Format: https://sqlite.org/walformat.html#the_wal_index_header
 */
import { read } from 'node:fs'
import { promisify } from 'node:util'

const readDescriptor = promisify(read)

const HEADER_BYTES = 48
const COPIES = 2
const MAX_FRAME_OFFSET = 16
const PAGES_OFFSET = 20
const SALT_OFFSET = 32
const SALT_BYTES = 8
const IS_INITIALIZED_OFFSET = 12
const BACKFILLED_OFFSET = HEADER_BYTES * COPIES
const READ_BYTES = BACKFILLED_OFFSET + 4
const MAX_ATTEMPTS = 1_000

export interface WalIndex {
  /** Of the log that `frames` counts in; meaningless without frames. */
  readonly salt: Buffer
  readonly frames: number
  /** Size of the database after the last commit; meaningless without frames. */
  readonly pages: number
  /** Of the frames, those that the database file has. */
  readonly backfilled: number
}

/** Undefined when the file is no index in use, or never comes to rest. */
export async function readWalIndex(descriptor: number): Promise<WalIndex | undefined> {
  let before = await readHead(descriptor)
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const head = await readHead(descriptor)
    const first = head.subarray(0, HEADER_BYTES)
    // A writer updates one copy after the other: equal ones, the same as before, were not being written.
    const isAtRest = first.equals(head.subarray(HEADER_BYTES, HEADER_BYTES * COPIES)) && before.equals(head)
    before = head
    if (isAtRest && first.readUInt8(IS_INITIALIZED_OFFSET) === 1) return parse(head)
  }
  return undefined
}

async function readHead(descriptor: number): Promise<Buffer> {
  const head = Buffer.alloc(READ_BYTES)
  await readDescriptor(descriptor, head, 0, READ_BYTES, 0)
  return head
}

function parse(head: Buffer): WalIndex {
  return {
    salt: head.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES),
    frames: nativeUint32(head, MAX_FRAME_OFFSET),
    pages: nativeUint32(head, PAGES_OFFSET),
    backfilled: nativeUint32(head, BACKFILLED_OFFSET),
  }
}

/** The index is never moved to another machine and is in the byte order of this one. */
function nativeUint32(bytes: Buffer, offset: number): number {
  return new Uint32Array(Uint8Array.from(bytes.subarray(offset, offset + 4)).buffer)[0] as number
}
