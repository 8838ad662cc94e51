/**
 * Reader connections of one database file. At most two work at a time: libuv's pool has four threads for the whole
 * process by default, and the writer and the host's own DNS, fs and crypto need the rest.
 */
import type { BindValue, Connection, Row } from './driver.ts'
import { StatementCache } from './statement-cache.ts'

const MAX_READERS = 2

interface Reader {
  readonly connection: Connection
  readonly statements: StatementCache
}

export class ReadPool {
  readonly #open: () => Promise<Connection>
  readonly #idle: Reader[] = []
  readonly #waiting: ((reader: Reader) => void)[] = []
  #readers = 0
  #active = 0

  constructor(open: () => Promise<Connection>) {
    this.#open = open
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#waiting.length
  }

  async query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    const reader = await this.#acquire()
    this.#active += 1
    try {
      const statement = await reader.statements.prepare(sql)
      return await statement.all(parameters)
    } finally {
      this.#active -= 1
      this.#release(reader)
    }
  }

  /** Closes the idle readers; call when no query is under way. */
  async close(): Promise<void> {
    for (const reader of this.#idle.splice(0)) {
      await reader.statements.clear()
      await reader.connection.close()
    }
    this.#readers = 0
  }

  async #acquire(): Promise<Reader> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#readers >= MAX_READERS) return await new Promise((resolve) => this.#waiting.push(resolve))
    this.#readers += 1
    try {
      const connection = await this.#open()
      return { connection, statements: new StatementCache(connection) }
    } catch (error) {
      this.#readers -= 1
      throw error
    }
  }

  #release(reader: Reader): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(reader)
    else next(reader)
  }
}
