/** The folder `cache/` of a store: one file for each symbol and interval, under a random name. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { failpoint } from '../failpoint.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { FILE_ID_BYTES } from './cache-format.ts'

export const CACHE_FOLDER = 'cache'
const EXTENSION = '.hfc'
/** Hidden names are unfinished: a backup leaves them out. */
const OWN_NAME = /^\.?(?<file>[0-9a-f]{32})\.hfc$/

/** In the store directory. */
export function cachePath(file: string): string {
  return `${CACHE_FOLDER}/${file}${EXTENSION}`
}

export class CacheFolder {
  readonly #dir: string

  constructor(storeDir: string) {
    this.#dir = join(storeDir, CACHE_FOLDER)
  }

  newFile(): string {
    return randomBytes(FILE_ID_BYTES).toString('hex')
  }

  /** Undefined when it is not there. */
  async read(file: string): Promise<Buffer | undefined> {
    return await readFile(this.#path(file)).catch(ignoreMissing)
  }

  /** False in a store that came from an archive or a standby: these hold no cache. */
  async exists(): Promise<boolean> {
    return (await readdir(this.#dir).catch(ignoreMissing)) !== undefined
  }

  /** Makes the file, or puts another in its place, whole: durable when it resolves. */
  async write(file: string, content: readonly Buffer[]): Promise<void> {
    const unfinished = join(this.#dir, `.${file}${EXTENSION}`)
    await mkdir(this.#dir, { mode: DIRECTORY_MODE }).catch(ignoreExisting)
    try {
      const handle = await open(unfinished, 'w', FILE_MODE)
      try {
        await handle.writev([...content])
        await handle.sync()
      } finally {
        await handle.close()
      }
      await failpoint('cache:rewritten')
      await rename(unfinished, this.#path(file))
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => undefined)
      throw error
    }
    await failpoint('cache:renamed')
    await syncPath(this.#dir)
  }

  /**
   * Writes `record` at `at`, where the whole records end, and makes it durable. Whatever was torn behind them goes. What
   * fails leaves the file as it was, or with a torn tail.
   */
  async append(file: string, at: number, record: Buffer): Promise<void> {
    const handle = await open(this.#path(file), 'r+')
    try {
      if ((await handle.stat()).size > at) await handle.truncate(at)
      await failpoint('cache:before-write')
      let written = 0
      while (written < record.length) {
        const { bytesWritten } = await handle.write(record, written, record.length - written, at + written)
        written += bytesWritten
      }
      await failpoint('cache:written')
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }

  async remove(file: string): Promise<void> {
    await rm(this.#path(file), { force: true })
    await rm(join(this.#dir, `.${file}${EXTENSION}`), { force: true })
  }

  /** Files whose key is gone or was never kept, and what was not finished, can be read by nobody any more. */
  async removeAllBut(files: ReadonlySet<string>): Promise<void> {
    for (const name of (await readdir(this.#dir).catch(ignoreMissing)) ?? []) {
      const file = OWN_NAME.exec(name)?.groups?.file
      if (file === undefined || (files.has(file) && !name.startsWith('.'))) continue
      await rm(join(this.#dir, name), { force: true })
    }
  }

  #path(file: string): string {
    return join(this.#dir, `${file}${EXTENSION}`)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
