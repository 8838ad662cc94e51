/**
 * Continuous archiving of an open store. Every commit reaches the archive within the interval, in segments behind a
 * base; nothing here holds up a commit. When the archive can't be reached for so long that too much waits, the
 * generation is given up, which the status says, and a new one is begun once the archive answers again.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { KEYRING_FILE } from '../../crypto/keyring-file.ts'
import { zero } from '../../crypto/zero.ts'
import type { ArchiveSettings, ArchiveStatus } from '../../protocol/archive.ts'
import { firstSequence } from '../../protocol/sequence.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import { type BackupTarget, openTarget, type TargetLock } from '../backup/target.ts'
import type { Connection } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { toStoreError } from '../io-error.ts'
import {
  ARCHIVE_AREA,
  basePath,
  type FileHead,
  finishedGenerations,
  forEachFile,
  generationName,
  generationNames,
  headPath,
  headText,
  keyringPaths,
  manifestPath,
  manifestText,
  readManifest,
} from './archive-files.ts'
import { cutLink, writeLink } from './archive-link.ts'
import { continuedChains } from './continuation.ts'
import { FileArchiver } from './file-archiver.ts'
import { FILES_AREA } from './file-list.ts'
import { FileShipper, type FileShipperOptions } from './file-shipper.ts'
import type { LogKeeper } from './log-keeper.ts'
import { Spool } from './spool.ts'
import { DEFAULT_PAGE_BYTES } from './wal-frames.ts'

/** How long a checkpoint, or a close, waits for the archive. */
const SHIP_WAIT_MS = 2_000
const CLOSE_WAIT_MS = 5_000
const MAX_RETRY_MS = 30_000

export interface ArchiverOptions
  extends ArchiveSettings,
    Pick<FileShipperOptions, 'dir' | 'openYearly' | 'isRotating' | 'giveWay'> {
  readonly storeId: string
  readonly session: number
  readonly openReader: (file: DatabaseFile) => Promise<Connection>
  readonly keepers: ReadonlyMap<DatabaseFile, LogKeeper>
  /** Taken over, and zeroed at the end. */
  readonly macKey: Uint8Array
  /** Runs work that no other operation of the upkeep may run beside. @throws StoreError `BUSY_OPERATION` */
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>
  /** Records the beginning of a generation in the audit trail. */
  readonly audit: (data: Readonly<Record<string, string>>) => Promise<void>
}

export class Archiver {
  /** What lies beside the databases: whoever adds or removes such files tells it. */
  readonly beside: FileShipper
  readonly #options: ArchiverOptions
  readonly #spool: Spool
  #files!: Record<DatabaseFile, FileArchiver>
  #macKey: Uint8Array
  /** Since the data key was rotated: for the generation to come. */
  #nextMacKey: Uint8Array | undefined
  #lastKeyringOfGeneration: Buffer | undefined
  #target: BackupTarget | undefined
  #locks: TargetLock[] = []
  #generation: string | undefined
  /** The one whose base is being made. */
  #preparing: string | undefined
  /** Counts up whenever a generation is given up: a base that is being copied then is not one any more. */
  #givenUp = 0
  #generationSince = 0
  #segmentBytes = 0
  #keyring = { number: 0, stamp: '' }
  #writtenHead = ''
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #lastError: StoreError | null = null
  #retryAt = 0
  #failures = 0
  #isEnding = false
  #wantsBase = false

