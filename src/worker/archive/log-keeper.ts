/**
 * When a worker dies, or a program ends without closing its store, the driver closes what is open, one connection after
 * the other. SQLite moves the log into the database and deletes it when the last one closes that could write, and with
 * it would go the commits that no archive has yet. A connection that can only read does neither; and as long as one is
 * open, closing the others is not closing the last. Node ends the native objects of a thread in the opposite order of
 * their creation, so the keeper is opened before every other connection to its file.
 */
import type { Connection } from '../driver.ts'

export class LogKeeper {
  #connection: Connection | undefined

  /** @param connection read-only, and the first that was opened to the file */
  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** From now on the last connection that closes may take the log with it. */
  async release(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    await connection?.close()
  }
}
