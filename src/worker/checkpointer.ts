/**
 * Moves the WAL into the database file from a connection of its own. SQLite's automatic checkpoint runs inside the
 * commit that crosses the threshold and showed up there as a 60-90 ms spike; here commits go on meanwhile.
 *
 * A checkpoint that only ever chases the writer never lets the WAL start over, and a WAL that keeps growing makes every
 * fsync dearer: appending to a file costs half as much again as writing over it (docs/decisions/0003-checkpoints.md).
 * So the bulk is moved beside the commits, and the last few pages while they wait a moment.
 */
import { stat } from 'node:fs/promises'
import type { DatabaseFile } from '../schema/database-file.ts'
import { type Connection, DriverError, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'

const INTERVAL_MS = 100
/**
 * What the WAL grows to. State's is written in full when it opens (wal-preallocation.ts), so it is short; bulk data comes
 * in bursts, of which a longer one writes each page of the database once.
 */
export const CHECKPOINT_AFTER_FRAMES: Readonly<Record<DatabaseFile, number>> = { state: 1_024, market: 8_192 }
/** Few enough to be moved while commits wait. */
const LAST_FRAMES = 64
const MAX_CHASES = 4
/** Past this commits wait for a checkpoint that empties the WAL: a reader that never ends must not fill the disk. */
const MAX_FRAMES = 128 * 1_024

export interface CheckpointerOptions {
  readonly connection: Connection
  readonly file: DatabaseFile
  /** Rises with every commit. */
  readonly commits: () => number
  /** Runs work while no commit is under way. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>
  /** True while a snapshot needs the log as it is: to empty it would be to wait, and commits with it. */
  readonly isLogHeld: () => boolean
  readonly guard: CheckpointGuard | null
}

/** Has a say in what may leave the log; see `archive/file-archiver.ts`. */
export interface CheckpointGuard {
  beforeCheckpoint(): Promise<void>
  /** Runs `work` if nothing in the log is needed after it. */
  whileFree(work: () => Promise<void>, emptiesLog: boolean): Promise<void>
}

export interface CheckpointerStatus {
  readonly checkpoints: number
  readonly checkpointMs: number
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #connection: Connection
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #commitsSeen = 0
  #checkpoints = 0
  #checkpointMs = 0

  constructor(options: CheckpointerOptions) {
    this.#options = options
    this.#connection = options.connection
  }

  get status(): CheckpointerStatus {
    return { checkpoints: this.#checkpoints, checkpointMs: this.#checkpointMs }
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#tick())
    }, INTERVAL_MS)
    this.#timer.unref()
  }

  /** Moves everything there is and empties the WAL. Commits wait for the end of it only. */
  async truncate(): Promise<void> {
    await this.#running
    await this.#chase((await this.#wal('NOOP')).waiting)
    await this.#options.guard?.beforeCheckpoint()
    await this.#checkpointAlone(this.#options.isLogHeld() ? 'PASSIVE' : 'TRUNCATE')
  }

  /** Moves what there is beside the commits; the log keeps its size. */
  async passive(): Promise<void> {
    await this.#running
    await this.#checkpoint('PASSIVE')
  }

  /** Goes on with another connection, under another key. Not to be awaited while commits wait: a checkpoint may wait for them. */
  async replaceConnection(open: () => Promise<Connection>): Promise<void> {
    const replaced = this.#running.then(async () => {
      const before = this.#connection
      this.#connection = await open()
      await before.close()
    })
    this.#running = replaced.catch(() => undefined)
    await replaced
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
    await this.#connection.close()
  }

  async #tick(): Promise<void> {
    const commits = this.#options.commits()
    if (commits === this.#commitsSeen) return
    const state = await this.#wal('NOOP')
    const { inWal, waiting } = state
    this.#commitsSeen = commits
    if (inWal < CHECKPOINT_AFTER_FRAMES[this.#options.file]) return
    await this.#chase(waiting)
    const mustEmpty = inWal > MAX_FRAMES && !this.#options.isLogHeld()
    await this.#checkpointAlone(mustEmpty ? 'TRUNCATE' : 'PASSIVE')
  }

  /** Beside the commits, until few frames are left. */
  async #chase(waiting: number): Promise<void> {
    for (let left = waiting, chase = 0; left > LAST_FRAMES && chase < MAX_CHASES; chase++) {
      await this.#options.guard?.beforeCheckpoint()
      await this.#checkpoint('PASSIVE')
      left = (await this.#wal('NOOP')).waiting
    }
  }

  /** While commits wait. */
  async #checkpointAlone(mode: 'PASSIVE' | 'TRUNCATE'): Promise<void> {
    const { exclusively, guard } = this.#options
    const work = () => this.#checkpoint(mode)
    await exclusively(() => (guard === null ? work() : guard.whileFree(work, mode === 'TRUNCATE')))
  }

  /**
   * A checkpoint that fails, for a full disk or a reader in the way, loses nothing: the WAL keeps what it has and the
   * next one tries again. A failing disk shows in the commits.
   */
  async #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): Promise<void> {
    await failpoint('checkpoint:before')
    const startedAt = performance.now()
    await this.#wal(mode)
    this.#checkpoints += 1
    this.#checkpointMs += performance.now() - startedAt
    await failpoint('checkpoint:after')
  }

  /** Frames in the WAL, and those of them that are not in the database yet; see https://sqlite.org/pragma.html#pragma_wal_checkpoint. */
  async #wal(mode: 'NOOP' | 'PASSIVE' | 'TRUNCATE'): Promise<{ readonly inWal: number; readonly waiting: number }> {
    try {
      const [row] = await queryOnce(this.#connection, `PRAGMA wal_checkpoint(${mode})`)
      const inWal = Number(row?.log)
      return { inWal, waiting: inWal - Number(row?.checkpointed) }
    } catch (error) {
      if (!(error instanceof DriverError)) throw error
      return { inWal: 0, waiting: 0 }
    }
  }
}

export async function fileBytes(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}
