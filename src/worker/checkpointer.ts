/**
 * Moves the WAL into the database file from a connection of its own. SQLite's automatic checkpoint runs inside the
 * commit that crosses the threshold and showed up there as a 60-90 ms spike; here commits go on meanwhile.
 *
 * How far the WAL has grown is estimated from what was committed: its file keeps its largest size, and reading the
 * index beside it would drop SQLite's locks when that descriptor is closed.
 */
import { stat } from 'node:fs/promises'
import { type Connection, DriverError, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'

const INTERVAL_MS = 250
const CHECKPOINT_AFTER_BYTES = 16 * 1024 * 1024
/** Past this size of the WAL commits wait for one that empties it: a reader that never ends must not fill the disk. */
const MAX_WAL_BYTES = 512 * 1024 * 1024

export interface CheckpointerOptions {
  readonly connection: Connection
  readonly walPath: string
  /** Estimated bytes written to the WAL since the start. */
  readonly writtenBytes: () => number
  /** Runs work while no commit is under way. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>
}

export interface CheckpointerStatus {
  readonly checkpoints: number
  readonly checkpointMs: number
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #checkpointedBytes = 0
  #checkpoints = 0
  #checkpointMs = 0

  constructor(options: CheckpointerOptions) {
    this.#options = options
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

  /** Moves everything there is and empties the WAL. */
  async truncate(): Promise<void> {
    await this.#running
    await this.#options.exclusively(() => this.#checkpoint('TRUNCATE'))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
    await this.#options.connection.close()
  }

  async #tick(): Promise<void> {
    if (this.#options.writtenBytes() - this.#checkpointedBytes < CHECKPOINT_AFTER_BYTES) return
    const walBytes = await fileBytes(this.#options.walPath)
    if (walBytes > MAX_WAL_BYTES) await this.#options.exclusively(() => this.#checkpoint('TRUNCATE'))
    else await this.#checkpoint('PASSIVE')
  }

  /**
   * A checkpoint that fails, for a full disk or a reader in the way, loses nothing: the WAL keeps what it has and the
   * next one tries again. A failing disk shows in the commits.
   */
  async #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): Promise<void> {
    failpoint('checkpoint:before')
    const startedAt = performance.now()
    const writtenBytes = this.#options.writtenBytes()
    try {
      await queryOnce(this.#options.connection, `PRAGMA wal_checkpoint(${mode})`)
      this.#checkpointedBytes = writtenBytes
      this.#checkpoints += 1
      this.#checkpointMs += performance.now() - startedAt
    } catch (error) {
      if (!(error instanceof DriverError)) throw error
    }
    failpoint('checkpoint:after')
  }
}

export async function fileBytes(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}
