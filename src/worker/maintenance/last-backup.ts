/**
 * When the last backup was made, as the audit trail has it. The trail may be long and has no index on events, so each
 * look goes on where the one before ended.
 */
import type { BindValue, Row } from '../driver.ts'

export class LastBackup {
  readonly #query: (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>
  #seenId = 0
  #atMs: number | null = null

  constructor(query: (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>) {
    this.#query = query
  }

  /** Unix milliseconds; null when none is recorded. */
  async atMs(): Promise<number | null> {
    const [row] = await this.#query(
      `SELECT (SELECT max("id") FROM "_audit") AS "lastId",
        (SELECT "at" FROM "_audit" WHERE "id" > ? AND "event" = 'backup.made' ORDER BY "id" DESC LIMIT 1) AS "at"`,
      [this.#seenId],
    )
    this.#seenId = Math.max(this.#seenId, Number(row?.lastId ?? 0))
    if (row?.at !== null && row?.at !== undefined) this.#atMs = Math.max(this.#atMs ?? 0, Number(row.at))
    return this.#atMs
  }
}
