/**
 * The sealed files in `blobs/`, each with the chunks of a group one after the other. A file counts once a row names it,
 * and a row is written once its file is durable; so whatever else is there, a crash has left. Names are random and never
 * used twice: a removal that comes late can't hit what was stored since, and copies can be told by their name alone.
 *
 * Many chunks share a file because a sync of one file costs as much as that of another: one of 8 MiB writes two to three
 * times as fast as eight of 1 MiB do, on one thread of libuv's pool instead of four (docs/decisions/0019).
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { writeWhole } from '../backup/write-whole.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { FILE_NAME_BYTES, SEAL_BYTES } from './chunk-cipher.ts'
import { MAX_CHUNK_BYTES } from './content-chunker.ts'

export const BLOBS_FOLDER = 'blobs'
const MAX_SEALED_BYTES = MAX_CHUNK_BYTES + SEAL_BYTES
const FOLDER = /^[0-9a-f]{2}$/
const NAME = /^[0-9a-f]{32}$/
/** What may wait in the page cache while commits come: their syncs wait for it, too (docs/decisions/0012). */
const GENTLE_BYTES = 256 * 1024

/** From the store directory, '/'-separated. */
export function blobPath(file: Uint8Array): string {
  const name = Buffer.from(file).toString('hex')
  return `${BLOBS_FOLDER}/${name.slice(0, 2)}/${name}`
}

interface OpenedBlob {
  readonly handle: FileHandle
  readonly folder: string
}

export class BlobFiles {
  readonly #dir: string
  readonly #buffers: Buffer[] = []
  readonly #durableFolders = new Set<string>()

  constructor(dir: string) {
    this.#dir = dir
  }

  /** A new file, under a name that was never used. */
  create(isGentle: () => boolean): BlobWriter {
    const file = randomBytes(FILE_NAME_BYTES)
    const path = this.#path(file)
    return new BlobWriter(file, isGentle, async () => {
      await this.#makeFolder(dirname(path))
      return { handle: await open(path, 'wx', FILE_MODE), folder: dirname(path) }
    })
  }

  /** Lets `use` have `bytes` from `offset`, or what there is of them; undefined when there is no such file. */
  async read<T>(file: Uint8Array, offset: number, bytes: number, use: (sealed: Buffer) => T): Promise<T | undefined> {
    const handle = await open(this.#path(file), 'r').catch(ignoreMissing)
    if (handle === undefined) return undefined
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(MAX_SEALED_BYTES)
    try {
      let length = 0
      for (let read = 1; read > 0 && length < bytes; length += read) {
        read = (await handle.read(buffer, length, bytes - length, offset + length)).bytesRead
      }
      return use(buffer.subarray(0, length))
    } finally {
      this.#buffers.push(buffer)
      await handle.close()
    }
  }

  /** Undefined when there is none. */
  async size(file: Uint8Array): Promise<number | undefined> {
    return (await stat(this.#path(file)).catch(ignoreMissing))?.size
  }

  /** Since it was written last; 0 when there is none. */
  async ageMs(file: Uint8Array): Promise<number> {
    const found = await stat(this.#path(file)).catch(ignoreMissing)
    return found === undefined ? 0 : Date.now() - found.mtimeMs
  }

  /** @returns the bytes it had */
  async remove(file: Uint8Array): Promise<number> {
    const path = this.#path(file)
    const bytes = (await stat(path).catch(ignoreMissing))?.size ?? 0
    await rm(path, { force: true })
    return bytes
  }

  /** Names of all files by folder. */
  async *folders(): AsyncGenerator<readonly Buffer[]> {
    for (const folder of (await readdir(join(this.#dir, BLOBS_FOLDER)).catch(ignoreMissing)) ?? []) {
      if (!FOLDER.test(folder)) continue
      const names = await readdir(join(this.#dir, BLOBS_FOLDER, folder))
      yield names.filter((name) => NAME.test(name)).map((name) => Buffer.from(name, 'hex'))
    }
  }

  #path(file: Uint8Array): string {
    return join(this.#dir, blobPath(file))
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return
    await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE })
    await syncPath(dirname(folder))
    await syncPath(this.#dir)
    this.#durableFolders.add(folder)
  }
}

/** A file under way: sealed chunks are appended, one write at a time, and made durable at the end. */
export class BlobWriter {
  readonly file: Buffer
  readonly #isGentle: () => boolean
  readonly #open: () => Promise<OpenedBlob>
  #opened: Promise<OpenedBlob> | undefined
  #bytes = 0
  /** Of the last one, which waits for those before it, and fails when one of them has. */
  #writes: Promise<void> = Promise.resolve()

  constructor(file: Buffer, isGentle: () => boolean, open: () => Promise<OpenedBlob>) {
    this.file = file
    this.#isGentle = isGentle
    this.#open = open
  }

  /** Where the next chunk will be. */
  get bytes(): number {
    return this.#bytes
  }

  /** Resolves when `sealed` may be overwritten. */
  append(sealed: Uint8Array): Promise<void> {
    const at = this.#bytes
    this.#bytes += sealed.length
    this.#opened ??= this.#open()
    const opened = this.#opened
    const written = this.#writes.then(async () => this.#write((await opened).handle, sealed, at))
    this.#writes = written
    return written
  }

  /** What was appended is durable, and so is its name. */
  async finish(): Promise<void> {
    const opened = await this.#opened
    if (opened === undefined) return
    try {
      await this.#writes
      await opened.handle.datasync()
    } finally {
      await this.#close()
    }
    await syncPath(opened.folder)
  }

  /** For what is not finished; the file stays. */
  async abandon(): Promise<void> {
    await this.#writes.catch(() => undefined)
    await this.#close()
  }

  async #write(handle: FileHandle, sealed: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < sealed.length; ) {
      const isGentle = this.#isGentle()
      const piece = isGentle ? sealed.subarray(done, done + GENTLE_BYTES) : sealed.subarray(done)
      await writeWhole(handle, piece, at + done)
      if (isGentle) await handle.datasync()
      done += piece.length
    }
  }

  async #close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await (await opened?.catch(() => undefined))?.handle.close()
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
