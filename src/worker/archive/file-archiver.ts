/**
 * Archives one database file: knows its commits, keeps their frames from being written over, and cuts them into
 * segments. The order of safety: a frame is in the log, or in the spool on disk, or in the archive.
 *
 * A segment that was tried once is tried again with the same commits until it is there, so that a write whose outcome
 * nobody knows can only be replaced by itself.
 */
import { read } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { StoreError } from '../../protocol/store-error.ts'
import type { DatabaseFile } from '../../schema/database-file.ts'
import { HeldDescriptors } from '../backup/held-descriptors.ts'
import type { BackupTarget } from '../backup/target.ts'
import type { Connection } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { databasePath } from '../store-files.ts'
import { eraseWalTail } from '../wal-tail.ts'
import { segmentPath } from './archive-files.ts'
import { linkedGeneration, writeLogEnd } from './archive-link.ts'
import { commitLogPath } from './commit-log.ts'
import type { LogKeeper } from './log-keeper.ts'
import { SegmentContent, type SegmentHeader } from './segment.ts'
import type { Spool, SpooledSegment } from './spool.ts'
import { type FoundCommit, WalFollower, type WalPosition } from './wal-follower.ts'
import {
  DEFAULT_PAGE_BYTES,
  FRAME_HEADER_BYTES,
  frameOffset,
  nextChecksum,
  type WalChecksum,
  type WalHeader,
} from './wal-frames.ts'
import { WalPin } from './wal-pin.ts'

const MAX_SEGMENT_FRAMES = 1_024
const CHUNK_FRAMES = 16
const BASE_CHUNK_BYTES = 64 * DEFAULT_PAGE_BYTES
/** What may be written to the spool while commits wait for the last checkpoint. */
const MAX_SPOOL_BYTES = 4 * 1024 * 1024

export interface FileArchiverOptions {
  readonly dir: string
  readonly file: DatabaseFile
  readonly storeId: string
  readonly session: number
  readonly spool: Spool
  readonly openReader: () => Promise<Connection>
  readonly keeper: LogKeeper
  /** Asked whenever frames have to go: ships what can be shipped within a bound of time. */
  readonly ship: () => Promise<void>
  /** Ships the files that the commits of a segment may name; what is there when it is called is enough. */
  readonly beforeSegment: (target: BackupTarget, generation: string) => Promise<void>
  /** Called after each commit that was found. */
  readonly onCommit: () => void
  readonly onFault: (error: unknown) => void
}

/** A run of commits of one log, to become a segment. */
interface Plan {
  readonly header: SegmentHeader
  readonly wal: WalHeader
  readonly sumBefore: WalChecksum
  readonly commits: readonly WaitingCommit[]
}

/** A commit that waits for the archive. */
interface WaitingCommit extends FoundCommit {
  /** On the clock, which may be set back; the time of the commit is not. */
  readonly sinceMs: number
}

/** A segment in the spool. */
export interface SpooledPart {
  readonly segment: SpooledSegment
  readonly sha256: string
  readonly bytes: number
  /** Since when its first commit waits. */
  readonly sinceMs: number
}

/** Where a generation stands. */
interface Chain {
  readonly generation: string
  readonly macKey: Uint8Array
  /** The last segment that the archive has confirmed. */
  number: number
  sha256: string
  /** Later ones, in the spool. */
  readonly spooled: SpooledPart[]
  /** The next one, once it was tried. */
  current: Plan | undefined
}

/** Where a database stood when the copy of its file was begun. */
export interface BaseStart {
  readonly position: WalPosition
  readonly moment: LastShipped
}

export interface LastShipped {
  readonly sequence: number | null
  readonly timeMs: number
}

export class FileArchiver {
  readonly file: DatabaseFile
  readonly #options: FileArchiverOptions
  readonly #walPath: string
  readonly #pin: WalPin
  #follower!: WalFollower
  /** In the log and neither in the spool nor in the archive, in order. */
  #commits: WaitingCommit[] = []
  #isRecording = true
  /** Commits ever found, and those of them that need the log no more. */
  #found = 0
  #freed = 0
  #lastFound: LastShipped = { sequence: null, timeMs: 0 }
  #lastShipped: LastShipped = { sequence: null, timeMs: 0 }
  #lastSpooled: LastShipped | undefined
  #chain: Chain | undefined
  /** By owners before, until it is known where their generation stands. */
  #leftInSpool: readonly Pick<SpooledPart, 'bytes' | 'sinceMs'>[] = []
  #isClosing = false
  /** At the end: nothing in the log is needed any more. */
  #isLogFree = false
  /** While a base is copied: its place in the log. */
  #cut: WalPosition | undefined
  #isBasing = false
  readonly #descriptors = new HeldDescriptors()

