/**
 * Knows every commit in the write-ahead log exactly: after each transaction, before the next one, it walks the headers
 * of the frames that were added. A few reads of a file that is in memory; no key, no question to SQLite.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { CommitLog, type CommitNote } from './commit-log.ts'
import {
  FRAME_HEADER_BYTES,
  frameChecksum,
  frameOffset,
  nextChecksum,
  parseWalHeader,
  readWalFrames,
  WAL_HEADER_BYTES,
  type WalChecksum,
  type WalHeader,
} from './wal-frames.ts'

/** A commit as it stands in a log. */
export interface FoundCommit {
  readonly header: WalHeader
  readonly firstFrame: number
  readonly lastFrame: number
  /** The checksum before its first frame. */
  readonly sumBefore: WalChecksum
  readonly pages: number
  readonly sequence: number | null
  readonly timeMs: number
}

/** A place between two commits. */
export interface WalPosition {
  /** Undefined before there is a log. */
  readonly header: WalHeader | undefined
  readonly frame: number
  readonly sum: WalChecksum
  /** Size of the database in pages. */
  readonly pages: number
}

const NO_SALT = Buffer.alloc(8)
const START: WalPosition = { header: undefined, frame: 0, sum: [0, 0], pages: 0 }

export class WalFollower {
  readonly #path: string
  readonly #log: CommitLog
  readonly #onCommit: (commit: FoundCommit) => void
  #descriptor: number | undefined
  #position: WalPosition
  #lastTimeMs = 0
  #note: CommitNote | undefined
  readonly #headerBytes = Buffer.alloc(WAL_HEADER_BYTES)
  readonly #frameHeader = Buffer.alloc(FRAME_HEADER_BYTES)

  private constructor(path: string, logPath: string, onCommit: (commit: FoundCommit) => void) {
    this.#path = path
    this.#log = new CommitLog(logPath)
    this.#onCommit = onCommit
    this.#position = START
  }

  /** Begins with the commits that are in the log; call while no commit is under way. */
  static async start(
    path: string,
    logPath: string,
    onCommit: (commit: FoundCommit) => void,
  ): Promise<{ readonly follower: WalFollower; readonly present: readonly FoundCommit[] }> {
    const follower = new WalFollower(path, logPath, onCommit)
    return { follower, present: await follower.#scan() }
  }

  get position(): WalPosition {
    return this.#position
  }

  /** The same, but for a log that was emptied since the last commit: nothing of it is left to be read. */
  get placeInLog(): WalPosition {
    const { header } = this.#position
    return header !== undefined && this.#header() === header ? this.#position : START
  }

  /** Times never go back: what was restored at some moment stays what it is. */
  notBefore(timeMs: number): void {
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs)
  }

  /** What no batch that this file or its log holds is beyond. */
  get highestSequence(): number | null {
    return this.#log.highestSequence()
  }

  /** Who knows the name of a commit that was found behind this position. */
  noteAt(salt: Buffer, frame: number): CommitNote | undefined {
    return this.#log.find(salt, frame)
  }

  /** Before each transaction. What others have committed since the last one, such as maintenance, has no name. */
  committing(sequence: number | null, atMs: number): void {
    this.#walk(undefined)
    const { header, frame } = this.#position
    this.#lastTimeMs = Math.max(this.#lastTimeMs, atMs)
    this.#note = { sequence, timeMs: this.#lastTimeMs }
    this.#log.note(header?.salt ?? NO_SALT, frame, this.#note)
  }

