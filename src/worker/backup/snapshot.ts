/**
 * One moment of a database, as ciphertext pages, while its writer goes on. A read transaction is held meanwhile, which
 * gives two promises (https://sqlite.org/wal.html#concurrency). A checkpoint moves no frame into the database file that
 * is newer than the transaction, so whatever page of it is being written over meanwhile has a frame in the log. And once
 * there is a frame that the database file doesn't have, the log can't start over, so its frames stay. Hence: the pages
 * of the file, with those of all frames laid over that were committed when it began, are one committed state.
 *
 * When the file has every frame, it is that state by itself, and the log, which may start over then, isn't looked at.
 */
import { read, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { StoreError } from '../../protocol/store-error.ts'
import { FRAME_HEADER_BYTES, frameOffset, readWalFrames, type WalFrames } from '../archive/wal-frames.ts'
import { type Connection, queryOnce } from '../driver.ts'
import type { HeldDescriptors } from './held-descriptors.ts'
import { readWalIndex, type WalIndex } from './wal-index.ts'

const readDescriptor = promisify(read)

const MAX_BEGINNINGS = 50

/** Where in the log a snapshot ends: the commit of frame number `frames` is its last. */
export interface WalPosition {
  /** 8 bytes in hexadecimal. */
  readonly salt: string
  readonly frames: number
}

export interface DatabaseSnapshot {
  readonly pageBytes: number
  readonly pages: number
  /** Null when the database file alone was the state. */
  readonly wal: WalPosition | null
  /** Sequence of the last batch in it, where the source knows it; null when there was none since it opened. */
  readonly lastSequence: number | null
  /** Ciphertext of `pageCount` pages from `firstPage` on, the first of a file being 1; in the beginning of `into`, if it is given. */
  read(firstPage: number, pageCount: number, into?: Buffer): Promise<Buffer>
  /** Read-only SQL at the moment of the snapshot. */
  readonly connection: Connection
  /** Ends the read transaction and closes its connection. Until then the log grows. */
  release(): Promise<void>
}

export interface SnapshotSource {
  /** Of the database. */
  readonly path: string
  /** Opens a read-only connection, which is the snapshot's from then on. */
  readonly openReader: () => Promise<Connection>
  readonly descriptors: HeldDescriptors
  /** Runs `work` while no commit is under way, where the writer is in this worker; tells the last sequence. */
  readonly atRest?: <T>(work: () => Promise<T>) => Promise<{ readonly result: T; readonly lastSequence: number | null }>
  /** Called once, when the snapshot is released or could not be taken. */
  readonly onRelease: () => void
}

/** @throws StoreError `STORE_CORRUPT` when the log and its index don't fit each other */
export async function takeSnapshot(source: SnapshotSource): Promise<DatabaseSnapshot> {
  const { path, descriptors, onRelease } = source
  let connection: Connection | undefined
  try {
    connection = await source.openReader()
    const reader = connection
    const [row] = await queryOnce(reader, 'PRAGMA cipher_page_size')
    const pageBytes = Number(row?.cipher_page_size)
    const main = await descriptors.descriptorOf(path)
    const shared = await descriptors.descriptorOf(`${path}-shm`)
    const { result: index, lastSequence } = await (source.atRest ?? withoutSequence)(() => begin(reader, shared))
    if (index === undefined) throw unfit(path)
    const parts = { connection, main, pageBytes, lastSequence, onRelease }
    if (index.frames === 0) return new Snapshot({ ...parts, pages: pagesOf(await stat(path), pageBytes) })
    if (index.backfilled === index.frames) return new Snapshot({ ...parts, pages: index.pages })
    return new Snapshot({ ...parts, pages: index.pages, log: await readLog(path, index, pageBytes) })
  } catch (error) {
    await connection?.close()
    onRelease()
    throw error
  }
}

async function withoutSequence<T>(work: () => Promise<T>) {
  return { result: await work(), lastSequence: null }
}

/**
 * Begins the read transaction and tells where the log ends. A commit between the two would make the pages newer than
 * what the connection sees: no harm to them, but then it is begun anew, so that both are one moment if at all possible.
 */
async function begin(connection: Connection, shared: number): Promise<WalIndex | undefined> {
  for (let attempt = 1; ; attempt++) {
    const before = await readWalIndex(shared)
    await connection.exec('BEGIN')
    // The transaction begins with its first read.
    await queryOnce(connection, 'SELECT count(*) FROM sqlite_schema')
    const after = await readWalIndex(shared)
    const isSame = before?.frames === after?.frames && before?.salt.equals(after?.salt ?? Buffer.alloc(0)) === true
    if (isSame || attempt === MAX_BEGINNINGS) return after
    await connection.exec('ROLLBACK')
  }
}

function pagesOf({ size }: Stats, pageBytes: number): number {
  return size / pageBytes
}

/** Of each page that the log has, its last frame. */
interface Log {
  readonly file: FileHandle
  readonly position: WalPosition
  readonly frameOf: ReadonlyMap<number, number>
}

async function readLog(path: string, index: WalIndex, pageBytes: number): Promise<Log> {
  const walPath = `${path}-wal`
  const wal = await readWalFrames(walPath)
  if (wal === undefined || !fits(wal, index, pageBytes)) throw unfit(walPath)
  const frameOf = new Map<number, number>()
  for (const { pageNumber, index: frame } of wal.frames.slice(0, index.frames)) frameOf.set(pageNumber, frame)
  // No lock is on the log itself: it may be closed again.
  const file = await open(walPath, 'r')
  return { file, position: { salt: index.salt.toString('hex'), frames: index.frames }, frameOf }
}

function fits({ header, frames }: WalFrames, index: WalIndex, pageBytes: number): boolean {
  const last = frames[index.frames - 1]
  return header.salt.equals(index.salt) && header.pageBytes === pageBytes && last?.commitPages === index.pages
}

function unfit(path: string): StoreError {
  const file = basename(path)
  return new StoreError(
    'STORE_CORRUPT',
    `${file} does not have the commits that are recorded for it. Nothing was changed; run holdfast check, and restore a copy if it finds damage.`,
    { details: { file } },
  )
}

interface SnapshotParts {
  readonly connection: Connection
  readonly main: number
  readonly pageBytes: number
  readonly pages: number
  readonly lastSequence: number | null
  readonly log?: Log
  readonly onRelease: () => void
}

class Snapshot implements DatabaseSnapshot {
  readonly connection: Connection
  readonly pageBytes: number
  readonly pages: number
  readonly wal: WalPosition | null
  readonly lastSequence: number | null
  readonly #main: number
  readonly #log: Log | undefined
  readonly #onRelease: () => void

  constructor({ connection, main, pageBytes, pages, lastSequence, log, onRelease }: SnapshotParts) {
    this.connection = connection
    this.pageBytes = pageBytes
    this.pages = pages
    this.wal = log?.position ?? null
    this.lastSequence = lastSequence
    this.#main = main
    this.#log = log
    this.#onRelease = onRelease
  }

  async read(
    firstPage: number,
    pageCount: number,
    memory = Buffer.allocUnsafe(pageCount * this.pageBytes),
  ): Promise<Buffer> {
    const bytes = memory.subarray(0, pageCount * this.pageBytes)
    const frames = Array.from({ length: pageCount }, (_, at) => this.#log?.frameOf.get(firstPage + at))
    for (let at = 0; at < pageCount; ) {
      const length = runLength(frames, at)
      const into = bytes.subarray(at * this.pageBytes, (at + length) * this.pageBytes)
      const frame = frames[at]
      if (frame === undefined) await readWhole(this.#main, into, (firstPage + at - 1) * this.pageBytes)
      else await this.#readFrames(frame, into)
      at += length
    }
    return bytes
  }

  /** Pages of frames that follow each other stand in the log with their headers between them. */
  async #readFrames(firstFrame: number, pages: Buffer): Promise<void> {
    const { pageBytes } = this
    const frameBytes = FRAME_HEADER_BYTES + pageBytes
    const count = pages.length / pageBytes
    const frames = Buffer.allocUnsafe(count * frameBytes)
    await readWhole((this.#log as Log).file.fd, frames, frameOffset(firstFrame, pageBytes))
    for (let at = 0; at < count; at++) {
      frames.copy(pages, at * pageBytes, at * frameBytes + FRAME_HEADER_BYTES, (at + 1) * frameBytes)
    }
  }

  async release(): Promise<void> {
    await this.#log?.file.close()
    await this.connection.close()
    this.#onRelease()
  }
}

/** How many from `at` on are in the database file, or in frames that follow each other. */
function runLength(frames: readonly (number | undefined)[], at: number): number {
  const first = frames[at]
  let length = 1
  while (at + length < frames.length && frames[at + length] === (first === undefined ? undefined : first + length)) {
    length += 1
  }
  return length
}

async function readWhole(descriptor: number, into: Buffer, position: number): Promise<void> {
  let filled = 0
  while (filled < into.length) {
    const { bytesRead } = await readDescriptor(descriptor, into, filled, into.length - filled, position + filled)
    if (bytesRead === 0) {
      throw new StoreError('STORE_CORRUPT', 'A database file is shorter than its log says. Run holdfast check.')
    }
    filled += bytesRead
  }
}
