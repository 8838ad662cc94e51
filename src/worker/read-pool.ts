/** Reader connections of one database file, as many as there are slots. */
import { type BindValue, type Connection, DriverError, type Row } from './driver.ts'
import type { ReadSlots } from './read-slots.ts'
import { StatementCache } from './statement-cache.ts'

interface Reader {
  readonly connection: Connection
  readonly statements: StatementCache
}

export class ReadPool {
  readonly #slots: ReadSlots
  readonly #open: () => Promise<Connection>
  readonly #idle: Reader[] = []

  constructor(slots: ReadSlots, open: () => Promise<Connection>) {
    this.#slots = slots
    this.#open = open
  }

  query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    return this.#slots.use(() => this.#query(sql, parameters))
  }

  /** Closes the idle readers; call when no query is under way. */
  async close(): Promise<void> {
    for (const reader of this.#idle.splice(0)) await closeReader(reader)
  }

  async #query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    const reader = this.#idle.pop() ?? (await this.#openReader())
    try {
      const statement = await reader.statements.prepare(sql)
      const rows = await statement.all(parameters)
      this.#idle.push(reader)
      return rows
    } catch (error) {
      // After a page that fails its authentication SQLCipher refuses everything on the connection that met it.
      if (error instanceof DriverError) await closeReader(reader)
      else this.#idle.push(reader)
      throw error
    }
  }

  async #openReader(): Promise<Reader> {
    const connection = await this.#open()
    return { connection, statements: new StatementCache(connection) }
  }
}

async function closeReader({ connection, statements }: Reader): Promise<void> {
  await statements.clear()
  await connection.close()
}
