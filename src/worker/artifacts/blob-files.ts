/**
 * The sealed files in `blobs/`. A file counts once a row names it, and a row is written once its file is durable; so
 * whatever else is there, a crash has left. Names are random and never used twice: a removal that comes late can't hit
 * what was stored since, and copies can be told by their name alone.
 *
 * A group of files shares a folder, so that one fsync makes all of its names durable.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { writeWhole } from '../backup/write-whole.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { FILE_NAME_BYTES, SEAL_BYTES } from './chunk-cipher.ts'
import { MAX_CHUNK_BYTES } from './content-chunker.ts'

export const BLOBS_FOLDER = 'blobs'
const MAX_FILE_BYTES = MAX_CHUNK_BYTES + SEAL_BYTES
const FOLDER = /^[0-9a-f]{2}$/
const NAME = /^[0-9a-f]{32}$/
const UNFINISHED = /^\.[0-9a-f]{32}$/

/** From the store directory, '/'-separated. */
export function blobPath(file: Uint8Array): string {
  const name = Buffer.from(file).toString('hex')
  return `${BLOBS_FOLDER}/${name.slice(0, 2)}/${name}`
}

export class BlobFiles {
  readonly #dir: string
  readonly #buffers: Buffer[] = []
  readonly #durableFolders = new Set<string>()

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Names for the files of one group. */
  newNames(): () => Buffer {
    const [folder] = randomBytes(1)
    return () => {
      const name = randomBytes(FILE_NAME_BYTES)
      name[0] = folder as number
      return name
    }
  }

  /** Durable, and not in its place. */
  async write(file: Uint8Array, parts: readonly Uint8Array[]): Promise<void> {
    const path = this.#unfinishedPath(file)
    await this.#makeFolder(dirname(path))
    const handle = await open(path, 'wx', FILE_MODE)
    try {
      for (const part of parts) await writeWhole(handle, part)
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }

  /** Puts files of one group in their places. */
  async publish(files: readonly Uint8Array[]): Promise<void> {
    if (files.length === 0) return
    for (const file of files) {
      await rename(this.#unfinishedPath(file), this.#path(file))
    }
    await syncPath(dirname(this.#path(files[0] as Uint8Array)))
  }

  /** Lets `use` have the file's bytes, which are others afterwards; undefined when there is none. */
  async read<T>(file: Uint8Array, maxBytes: number, use: (sealed: Buffer) => T): Promise<T | undefined> {
    const handle = await open(this.#path(file), 'r').catch(ignoreMissing)
    if (handle === undefined) return undefined
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(MAX_FILE_BYTES + 1)
    try {
      let length = 0
      for (let read = 1; read > 0 && length <= maxBytes; length += read) {
        read = (await handle.read(buffer, length, maxBytes + 1 - length, length)).bytesRead
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
    const found =
      (await stat(this.#path(file)).catch(ignoreMissing)) ??
      (await stat(this.#unfinishedPath(file)).catch(ignoreMissing))
    return found === undefined ? 0 : Date.now() - found.mtimeMs
  }

  /** Finished or not. @returns the bytes it had */
  async remove(file: Uint8Array): Promise<number> {
    let bytes = 0
    for (const path of [this.#path(file), this.#unfinishedPath(file)]) {
      bytes += (await stat(path).catch(ignoreMissing))?.size ?? 0
      await rm(path, { force: true })
    }
    return bytes
  }

  /** Names of all files by folder, unfinished ones among them. */
  async *folders(): AsyncGenerator<readonly Buffer[]> {
    for (const folder of (await readdir(join(this.#dir, BLOBS_FOLDER)).catch(ignoreMissing)) ?? []) {
      if (!FOLDER.test(folder)) continue
      const names = await readdir(join(this.#dir, BLOBS_FOLDER, folder))
      const own = names.filter((name) => NAME.test(name) || UNFINISHED.test(name))
      yield own.map((name) => Buffer.from(name.replace('.', ''), 'hex'))
    }
  }

  #path(file: Uint8Array): string {
    return join(this.#dir, blobPath(file))
  }

  #unfinishedPath(file: Uint8Array): string {
    const path = this.#path(file)
    return join(dirname(path), `.${basename(path)}`)
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return
    await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE })
    await syncPath(dirname(folder))
    await syncPath(this.#dir)
    this.#durableFolders.add(folder)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
