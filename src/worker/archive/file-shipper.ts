/**
 * Ships the files beside the databases, so that any moment that can be restored has them: a segment goes to the archive
 * behind the files that its commits may name. A chunk of an artifact is durable before its row is, and a yearly file
 * before the commit that counts what has moved into it; so what is there when a segment is cut is enough for it.
 *
 * The other way round, a chunk that is deleted stays until it is listed: the moments in which it was there are still to
 * be shipped. What is spared is garbage, which the next collection removes.
 */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../../protocol/store-error.ts'
import { BLOBS_FOLDER } from '../artifacts/blob-files.ts'
import { HeldDescriptors } from '../backup/held-descriptors.ts'
import { takeSnapshot } from '../backup/snapshot.ts'
import type { BackupTarget } from '../backup/target.ts'
import type { Connection } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { type StoreDatabase, yearlyDatabase, yearlyFiles } from '../store-files.ts'
import {
  isYearly,
  type ListedFile,
  listPath,
  listText,
  MAX_LISTED,
  pooledFiles,
  pooledPath,
  readLists,
} from './file-list.ts'
import { fileChunks } from './spool.ts'

const SNAPSHOT_PAGES = 64
/** A file that was written to this shortly before may be written to again with the same time (the kernel's tick is 4 ms). */
const RACY_MS = 100

export interface FileShipperOptions {
  readonly dir: string
  /** A connection that can only read, for the caller to close. */
  readonly openYearly: (database: StoreDatabase) => Promise<Connection>
  /** While a rotation of the data key is under way. */
  readonly isRotating: () => boolean
  /** Called between pieces of the work; resolves when it may go on. */
  readonly giveWay: () => Promise<void>
  /** True once the store is being closed: what is under way breaks off. */
  readonly isEnding: () => boolean
}

/** What a generation has, and what it waits for. */
interface GenerationFiles {
  readonly generation: string
  readonly macKey: Uint8Array
  /** Lists it has. */
  lists: number
  /** Paths of blobs that are in no list of it. */
  readonly waiting: Set<string>
  readonly yearly: Map<string, KnownYearly>
}

/** What was listed last of a yearly file. */
interface KnownYearly {
  readonly sha256: string
  /** Undefined when that may not tell it from what it is by now. */
  readonly stamp: string | undefined
}

export class FileShipper {
  readonly #options: FileShipperOptions
  readonly #descriptors = new HeldDescriptors()
  /** Undefined before it is known whether a generation goes on: until then nothing may be removed. */
  #generations: GenerationFiles[] | undefined
  readonly #addedBefore = new Set<string>()
  #isUnderWay: (path: string) => boolean = () => false
  /** What is in the pool, by its path there. */
  #pooled: Set<string> | undefined
  readonly #pooledBlobs = new Map<string, ListedFile>()
  #reading: Promise<unknown> = Promise.resolve()
  #isKept = false

  constructor(options: FileShipperOptions) {
    this.#options = options
  }

