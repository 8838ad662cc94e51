/**
 * Segments that could not reach the archive before their log had to start over, kept in the store directory until they
 * do. So a slow target holds up no commit, and a close does not wait for one that is away.
 */
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../../crypto/file-error.ts'
import { syncPath } from '../../crypto/sync-path.ts'
import type { DatabaseFile } from '../../schema/database-file.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'

const CHUNK_BYTES = 64 * 1_024
const SPOOL_DIR = 'archive-spool'
const NAME = /^(.+)\.(state|market)\.(\d{10})\.segment$/

export interface SpooledSegment {
  readonly generation: string
  readonly file: DatabaseFile
  readonly number: number
  readonly path: string
}

export class Spool {
  readonly #dir: string

  constructor(storeDir: string) {
    this.#dir = join(storeDir, SPOOL_DIR)
  }

  /** In order. */
  async list(): Promise<SpooledSegment[]> {
    const names = await readdir(this.#dir).catch(() => [])
    const found: SpooledSegment[] = []
    for (const name of names.sort()) {
      const match = NAME.exec(name)
      if (match === null) continue
      const [, generation = '', file, number] = match
      found.push({ generation, file: file as DatabaseFile, number: Number(number), path: join(this.#dir, name) })
    }
    return found
  }

  /** What waits there of one database, as its files tell. */
  async waiting(file: DatabaseFile): Promise<{ readonly bytes: number; readonly sinceMs: number }[]> {
    const own = (await this.list()).filter((segment) => segment.file === file)
    const stats = await Promise.all(own.map(({ path }) => stat(path)))
    return stats.map(({ size, mtimeMs }) => ({ bytes: size, sinceMs: mtimeMs }))
  }

  /** Durable when it resolves; one that is torn by a crash shows by its hash. */
  async write(
    generation: string,
    file: DatabaseFile,
    number: number,
    content: AsyncIterable<Uint8Array>,
  ): Promise<SpooledSegment> {
    const path = join(this.#dir, `${generation}.${file}.${String(number).padStart(10, '0')}.segment`)
    try {
      await mkdir(this.#dir, { recursive: true, mode: DIRECTORY_MODE })
      const handle = await open(path, 'w', FILE_MODE)
      try {
        for await (const bytes of content) await handle.writeFile(bytes)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await syncPath(this.#dir)
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined)
      throw fileError(error, 'write', path)
    }
    return { generation, file, number, path }
  }

  read({ path }: SpooledSegment): AsyncIterable<Uint8Array> {
    return fileChunks(path)
  }

  async remove({ path }: SpooledSegment): Promise<void> {
    await rm(path, { force: true })
  }
}

/** A file in pieces. */
export async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r')
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}