  private constructor(options: FileArchiverOptions) {
    this.#options = options
    this.file = options.file
    this.#walPath = `${databasePath(options.dir, options.file)}-wal`
    this.#pin = new WalPin(options.openReader)
  }

  /** Before the first commit of this owner; touches nothing but the store directory. */
  static async start(options: FileArchiverOptions): Promise<FileArchiver> {
    const archiver = new FileArchiver(options)
    const logPath = commitLogPath(options.dir, options.file)
    const { follower, present } = await WalFollower.start(archiver.#walPath, logPath, (commit) =>
      archiver.#take(commit),
    )
    archiver.#follower = follower
    archiver.#leftInSpool = await options.spool.waiting(options.file)
    const { header, frame } = follower.position
    // What a torn commit has left behind the end must never look like one.
    if (header !== undefined) await eraseWalTail(archiver.#walPath, frame)
    await archiver.#pin.hold()
    for (const commit of present) archiver.#take(commit)
    // After the death of a worker the session goes on, and nothing in an empty log says how far it was.
    const { sequence, timeMs } = archiver.#lastFound
    archiver.#lastFound = { sequence: sequence ?? follower.highestSequence, timeMs }
    return archiver
  }

  // ----- commits

  /** Nothing that fails here is a failure of the commit; but what was not seen can't be archived. */
  committing(sequence: number | null, atMs: number): void {
    try {
      this.#follower.committing(sequence, atMs)
    } catch (error) {
      this.#options.onFault(error)
    }
  }

  committed(): void {
    try {
      this.#follower.committed()
    } catch (error) {
      this.#options.onFault(error)
    }
  }

  /** Has to be seen before the log may start over, or is emptied: a later commit would stand on what is in no segment. */
  committedAside(): void {
    try {
      this.#follower.committedAside()
    } catch (error) {
      this.#options.onFault(error)
    }
  }

  #take(commit: FoundCommit): void {
    this.#found += 1
    this.#lastFound = { sequence: commit.sequence ?? this.#lastFound.sequence, timeMs: commit.timeMs }
    if (!this.#isRecording) {
      this.#freed = this.#found
      return
    }
    this.#commits.push({ ...commit, sinceMs: Math.min(commit.timeMs, Date.now()) })
    this.#options.onCommit()
  }

  // ----- state

  get lagBytes(): number {
    const spooled = this.#spooled.reduce((sum, { bytes }) => sum + bytes, 0)
    return spooled + this.#commits.reduce((sum, commit) => sum + frameBytesOf(commit), 0)
  }