  /** Paths from the store directory of blobs that are durable and that no row names yet. */
  added(paths: readonly string[]): void {
    for (const path of paths) {
      if (this.#generations === undefined) this.#addedBefore.add(path)
      for (const { waiting } of this.#generations ?? []) waiting.add(path)
    }
  }

  /** `isUnderWay` tells files that are being written: they are added when they are whole. */
  leaveOut(isUnderWay: (path: string) => boolean): void {
    this.#isUnderWay = isUnderWay
  }

  /** False as long as a moment that has the blob is still to be shipped. */
  mayRemove(path: string): boolean {
    if (this.#generations === undefined) return false
    return this.#generations.every(({ waiting }) => !waiting.has(path))
  }

  /** Files that the archive is to get. */
  get waiting(): number {
    return Math.max(0, ...(this.#generations ?? []).map(({ waiting }) => waiting.size))
  }

  /** Goes on with a generation. */
  async resume(target: BackupTarget, generation: string, macKey: Uint8Array): Promise<void> {
    const { files, last } = await readLists(target, generation, macKey)
    const listed = new Set(files.map(({ path }) => path))
    const local = await this.#localBlobs()
    const waiting = new Set([...local, ...this.#addedBefore].filter((path) => !listed.has(path)))
    const yearly = new Map(
      files.filter(({ path }) => isYearly(path)).map(({ path, sha256, stamp }) => [path, { sha256, stamp }]),
    )
    this.#generations = [{ generation, macKey, lists: last, waiting, yearly }]
    this.#addedBefore.clear()
  }

  /** Of a generation that is about to begin, everything there is; the one before goes on. Before its base is begun. */
  async prepare(generation: string, macKey: Uint8Array): Promise<void> {
    const next: GenerationFiles = { generation, macKey, lists: 0, waiting: new Set(), yearly: new Map() }
    // What is added from here on is in it; what was there before is found.
    this.#generations = [...(this.#generations ?? []), next]
    for (const path of [...(await this.#localBlobs()), ...this.#addedBefore]) next.waiting.add(path)
    this.#addedBefore.clear()
  }

  /** The generation that was prepared has begun, or the one that is named goes on; undefined ends all. */
  keepOnly(generation: string | undefined): void {
    this.#generations = (this.#generations ?? []).filter((each) => each.generation === generation)
    this.#addedBefore.clear()
  }

  /**
   * Ships what waits now, and lists it: all of it is in the archive when it resolves.
   *
   * @param hasItsKey false when yearly files are under a data key that came after the one of this generation
   */
  async ship(target: BackupTarget, generation: string, hasItsKey: boolean): Promise<void> {
    const own = this.#generations?.find((each) => each.generation === generation)
    if (own === undefined) return
    const shipped: ListedFile[] = []
    for (const path of [...own.waiting]) {
      const file = await this.#pool(target, path)
      if (file === undefined) own.waiting.delete(path)
      else shipped.push(file)
      if (shipped.length === MAX_LISTED) await this.#list(target, own, shipped.splice(0))
    }
    const changed = hasItsKey ? await this.#changedYearly(target, own) : []
    await this.#list(target, own, [
      ...shipped,
      ...changed.filter(({ path, sha256 }) => own.yearly.get(path)?.sha256 !== sha256),
    ])
    for (const { path, sha256, stamp } of changed) own.yearly.set(path, { sha256, stamp })
  }

  /** Removes from the pool what none of the generations lists. With a list that can't be read nobody knows. */
  async prune(target: BackupTarget, generations: readonly string[]): Promise<void> {
    const needed = new Set<string>()
    for (const generation of generations) {
      const { files, damaged } = await readLists(target, generation, null)
      if (damaged.length > 0) return
      for (const file of files) needed.add(pooledPath(file))
    }
    for (const file of await pooledFiles(target)) {
      const path = pooledPath(file)
      if (needed.has(path)) continue
      this.#pooled?.delete(path)
      this.#pooledBlobs.delete(file.path)
      await target.remove(path)
      await this.#options.giveWay()
    }
  }

  /** A rotation of the data key is about to encrypt a yearly file anew: none is read until it has ended. */
  async keepFromYearly(): Promise<void> {
    this.#isKept = true
    await this.#reading
  }

  /** When the connections of the store are closed. */
  async closeFiles(): Promise<void> {
    await this.#descriptors.close()
  }

  async #list(target: BackupTarget, own: GenerationFiles, files: readonly ListedFile[]): Promise<void> {
    if (files.length === 0) return
    const { generation, macKey } = own
    const number = own.lists + 1
    await failpoint('archive:files-written')
    await target.write(
      listPath(generation, number),
      Buffer.from(listText({ generation, number, files: [...files] }, macKey)),
    )
    await failpoint('archive:list-written')
    own.lists = number
    for (const { path } of files) own.waiting.delete(path)
  }

  /** Undefined when the file is gone: it was lost before. */
  async #pool(target: BackupTarget, path: string): Promise<ListedFile | undefined> {
    await this.#lookIntoPool(target)
    const known = this.#pooledBlobs.get(path)
    if (known !== undefined) return known
    const source = join(this.#options.dir, path)
    try {
      const file = await this.#write(target, path, () => fileChunks(source))
      this.#pooledBlobs.set(path, file)
      return file
    } catch (error) {
      const isGone = await stat(source).then(
        () => false,
        (failure: NodeJS.ErrnoException) => failure.code === 'ENOENT',
      )
      if (isGone) return undefined
      throw error
    }
  }

  async #lookIntoPool(target: BackupTarget): Promise<Set<string>> {
    if (this.#pooled !== undefined) return this.#pooled
    const files = await pooledFiles(target)
    for (const file of files) if (!isYearly(file.path)) this.#pooledBlobs.set(file.path, file)
    this.#pooled = new Set(files.map(pooledPath))
    return this.#pooled
  }

  async #writeYearly(target: BackupTarget, database: StoreDatabase): Promise<ListedFile> {
    const snapshot = await takeSnapshot({
      path: database.path,
      openReader: () => this.#options.openYearly(database),
      descriptors: this.#descriptors,
      onRelease: () => undefined,
    })
    async function* pages(): AsyncGenerator<Uint8Array> {
      for (let page = 1; page <= snapshot.pages; page += SNAPSHOT_PAGES) {
        yield await snapshot.read(page, Math.min(SNAPSHOT_PAGES, snapshot.pages + 1 - page))
      }
    }
    try {
      return await this.#write(target, database.relativePath, pages)
    } finally {
      await snapshot.release()
    }
  }

  /** Reads twice, since the name has the hash in it; the second time from memory. */
  async #write(target: BackupTarget, path: string, content: () => AsyncIterable<Uint8Array>): Promise<ListedFile> {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const part of this.#gently(content())) {
      hash.update(part)
      bytes += part.length
    }
    const file = { path, sha256: hash.digest('hex'), bytes }
    const pooled = await this.#lookIntoPool(target)
    if (!pooled.has(pooledPath(file))) await target.write(pooledPath(file), this.#gently(content()))
    pooled.add(pooledPath(file))
    await failpoint('archive:file-written')
    return file
  }

  async *#gently(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const part of content) {
      if (this.#options.isEnding()) throw ending()
      yield part
      await this.#options.giveWay()
    }
  }

  /** Those that are not what they were when they were read last, as they are now. */
  async #changedYearly(target: BackupTarget, own: GenerationFiles): Promise<ListedFile[]> {
    const { dir, isRotating } = this.#options
    const changed: ListedFile[] = []
    for (const year of await yearlyFiles(dir)) {
      this.#isKept &&= isRotating()
      if (this.#isKept) break
      const database = yearlyDatabase(dir, year)
      const stamp = await stampOf(database.path)
      if (stamp !== undefined && stamp === own.yearly.get(database.relativePath)?.stamp) continue
      const work = this.#writeYearly(target, database)
      this.#reading = work.catch(() => undefined)
      changed.push({ ...(await work), ...(stamp === undefined ? {} : { stamp }) })
    }
    return changed
  }

  async #localBlobs(): Promise<string[]> {
    const entries = await readdir(join(this.#options.dir, BLOBS_FOLDER), {
      recursive: true,
      withFileTypes: true,
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return []
    })
    const { dir } = this.#options
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
      .filter((path) => !this.#isUnderWay(path))
  }
}

/** Of a database and its log: what changes whenever either is written to; undefined when it may change unseen. */
async function stampOf(path: string): Promise<string | undefined> {
  const parts: string[] = []
  for (const each of [path, `${path}-wal`]) {
    const found = await stat(each).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return undefined
    })
    if (found === undefined || found.size === 0) continue
    if (Math.abs(Date.now() - found.mtimeMs) < RACY_MS) return undefined
    parts.push(`${found.ino}/${found.mtimeMs}/${found.size}`)
  }
  return parts.join(' ')
}

function ending(): StoreError {
  return new StoreError('STORE_CLOSED', 'The store was closed while files of it were being archived.')
}
