/** Reader connections of one database file, as many as there are slots. */
import { type BindValue, type Connection, DriverError, type Row } from './driver.ts'
import type { ReadSlots } from './read-slots.ts'
import { StatementCache } from './statement-cache.ts'

interface Reader {
  /** Of the key it was opened with. */
  readonly era: number
  readonly connection: Connection
  readonly statements: StatementCache
}

export class ReadPool {
  readonly #slots: ReadSlots
  readonly #open: () => Promise<Connection>
  readonly #idle: Reader[] = []
  /** Rises when the key of the file changes. */
  #era = 0
  #keyChange: Promise<unknown> = Promise.resolve()

  constructor(slots: ReadSlots, open: () => Promise<Connection>) {
    this.#slots = slots
    this.#open = open
  }

  query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    return this.#slots.use(() => this.#query(sql, parameters))
  }

  /**
   * Lets reads go on while `work` changes the key of the file: on the readers of before until that is committed, on new
   * ones afterwards. A read that came in between is asked again.
   */
  async whileKeyChanges(work: () => Promise<void>): Promise<void> {
    const changed = work().then(() => {
      this.#era += 1
    })
    this.#keyChange = changed.catch(() => undefined)
    await changed
    await this.close()
  }

  /** Closes the idle readers; call when no query is under way. */
  async close(): Promise<void> {
    for (const reader of this.#idle.splice(0)) await closeReader(reader)
  }

  async #query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    const era = this.#era
    try {
      return await this.#queryOnce(sql, parameters)
    } catch (error) {
      await this.#keyChange
      if (era === this.#era) throw error
      return await this.#queryOnce(sql, parameters)
    }
  }

  async #queryOnce(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    const reader = this.#idle.pop() ?? (await this.#openReader())
    try {
      const statement = await reader.statements.prepare(sql)
      const rows = await statement.all(parameters)
      await this.#giveBack(reader)
      return rows
    } catch (error) {
      // After a page that fails its authentication SQLCipher refuses everything on the connection that met it.
      if (error instanceof DriverError) await closeReader(reader)
      else await this.#giveBack(reader)
      throw error
    }
  }

  async #giveBack(reader: Reader): Promise<void> {
    if (reader.era === this.#era) this.#idle.push(reader)
    else await closeReader(reader)
  }

  async #openReader(): Promise<Reader> {
    const era = this.#era
    const connection = await this.#open()
    return { era, connection, statements: new StatementCache(connection) }
  }
}

async function closeReader({ connection, statements }: Reader): Promise<void> {
  await statements.clear()
  await connection.close()
}
