/** Prepared statements of one connection by their SQL, least recently used first out; compiling costs more than most runs. */
import type { Connection, Statement } from './driver.ts'

const MAX_STATEMENTS = 300

export class StatementCache {
  readonly #connection: Connection
  readonly #statements = new Map<string, Statement>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async prepare(sql: string): Promise<Statement> {
    const cached = this.#statements.get(sql)
    if (cached !== undefined) {
      this.#statements.delete(sql)
      this.#statements.set(sql, cached)
      return cached
    }
    const statement = await this.#connection.prepare(sql)
    this.#statements.set(sql, statement)
    if (this.#statements.size > MAX_STATEMENTS) {
      const [oldestSql, oldest] = this.#statements.entries().next().value as [string, Statement]
      this.#statements.delete(oldestSql)
      await oldest.finalize()
    }
    return statement
  }

  async clear(): Promise<void> {
    for (const statement of this.#statements.values()) await statement.finalize()
    this.#statements.clear()
  }
}
