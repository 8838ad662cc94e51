/**
 * A folder as a target. A file is staged beside its name and renamed when it is durable, so that what is listed is
 * whole. The lock is the owner lock's: an fcntl lock on an empty file, dropped by the kernel when its holder dies.
 */
import { randomUUID } from 'node:crypto'
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileError, systemErrorCode } from '../../crypto/file-error.ts'
import { syncPath } from '../../crypto/sync-path.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DriverError } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { gentlePace, type Pace } from './pace.ts'
import type { BackupTarget, ByteRange, TargetFile, TargetLock } from './target.ts'
import { writePaced } from './write-whole.ts'

const READ_BYTES = 1024 * 1024
const UNFINISHED = /^\..+\.part$/
const LOCK_FILE = 'lock'

export async function openFolderTarget(location: string, pace: Pace = gentlePace): Promise<BackupTarget> {
  const found = await stat(location).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw fileError(error, 'read', location)
  })
  if (found !== undefined && !found.isDirectory()) {
    throw new StoreError('INVALID_ARGUMENT', `${location} is a file. Name a folder.`, { details: { location } })
  }
  return new FolderTarget(resolve(location), pace)
}

class FolderTarget implements BackupTarget {
  readonly location: string
  readonly #pace: Pace

  constructor(location: string, pace: Pace) {
    this.location = location
    this.#pace = pace
  }

  async write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    const place = this.#place(path)
    const folder = dirname(place)
    const unfinished = join(folder, `.${place.slice(folder.length + 1)}.${randomUUID()}.part`)
    try {
      await makeFolder(folder)
      try {
        const file = await open(unfinished, 'wx', FILE_MODE)
        try {
          await writePaced(file, content, null, this.#pace)
          await file.sync()
        } finally {
          await file.close()
        }
        await failpoint('target:before-rename')
        await rename(unfinished, place)
      } catch (error) {
        await rm(unfinished, { force: true }).catch(() => undefined)
        throw error
      }
      await syncPath(folder)
    } catch (error) {
      throw error instanceof DriverError ? error : fileError(error, 'write', place)
    }
  }

  async *read(path: string, range?: ByteRange, isPassing = false): AsyncIterable<Uint8Array> {
    const place = this.#place(path)
    const file = await open(place, 'r').catch((error: unknown) => {
      throw systemErrorCode(error) === 'ENOENT' ? missing(this.location, path) : fileError(error, 'read', place)
    })
    let offset = range?.offset ?? 0
    const end = offset + (range?.length ?? Number.POSITIVE_INFINITY)
    const memories = isPassing ? [0, 1].map(() => Buffer.allocUnsafe(READ_BYTES)) : []
    const readNext = () => {
      const length = Math.max(0, Math.min(READ_BYTES, end - offset))
      const memory = memories.shift()
      if (memory !== undefined) memories.push(memory)
      return readChunk(file, place, offset, memory?.subarray(0, length) ?? Buffer.allocUnsafe(length))
    }
    let ahead = readNext()
    try {
      for (;;) {
        const chunk = await ahead
        if (chunk.length === 0) return
        offset += chunk.length
        ahead = readNext()
        // It is looked at when it is its turn.
        ahead.catch(() => undefined)
        yield chunk
      }
    } finally {
      await ahead.catch(() => undefined)
      await file.close()
    }
  }

  async list(prefix: string): Promise<readonly TargetFile[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    if (folder !== '') this.#place(folder.slice(0, -1))
    const files: TargetFile[] = []
    try {
      await collectFiles(this.location, folder, files)
    } catch (error) {
      throw fileError(error, 'read', join(this.location, folder))
    }
    return files.filter(({ path }) => path.startsWith(prefix)).sort((left, right) => (left.path < right.path ? -1 : 1))
  }

  async remove(path: string): Promise<void> {
    const place = this.#place(path)
    try {
      await rm(place, { force: true })
      await syncPath(dirname(place))
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, 'write', place)
    }
  }

  async lock(area: string): Promise<TargetLock> {
    const folder = this.#place(area)
    const path = join(folder, LOCK_FILE)
    try {
      await makeFolder(folder)
    } catch (error) {
      throw fileError(error, 'write', folder)
    }
    const release = await holdLock(path, this.location)
    try {
      await removeUnfinished(folder)
    } catch (error) {
      await release()
      throw fileError(error, 'write', folder)
    }
    return { release }
  }

  #place(path: string): string {
    const names = path.split('/')
    if (
      names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\\') || name.includes('\0'))
    ) {
      throw new StoreError('INVALID_ARGUMENT', 'A path in a target is relative and has plain names.', {
        details: { location: this.location },
      })
    }
    return join(this.location, ...names)
  }
}

function missing(location: string, path: string): StoreError {
  return new StoreError('TARGET_FILE_MISSING', `${path} is missing in ${location}. It may have been moved or pruned.`, {
    details: { location, path },
  })
}

async function readChunk(file: FileHandle, place: string, offset: number, into: Buffer): Promise<Buffer> {
  if (into.length === 0) return into
  try {
    const { bytesRead } = await file.read(into, 0, into.length, offset)
    return into.subarray(0, bytesRead)
  } catch (error) {
    throw fileError(error, 'read', place)
  }
}

/** With its parents, each durable in the folder that holds it. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncPath(dirname(made))
}

async function collectFiles(root: string, folder: string, files: TargetFile[]): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  })
  for (const entry of entries) {
    const path = `${folder}${entry.name}`
    if (entry.isDirectory()) await collectFiles(root, `${path}/`, files)
    if (!entry.isFile() || UNFINISHED.test(entry.name) || entry.name === LOCK_FILE) continue
    const found = await stat(join(root, path)).catch(() => undefined)
    if (found !== undefined) files.push({ path, bytes: found.size })
  }
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeUnfinished(join(folder, entry.name))
    else if (UNFINISHED.test(entry.name)) await rm(join(folder, entry.name), { force: true })
  }
}

async function holdLock(path: string, location: string): Promise<() => Promise<void>> {
  const connection = await sqlcipherDriver.open(path, { mode: 'create', busyTimeoutMs: 0 })
  try {
    await connection.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    await chmod(path, FILE_MODE)
  } catch (error) {
    await connection.close()
    if (!(error instanceof DriverError) || error.code !== 'BUSY') throw error
    throw new StoreError(
      'TARGET_BUSY',
      `Another backup or prune is at work in ${location}. Try again when it is done.`,
      {
        details: { location },
      },
    )
  }
  return async () => {
    await connection.exec('ROLLBACK')
    await connection.close()
  }
}