  /** The age of the oldest commit that is in no archive. */
  get lagMs(): number {
    const oldest = this.#spooled[0] ?? this.#commits[0]
    return oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.sinceMs)
  }

  get #spooled(): readonly Pick<SpooledPart, 'bytes' | 'sinceMs'>[] {
    return this.#chain?.spooled ?? this.#leftInSpool
  }

  get lastShipped(): LastShipped {
    return this.#lastShipped
  }

  get lastFound(): LastShipped {
    return this.#lastFound
  }

  get segments(): number {
    return this.#chain?.number ?? 0
  }

  get shippedSha256(): string | undefined {
    return this.#chain?.sha256
  }

  get position(): WalPosition {
    return this.#follower.position
  }

  // ----- generations

  /** Forgets the generation and lets the log go. */
  async abandon(): Promise<void> {
    this.#chain = undefined
    this.#cut = undefined
    this.#isBasing = false
    this.#commits = []
    this.#leftInSpool = []
    this.#isRecording = false
    this.#freed = this.#found
    await this.#pin.release()
  }

  /** The copy failed: the generation before goes on. */
  cancelBase(): void {
    this.#cut = undefined
    this.#isBasing = false
  }

  /** Pins the log for a copy of the database file. What is in the log from here on belongs to the copy. */
  async beginBase(): Promise<BaseStart> {
    this.#isBasing = true
    if (!this.#isRecording) this.#commits = []
    this.#isRecording = true
    await this.#pin.renew()
    this.#cut = this.#follower.placeInLog
    return { position: this.#cut, moment: this.#lastFound }
  }

  /** Ships to the generation before what it lacks up to the base of the next. */
  async shipToBase(target: BackupTarget): Promise<void> {
    while (this.#chain !== undefined && (await this.shipNext(target)));
  }

  /** The database file as it is, page by page; whole only with the log of the time when it was read. */
  async *databaseFile(): AsyncGenerator<Uint8Array> {
    // Its descriptor stays open: closing any would drop the locks that SQLite holds on the file.
    const descriptor = await this.#descriptors.descriptorOf(databasePath(this.#options.dir, this.file))
    let offset = 0
    for (;;) {
      const { buffer, bytesRead } = await readAt(descriptor, Buffer.allocUnsafeSlow(BASE_CHUNK_BYTES), offset)
      const whole = bytesRead - (bytesRead % DEFAULT_PAGE_BYTES)
      if (whole === 0) return
      if (this.#isClosing) throw closing()
      yield buffer.subarray(0, whole)
      offset += whole
    }
  }

  /** The log since the base becomes the first segment of its generation. */
  beginChain(
    generation: string,
    macKey: Uint8Array,
    baseSha256: string,
    start: BaseStart,
  ): { readonly isWhole: boolean } {
    const { position, moment } = start
    const { header } = this.#follower.position
    const isSameLog = header !== undefined && position.header !== undefined && header.salt.equals(position.header.salt)
    const isWhole = !isSameLog || position.frame === 0
    this.#commits = this.#commits.filter(
      (commit) =>
        position.header === undefined ||
        !commit.header.salt.equals(position.header.salt) ||
        commit.lastFrame > position.frame,
    )
    if (!isWhole) {
      const { frame: lastFrame, pages } = position
      const sinceMs = Math.min(moment.timeMs, Date.now())
      this.#commits.unshift({ header, firstFrame: 1, lastFrame, sumBefore: header.sum, pages, sinceMs, ...moment })
    }
    this.#freed = this.#found - this.#commits.length
    this.#chain = { generation, macKey, number: 0, sha256: baseSha256, spooled: [], current: undefined }
    this.#cut = undefined
    this.#isBasing = false
    return { isWhole }
  }

  /**
   * Goes on with a generation that ends with a known segment.
   *
   * @param after where that segment ends in the log, or undefined when the log has been emptied since
   */
  resumeChain(
    chain: Pick<Chain, 'generation' | 'macKey' | 'number' | 'sha256'>,
    spooled: Chain['spooled'],
    last: LastShipped,
    after: { readonly salt: Buffer; readonly frame: number },
  ): void {
    this.#chain = { ...chain, spooled: [...spooled], current: undefined }
    const [first] = this.#commits
    if (first?.header.salt.equals(after.salt)) {
      this.#commits = this.#commits.filter((commit) => commit.lastFrame > after.frame)
    } else if (first !== undefined && first.sequence === null) {
      // The first commit of a log was noted behind the last one of the log before.
      const note = this.#follower.noteAt(after.salt, after.frame)
      if (note !== undefined) this.#commits[0] = { ...first, ...note }
    }
    this.#commits = this.#commits.map((commit) => ({ ...commit, timeMs: Math.max(commit.timeMs, last.timeMs) }))
    this.#follower.notBefore(last.timeMs)
    this.#lastShipped = last
    this.#freed = this.#found - this.#commits.length
  }

  // ----- shipping

  /** Ships what there is now; what is committed meanwhile waits for the next time, so that segments are few. */
  async shipFound(target: BackupTarget): Promise<void> {
    const found = this.#found
    const spooled = this.#chain?.spooled.at(-1)?.segment.number ?? 0
    while ((this.#freed < found || (this.#chain?.number ?? 0) < spooled) && (await this.shipNext(target)));
  }

  /** Writes the next segment there is to the archive. @returns false when there is none */
  async shipNext(target: BackupTarget): Promise<boolean> {
    const chain = this.#chain
    if (chain === undefined) return false
    const [spooled] = chain.spooled
    if (spooled !== undefined) {
      const { segment, sha256 } = spooled
      await this.#options.beforeSegment(target, chain.generation)
      if (this.#chain !== chain) return false
      await target.write(segmentPath(chain.generation, this.file, segment.number), this.#options.spool.read(segment))
      await failpoint('archive:segment-written')
      if (this.#chain !== chain) return false
      chain.number = segment.number
      chain.sha256 = sha256
      if (chain.spooled[0] === spooled) await this.#dropSpooled(chain)
      return true
    }
    const plan = this.#nextPlan(chain)
    if (plan === undefined) return false
    await this.#options.beforeSegment(target, chain.generation)
    if (this.#chain !== chain) return false
    // It went to the spool meanwhile, and goes on from there.
    if (chain.current !== plan) return true
    const content = this.#content(plan, chain.macKey)
    const isWritten = await target
      .write(segmentPath(chain.generation, this.file, plan.header.number), content)
      .then(() => true)
      .catch((error: unknown) => {
        // The log was let go meanwhile because the spool has these frames.
        if (chain.spooled[0]?.segment.number === plan.header.number) return false
        throw error
      })
    await failpoint('archive:segment-written')
    if (this.#chain !== chain || !isWritten) return isWritten
    chain.number = plan.header.number
    chain.sha256 = content.sha256
    if (chain.spooled[0]?.segment.number === plan.header.number) {
      await this.#dropSpooled(chain)
    } else {
      chain.current = undefined
      this.#free(plan)
    }
    this.#shipped(plan)
    return true
  }

  async #dropSpooled(chain: Chain): Promise<void> {
    const [first] = chain.spooled.splice(0, 1)
    if (first !== undefined) await this.#options.spool.remove(first.segment)
    if (chain.spooled.length === 0 && this.#lastSpooled !== undefined) {
      this.#lastShipped = this.#lastSpooled
      this.#lastSpooled = undefined
    }
  }

  #free({ commits }: Plan): void {
    this.#commits.splice(0, commits.length)
    this.#freed += commits.length
  }

  #shipped({ commits }: Plan): void {
    this.#lastShipped = momentOf(commits, this.#lastShipped)
  }

  #nextPlan(chain: Chain): Plan | undefined {
    if (chain.current !== undefined) return chain.current
    const [first] = this.#commits
    if (first === undefined) return undefined
    const commits: WaitingCommit[] = []
    let frame = first.firstFrame - 1
    for (const commit of this.#commits) {
      const isNext = commit.header.salt.equals(first.header.salt) && commit.firstFrame === frame + 1
      const isTooMuch = commits.length > 0 && commit.lastFrame - first.firstFrame >= MAX_SEGMENT_FRAMES
      if (!isNext || isTooMuch || this.#isBehindCut(commit)) break
      commits.push(commit)
      frame = commit.lastFrame
    }
    if (commits.length === 0) return undefined
    const last = chain.spooled.at(-1)
    chain.current = {
      header: {
        version: 1,
        storeId: this.#options.storeId,
        generation: chain.generation,
        file: this.file,
        number: (last?.segment.number ?? chain.number) + 1,
        previous: last?.sha256 ?? chain.sha256,
        session: this.#options.session,
        pageBytes: first.header.pageBytes,
        salt: first.header.salt.toString('hex'),
        firstFrame: first.firstFrame,
        frames: frame - first.firstFrame + 1,
        commits: commits.length,
      },
      wal: first.header,
      sumBefore: first.sumBefore,
      commits,
    }
    return chain.current
  }

  #isBehindCut({ header, firstFrame }: FoundCommit): boolean {
    const cut = this.#cut
    if (cut === undefined) return false
    return cut.header === undefined || !cut.header.salt.equals(header.salt) || firstFrame > cut.frame
  }

  #content({ header, wal, sumBefore, commits }: Plan, macKey: Uint8Array): SegmentContent {
    const frames = () => framesOf(this.#walPath, wal, sumBefore, header.firstFrame, header.frames)
    return new SegmentContent(header, commits, frames, macKey)
  }

  // ----- checkpoints

  /** Lets a checkpoint move what is archived; resolves within a bound of time. */
  async beforeCheckpoint(): Promise<void> {
    await this.#pin.advance(async () => {
      const found = this.#found
      await this.#options.ship()
      return this.#freed >= found
    })
  }

  /**
   * Runs `work`, a checkpoint while no commit is under way, if the log is needed no more after it: what the archive does
   * not have yet goes to the spool. Otherwise it does not run, and the log keeps what it has.
   */
  async whileFree(work: () => Promise<void>, emptiesLog: boolean): Promise<void> {
    if (this.#isRecording && !(await this.#secure())) return
    const chain = this.#chain
    if (emptiesLog && chain !== undefined) {
      const last = chain.spooled.at(-1)
      await writeLogEnd(this.#options.dir, this.file, {
        generation: chain.generation,
        number: last?.segment.number ?? chain.number,
        sha256: last?.sha256 ?? chain.sha256,
      })
    }
    await failpoint('archive:before-release')
    await this.#pin.release()
    try {
      await work()
      this.#isLogFree = this.#isClosing
    } finally {
      if (this.#isRecording && !this.#isClosing) await this.#pin.hold()
    }
  }

  async #secure(): Promise<boolean> {
    const chain = this.#chain
    // No archive has been reached yet: the log stays for the next owner, if there is a generation that can go on with it.
    if (chain === undefined) return this.#isClosing && (await linkedGeneration(this.#options.dir)) === undefined
    if (this.#isBasing) return false
    const bytes = this.#commits.reduce((sum, commit) => sum + frameBytesOf(commit), 0)
    if (bytes > MAX_SPOOL_BYTES && !this.#isClosing) return false
    try {
      for (;;) {
        const plan = this.#nextPlan(chain)
        if (plan === undefined) return true
        const content = this.#content(plan, chain.macKey)
        const segment = await this.#options.spool.write(chain.generation, this.file, plan.header.number, content)
        if (this.#chain !== chain) return false
        if (chain.number < plan.header.number) {
          const sinceMs = (plan.commits[0] as WaitingCommit).sinceMs
          chain.spooled.push({ segment, sha256: content.sha256, bytes: bytesOf(plan), sinceMs })
          this.#lastSpooled = momentOf(plan.commits, this.#lastSpooled ?? this.#lastShipped)
          chain.current = undefined
          this.#free(plan)
        } else {
          // It reached the archive while it was written here.
          await this.#options.spool.remove(segment)
        }
        await failpoint('archive:spooled')
      }
    } catch (error) {
      if (error instanceof StoreError) return false
      throw error
    }
  }

  // ----- end

  /** From now on the log is let go for good. */
  close(): void {
    this.#isClosing = true
  }

  /** Before the last connection of the owner that can write is closed. */
  async closePin(): Promise<void> {
    await this.#pin.close()
    if (this.#isLogFree) await this.#options.keeper.release()
  }

  /** After it. */
  async closeFiles(): Promise<void> {
    await this.#options.keeper.release()
    this.#follower.close()
    await this.#descriptors.close()
  }
}

function frameBytesOf({ header, firstFrame, lastFrame }: FoundCommit): number {
  return (lastFrame - firstFrame + 1) * (FRAME_HEADER_BYTES + header.pageBytes)
}

function bytesOf({ commits }: Plan): number {
  return commits.reduce((sum, commit) => sum + frameBytesOf(commit), 0)
}

function momentOf(commits: readonly FoundCommit[], before: LastShipped): LastShipped {
  const named = commits.findLast(({ sequence }) => sequence !== null)
  return { sequence: named?.sequence ?? before.sequence, timeMs: commits.at(-1)?.timeMs ?? before.timeMs }
}

/** Frames as they stand in the log, each proven to follow the one before. */
async function* framesOf(
  walPath: string,
  header: WalHeader,
  sumBefore: WalChecksum,
  firstFrame: number,
  count: number,
): AsyncGenerator<Uint8Array> {
  const frameBytes = FRAME_HEADER_BYTES + header.pageBytes
  const file = await open(walPath, 'r')
  try {
    let sum = sumBefore
    for (let done = 0; done < count; done += CHUNK_FRAMES) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_FRAMES, count - done) * frameBytes)
      const { bytesRead } = await file.read(chunk, 0, chunk.length, frameOffset(firstFrame + done, header.pageBytes))
      if (bytesRead < chunk.length) throw logChanged(walPath)
      for (let at = 0; at < chunk.length; at += frameBytes) {
        const next = nextChecksum(chunk.subarray(at, at + frameBytes), header, sum)
        if (next === undefined) throw logChanged(walPath)
        sum = next
      }
      yield chunk
    }
  } finally {
    await file.close()
  }
}

function logChanged(walPath: string): StoreError {
  return new StoreError(
    'STORE_CORRUPT',
    `Frames of ${walPath} that are to be archived are not what was committed. Check the disk and run holdfast check.`,
    { details: { path: walPath } },
  )
}

async function readAt(
  descriptor: number,
  buffer: Buffer,
  position: number,
): Promise<{ readonly buffer: Buffer; readonly bytesRead: number }> {
  return await promisify(read)(descriptor, buffer, 0, buffer.length, position)
}

function closing(): StoreError {
  return new StoreError('STORE_CLOSED', 'The store was closed while the base of its archive was written.')
}
