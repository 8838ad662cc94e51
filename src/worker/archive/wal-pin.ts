/**
 * Keeps SQLite from writing over frames that have not been archived. A read transaction that began at a commit keeps
 * every later frame out of the database file, and a log whose frames are not all in the database file can not start
 * over (https://sqlite.org/wal.html#concurrency). The method is litestream's (https://litestream.io/how-it-works/).
 *
 * Two connections take turns: the pin moves on by beginning a second transaction before the first one ends, so that
 * there is never a moment without one.
 */
import { type Connection, queryOnce } from '../driver.ts'

export class WalPin {
  readonly #open: () => Promise<Connection>
  readonly #idle: Connection[] = []
  #held: Connection | undefined

  /** `open` gives a read-only connection to the database. */
  constructor(open: () => Promise<Connection>) {
    this.#open = open
  }

  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /** Begins at the last commit there is. */
  async hold(): Promise<void> {
    this.#held ??= await this.#begin()
  }

  /**
   * Moves to the last commit there is, if `isArchived` comes true of everything up to it.
   *
   * @returns whether it moved
   */
  async advance(isArchived: () => Promise<boolean>): Promise<boolean> {
    const held = this.#held
    if (held === undefined) return false
    const next = await this.#begin()
    if (!(await isArchived()) || this.#held !== held) {
      await this.#end(next)
      return false
    }
    this.#held = next
    await this.#end(held)
    return true
  }

  /** Moves to the last commit there is, whatever is archived: frames since the last pin stay in the log, but not alone. */
  async renew(): Promise<void> {
    const held = this.#held
    this.#held = await this.#begin()
    if (held !== undefined) await this.#end(held)
  }

  /** Frames may be written over from now on. */
  async release(): Promise<void> {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    await this.#end(held)
  }

  async close(): Promise<void> {
    await this.release()
    for (const connection of this.#idle.splice(0)) await connection.close()
  }

  async #begin(): Promise<Connection> {
    const idle = this.#idle.pop()
    if (idle === undefined) return await begun(await this.#open())
    // It may be from before the file got another key.
    return await begun(idle).catch(async () => begun(await this.#open()))
  }

  async #end(connection: Connection): Promise<void> {
    await connection.exec('ROLLBACK')
    this.#idle.push(connection)
  }
}

async function begun(connection: Connection): Promise<Connection> {
  try {
    await connection.exec('BEGIN')
    await queryOnce(connection, 'SELECT count(*) FROM sqlite_schema')
  } catch (error) {
    await connection.close()
    throw error
  }
  return connection
}