  private constructor(options: ArchiverOptions) {
    this.#options = options
    this.#macKey = options.macKey
    this.#spool = new Spool(options.dir)
    this.beside = new FileShipper({ ...options, isEnding: () => this.#isEnding })
  }

  /** Looks at the store directory only; the archive is reached in the background. */
  static async start(options: ArchiverOptions): Promise<Archiver> {
    const archiver = new Archiver(options)
    const { dir, storeId, session } = options
    const files: Partial<Record<DatabaseFile, FileArchiver>> = {}
    for (const file of DATABASE_FILES) {
      files[file] = await FileArchiver.start({
        dir,
        file,
        storeId,
        session,
        spool: archiver.#spool,
        openReader: () => options.openReader(file),
        keeper: options.keepers.get(file) as LogKeeper,
        ship: () => archiver.#shipWithin(SHIP_WAIT_MS),
        beforeSegment: (target, generation) => archiver.#shipBeside(target, generation),
        onCommit: () => archiver.#boundLag(),
        onFault: (error) => void archiver.#fault(error),
      })
    }
    archiver.#files = files as Record<DatabaseFile, FileArchiver>
    return archiver
  }

  file(file: DatabaseFile): FileArchiver {
    return this.#files[file]
  }

  /** Once commits may come. */
  run(): void {
    this.#timer = setInterval(() => void this.#tick(), this.#options.intervalMs)
    this.#timer.unref()
    void this.#tick()
  }

  get status(): ArchiveStatus {
    const files = Object.values(this.#files)
    const error = this.#lastError
    return {
      location: this.#options.location,
      intervalMs: this.#options.intervalMs,
      generation: this.#generation ?? null,
      lagMs: Math.max(...files.map((file) => file.lagMs)),
      lagBytes: files.reduce((sum, file) => sum + file.lagBytes, 0),
      segments: files.reduce((sum, file) => sum + file.segments, 0),
      filesWaiting: this.beside.waiting,
      lastShippedSequence: this.#files.state.lastShipped.sequence,
      lastError: error === null ? null : { code: error.code, message: error.message },
    }
  }

  /** Before the next data key becomes the only one: what this generation holds opens with both, or with the one before. */
  async beforeDataKeyPromoted(): Promise<void> {
    this.#lastKeyringOfGeneration = await readFile(join(this.#options.dir, KEYRING_FILE))
  }

  /** A new generation is begun as soon as its base is whole; until then the one before goes on with its key. */
  onDataKeyRotated(macKey: Uint8Array): void {
    zero(this.#nextMacKey)
    this.#nextMacKey = macKey
    if (this.#generation === undefined) this.#takeNextMacKey()
  }

  #takeNextMacKey(): void {
    this.#lastKeyringOfGeneration = undefined
    if (this.#nextMacKey === undefined) return
    zero(this.#macKey)
    this.#macKey = this.#nextMacKey
    this.#nextMacKey = undefined
  }

  /** First step of a close: what there is goes to the archive, if it answers. */
  async finish(): Promise<void> {
    clearInterval(this.#timer)
    await this.#shipWithin(CLOSE_WAIT_MS)
    this.#isEnding = true
    for (const file of Object.values(this.#files)) file.close()
  }

  /** Last step, when the connections of the owner are closed. */
  async close(): Promise<void> {
    this.#isEnding = false
    await this.#shipWithin(CLOSE_WAIT_MS)
    this.#isEnding = true
    for (const file of Object.values(this.#files)) await file.closeFiles()
    await this.#closePlace()
    zero(this.#macKey, this.#nextMacKey)
  }

  /** For an open that failed. */
  async discard(): Promise<void> {
    clearInterval(this.#timer)
    this.#isEnding = true
    for (const file of Object.values(this.#files)) {
      await file.closePin()
      await file.closeFiles()
    }
    await this.#closePlace()
    zero(this.#macKey, this.#nextMacKey)
  }

  async #closePlace(): Promise<void> {
    // What still waits for a place that does not answer keeps its descriptors until the process ends.
    if (this.#running === undefined) await this.beside.closeFiles()
    for (const lock of this.#locks.splice(0)) await lock.release().catch(() => undefined)
  }

  /** Ships what there is now, as long as it takes but no longer than `waitMs`. */
  async #shipWithin(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs)
    })
    const work = (async () => {
      await this.#running
      await this.#tick()
    })()
    await Promise.race([work, bound])
    clearTimeout(timer)
  }

  #tick(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #work(): Promise<void> {
    if (this.#isEnding || performance.now() < this.#retryAt) return
    try {
      await this.#reach()
      await this.#shipAll()
      if (this.#isBaseDue()) await this.#beginGeneration()
      this.#failures = 0
      if (this.#generation !== undefined && !this.#gaveUp) this.#lastError = null
      this.#gaveUp = false
    } catch (error) {
      this.#lastError = await toStoreError(error, this.#options.location)
      this.#failures += 1
      this.#retryAt =
        performance.now() + Math.min(MAX_RETRY_MS, this.#options.intervalMs * 2 ** Math.min(this.#failures, 10))
    }
  }

  /** Set from a generation's end until its reason has been on show for the length of one more. */
  #gaveUp = false

  async #reach(): Promise<void> {
    if (this.#target === undefined) {
      const target = await openTarget(this.#options.location)
      this.#locks.push(await target.lock(ARCHIVE_AREA))
      this.#locks.push(await target.lock(FILES_AREA))
      this.#target = target
    }
    if (this.#generation !== undefined) return
    const latest = this.#wantsBase ? undefined : (await finishedGenerations(this.#target)).at(-1)
    if (latest === undefined || !(await this.#resume(this.#target, latest))) await this.#beginGeneration()
  }

  async #resume(target: BackupTarget, generation: string): Promise<boolean> {
    const { dir, storeId } = this.#options
    const manifest = await readManifest(target, generation, null)
    if (manifest.storeId !== storeId) throw foreign(target.location)
    const chains = await continuedChains({
      target,
      manifest,
      dir,
      spool: this.#spool,
      macKey: this.#macKey,
      positionOf: (file) => this.#files[file].position,
    })
    if (chains === undefined) return false
    await this.beside.resume(target, generation, this.#macKey)
    for (const file of DATABASE_FILES) {
      const { number, sha256, spooled, last, after } = chains[file]
      this.#files[file].resumeChain({ generation, macKey: this.#macKey, number, sha256 }, spooled, last, after)
    }
    this.#generation = generation
    this.#generationSince = manifest.createdAtMs
    this.#keyring = { number: chains.keyrings, stamp: '' }
    await writeLink(dir, generation)
    return true
  }

  async #shipAll(): Promise<void> {
    const target = this.#target
    const generation = this.#generation
    if (target === undefined || generation === undefined) return
    await this.#shipKeyring(target, generation)
    for (const file of Object.values(this.#files)) {
      const before = file.lagBytes
      await file.shipFound(target)
      this.#segmentBytes += Math.max(0, before - file.lagBytes)
    }
    await this.#shipHead(target, generation)
  }

  async #shipBeside(target: BackupTarget, generation: string): Promise<void> {
    const hasItsKey = this.#nextMacKey === undefined || generation === this.#preparing
    await this.beside.ship(target, generation, hasItsKey)
  }

  async #shipHead(target: BackupTarget, generation: string): Promise<void> {
    const files = forEachFile((name): FileHead => {
      const file = this.#files[name]
      const { sequence, timeMs } = file.lastShipped
      return { segments: file.segments, sha256: file.shippedSha256 ?? '', sequence, timeMs }
    })
    if (this.#generation !== generation) return
    const text = headText({ format: 'holdfast-archive-head', version: 1, generation, files }, this.#macKey)
    if (text === this.#writtenHead) return
    await target.write(headPath(generation), Buffer.from(text))
    this.#writtenHead = text
    await failpoint('archive:head-written')
  }

  /** A changed password opens what is restored or promoted, too. */
  async #shipKeyring(target: BackupTarget, generation: string): Promise<void> {
    const path = join(this.#options.dir, KEYRING_FILE)
    const found = await stat(path)
    const last = generation === this.#generation ? this.#lastKeyringOfGeneration : undefined
    const stamp = last === undefined ? `${found.ino}/${found.mtimeMs}/${found.size}` : 'last'
    if (stamp === this.#keyring.stamp) return
    const number = this.#keyring.number + 1
    const content = last ?? (await readFile(path))
    for (const copy of keyringPaths(generation, number)) await target.write(copy, content)
    this.#keyring = { number, stamp }
  }

  #isBaseDue(): boolean {
    const { baseEveryMs, baseAfterBytes } = this.#options
    if (this.#generation === undefined) return false
    if (this.#nextMacKey !== undefined) return true
    return Date.now() - this.#generationSince >= baseEveryMs || this.#segmentBytes >= baseAfterBytes
  }

  async #beginGeneration(): Promise<void> {
    await this.#options.alone(() => this.#begin())
  }

  async #begin(): Promise<void> {
    const target = this.#target as BackupTarget
    const { dir, storeId, session } = this.#options
    const now = new Date()
    const generation = generationName(now, randomBytes(4).toString('hex'), await generationNames(target))
    const macKey = this.#nextMacKey ?? this.#macKey
    const keyring = this.#keyring
    let isReplaced = false
    this.#preparing = generation
    try {
      await this.beside.prepare(generation, macKey)
      // What there is much of goes before the log has to be kept for the copy.
      await this.#shipBeside(target, generation)
      const givenUp = this.#givenUp
      const starts = { state: await this.#files.state.beginBase(), market: await this.#files.market.beginBase() }
      if (this.#generation !== undefined) {
        await this.#shipKeyring(target, this.#generation)
        for (const file of Object.values(this.#files)) await file.shipToBase(target)
        await this.#shipHead(target, this.#generation)
      }
      const bases = {
        state: await copyBase(target, basePath(generation, 'state'), this.#files.state.databaseFile()),
        market: await copyBase(target, basePath(generation, 'market'), this.#files.market.databaseFile()),
      }
      await failpoint('archive:base-written')
      this.#keyring = { number: 0, stamp: '' }
      await this.#shipKeyring(target, generation)
      if (givenUp !== this.#givenUp) throw this.#lastError ?? notBegun(target.location)
      if (this.#isEnding || macKey !== (this.#nextMacKey ?? this.#macKey)) throw notBegun(target.location)
      isReplaced = true
      const chains = forEachFile((file) =>
        this.#files[file].beginChain(generation, macKey, bases[file].sha256, starts[file]),
      )
      for (const file of DATABASE_FILES) {
        if (!chains[file].isWhole && !(await this.#files[file].shipNext(target))) throw notShipped(target.location)
      }
      await this.#shipBeside(target, generation)
      const text = manifestText(
        {
          format: 'holdfast-archive',
          version: 1,
          storeId,
          generation,
          createdAt: now.toISOString(),
          createdAtMs: Math.max(now.getTime(), starts.state.moment.timeMs),
          session,
          sequence: Math.max(starts.state.moment.sequence ?? 0, firstSequence(session)),
          pageBytes: DEFAULT_PAGE_BYTES,
          files: forEachFile((file) => ({ ...bases[file], isWhole: chains[file].isWhole })),
        },
        macKey,
      )
      await target.write(manifestPath(generation), Buffer.from(text))
      await failpoint('archive:manifest-written')
      await writeLink(dir, generation)
    } catch (error) {
      this.#preparing = undefined
      // The one before has missed nothing, and goes on.
      if (this.#generation !== undefined && !isReplaced) {
        this.#keyring = keyring
        for (const file of Object.values(this.#files)) file.cancelBase()
        this.beside.keepOnly(this.#generation)
      } else await this.#giveUp(null)
      throw error
    }
    this.#takeNextMacKey()
    this.#generation = generation
    this.#preparing = undefined
    this.beside.keepOnly(generation)
    this.#generationSince = now.getTime()
    this.#segmentBytes = 0
    this.#writtenHead = ''
    this.#wantsBase = false
    await this.#shipAll()
    await this.#prune(target)
    await this.#options.audit({ generation, location: target.location }).catch(() => undefined)
  }

  async #prune(target: BackupTarget): Promise<void> {
    const finished = await finishedGenerations(target)
    const kept = new Set(finished.slice(-this.#options.keepGenerations))
    for (const name of await generationNames(target)) {
      if (kept.has(name) || name === this.#generation) continue
      // Without its manifest it is none, however much of it is left by a crash.
      await target.remove(manifestPath(name))
      for (const { path } of await target.list(`${ARCHIVE_AREA}/${name}/`)) await target.remove(path)
    }
    await this.beside.prune(target, [...kept])
    for (const segment of await this.#spool.list()) {
      if (!kept.has(segment.generation)) await this.#spool.remove(segment)
    }
  }

  #boundLag(): void {
    const { maxLagBytes } = this.#options
    const lagBytes = Object.values(this.#files ?? {}).reduce((sum, file) => sum + file.lagBytes, 0)
    if (lagBytes > maxLagBytes) void this.#giveUp(tooFarBehind(this.#options.location, maxLagBytes, this.#lastError))
  }

  async #fault(error: unknown): Promise<void> {
    await this.#giveUp(await toStoreError(error, this.#options.dir))
  }

  async #giveUp(reason: StoreError | null): Promise<void> {
    cutLink(this.#options.dir)
    this.#givenUp += 1
    this.#generation = undefined
    this.beside.keepOnly(this.#preparing)
    this.#takeNextMacKey()
    this.#wantsBase = true
    if (reason !== null) {
      this.#lastError = reason
      this.#gaveUp = true
    }
    for (const file of Object.values(this.#files)) await file.abandon()
  }
}

async function copyBase(
  target: BackupTarget,
  path: string,
  content: AsyncIterable<Uint8Array>,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const part of content) {
      hash.update(part)
      bytes += part.length
      yield part
    }
  }
  await target.write(path, counted())
  return { sha256: hash.digest('hex'), bytes }
}

function tooFarBehind(location: string, maxLagBytes: number, cause: StoreError | null): StoreError {
  const why = cause === null ? '' : ` The last failure was: ${cause.message}`
  return new StoreError(
    'ARCHIVE_BEHIND',
    `More than ${maxLagBytes} bytes wait for ${location}: this generation of the archive ends here, and a new one begins once the archive can be written again.${why}`,
    { details: { location, maxLagBytes }, cause: cause ?? undefined },
  )
}

function foreign(location: string): StoreError {
  return new StoreError('STORE_EXISTS', `${location} holds the archive of another store. Give each store its own.`, {
    details: { location },
  })
}

function notBegun(location: string): StoreError {
  return new StoreError('STORE_CLOSED', `The store was closed before the base for ${location} was whole.`)
}

function notShipped(location: string): StoreError {
  return new StoreError('IO_ERROR', `The first segment could not be written to ${location}.`, { details: { location } })
}