  /** After each transaction that was committed: takes in what it added to the log. */
  committed(): void {
    const { header } = this.#position
    this.#walk(this.#note)
    // The first commit of a log was noted before the log had its salt.
    const now = this.#position.header
    if (this.#note !== undefined && now !== undefined && now !== header) this.#log.note(now.salt, 0, this.#note)
  }

  /** What was committed without a name, while no transaction is under way. */
  committedAside(): void {
    this.#walk(undefined)
  }

  #walk(note: CommitNote | undefined): void {
    const header = this.#header()
    if (header === undefined) return
    const before = this.#position
    let { frame, sum } = before
    if (before.header === undefined || !before.header.salt.equals(header.salt)) {
      frame = 0
      sum = header.sum
    }
    for (;;) {
      const commit = this.#nextCommit(header, frame, sum, note)
      if (commit === undefined) return
      note = undefined
      const { lastFrame, pages } = commit
      this.#position = { header, frame: lastFrame, sum: frameChecksum(this.#frameHeader), pages }
      ;({ frame, sum } = this.#position)
      this.#onCommit(commit)
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#log.close()
  }

  /** The commit behind a frame; leaves its last frame's header in `#frameHeader`. */
  #nextCommit(
    header: WalHeader,
    frame: number,
    sum: WalChecksum,
    note: CommitNote | undefined,
  ): FoundCommit | undefined {
    if (!this.#isNextFrame(header, frame + 1, sum)) return undefined
    for (let last = frame + 1; ; last++) {
      if (!this.#readFrameHeader(header, last)) return undefined
      const pages = this.#frameHeader.readUInt32BE(4)
      if (pages === 0) continue
      this.#lastTimeMs = Math.max(this.#lastTimeMs, note?.timeMs ?? Date.now())
      return {
        header,
        firstFrame: frame + 1,
        lastFrame: last,
        sumBefore: sum,
        pages,
        sequence: note?.sequence ?? null,
        timeMs: this.#lastTimeMs,
      }
    }
  }

  /** What a transaction that was rolled back has left there may look like a frame but does not continue the checksum. */
  #isNextFrame(header: WalHeader, index: number, sum: WalChecksum): boolean {
    if (!this.#readFrameHeader(header, index)) return false
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + header.pageBytes)
    if (this.#read(frame, frameOffset(index, header.pageBytes)) < frame.length) return false
    return nextChecksum(frame, header, sum) !== undefined
  }

  #readFrameHeader(header: WalHeader, index: number): boolean {
    const bytes = this.#frameHeader
    return (
      this.#read(bytes, frameOffset(index, header.pageBytes)) === bytes.length &&
      bytes.readUInt32BE(0) !== 0 &&
      header.salt.compare(bytes, 8, 16) === 0
    )
  }

  #header(): WalHeader | undefined {
    if (this.#read(this.#headerBytes, 0) < WAL_HEADER_BYTES) return undefined
    const known = this.#position.header
    if (known !== undefined && known.salt.compare(this.#headerBytes, 16, 24) === 0) return known
    return parseWalHeader(Buffer.from(this.#headerBytes))
  }

  #read(into: Buffer, offset: number): number {
    if (this.#descriptor === undefined || fstatSync(this.#descriptor).nlink === 0) {
      try {
        this.#descriptor = openSync(this.#path, 'r')
      } catch {
        return 0
      }
    }
    return readSync(this.#descriptor, into, 0, into.length, offset)
  }

  async #scan(): Promise<FoundCommit[]> {
    const found = await readWalFrames(this.#path)
    if (found === undefined) return []
    const { header, frames } = found
    const commits: (Omit<FoundCommit, 'timeMs'> & { readonly timeMs: number | undefined })[] = []
    for (const { index, commitPages } of frames) {
      if (commitPages === 0) continue
      const { frame, sum } = this.#position.header === undefined ? { frame: 0, sum: header.sum } : this.#position
      const note = this.#log.find(header.salt, frame)
      commits.push({
        header,
        firstFrame: frame + 1,
        lastFrame: index,
        sumBefore: sum,
        pages: commitPages,
        sequence: note?.sequence ?? null,
        timeMs: note?.timeMs,
      })
      this.#readFrameHeader(header, index)
      this.#position = { header, frame: index, sum: frameChecksum(this.#frameHeader), pages: commitPages }
    }
    if (commits.length === 0) this.#position = { header, frame: 0, sum: header.sum, pages: 0 }
    return this.#timed(commits)
  }

  /** What has no note came before what follows it, and before now: never earlier than it was. */
  #timed(commits: readonly (Omit<FoundCommit, 'timeMs'> & { readonly timeMs: number | undefined })[]): FoundCommit[] {
    let following = Date.now()
    const times = commits.map(({ timeMs }) => timeMs)
    for (let n = times.length - 1; n >= 0; n--) following = times[n] ??= following
    return commits.map((commit, n) => {
      this.#lastTimeMs = Math.max(this.#lastTimeMs, times[n] as number)
      return { ...commit, timeMs: this.#lastTimeMs }
    })
  }
}
