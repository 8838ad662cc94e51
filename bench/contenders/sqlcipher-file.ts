/** better-sqlite3-multiple-ciphers on one SQLCipher 4 file: what `bs3mc` calls directly and `hand-worker` in a thread. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3-multiple-ciphers'
import { type Bar, generateBars, generateDocuments } from '../documents.ts'
import type { Secrets, SeedContent } from './contender.ts'
import {
  AGGREGATE_BARS,
  barParameters,
  DURABLE_PRAGMAS,
  SCHEMA,
  SELECT_DOC,
  UPSERT_BAR,
  upsertInto,
} from './sql-schema.ts'

export const databasePath = (dir: string) => join(dir, 'store.db')

export class SqlcipherFile {
  readonly #database: Database.Database
  readonly #upsertDoc: Database.Statement
  readonly #upsertArchived: Database.Statement
  readonly #selectDoc: Database.Statement
  readonly #upsertBar: Database.Statement
  readonly #aggregate: Database.Statement
  readonly #loadBars: (bars: Iterable<Bar>) => number

  constructor(dir: string, secrets: Secrets) {
    mkdirSync(dir, { recursive: true })
    this.#database = new Database(databasePath(dir))
    for (const pragma of [`cipher = 'sqlcipher'`, 'legacy = 4', `key = "x'${secrets.rawKey}'"`]) {
      this.#database.pragma(pragma)
    }
    for (const pragma of DURABLE_PRAGMAS) this.#database.exec(pragma)
    this.#database.exec(SCHEMA)
    this.#upsertDoc = this.#database.prepare(upsertInto('docs'))
    this.#upsertArchived = this.#database.prepare(upsertInto('archive'))
    this.#selectDoc = this.#database.prepare(SELECT_DOC).pluck()
    this.#upsertBar = this.#database.prepare(UPSERT_BAR)
    this.#aggregate = this.#database.prepare(AGGREGATE_BARS)
    this.#loadBars = this.#database.transaction((bars: Iterable<Bar>) => {
      let count = 0
      for (const bar of bars) {
        this.#upsertBar.run(barParameters(bar))
        count++
      }
      return count
    })
  }

  put(id: string, json: string): void {
    this.#upsertDoc.run(id, json)
  }

  putArchived(id: string, json: string): void {
    this.#upsertArchived.run(id, json)
  }

  get(id: string): string | undefined {
    return this.#selectDoc.get(id) as string | undefined
  }

  loadBars(bars: Iterable<Bar>): number {
    return this.#loadBars(bars)
  }

  aggregateBars(): number {
    const rows = this.#aggregate.all() as { n: number }[]
    return rows.reduce((sum, row) => sum + row.n, 0)
  }

  seed(content: SeedContent): void {
    this.#database.transaction(() => {
      for (const document of generateDocuments(content.hotDocuments)) this.put(document.id, JSON.stringify(document))
      for (const document of generateDocuments(content.archivedDocuments)) {
        this.putArchived(document.id, JSON.stringify(document))
      }
      this.#loadBars(generateBars(content.bars))
    })()
  }

  /** Another file with the same content, encrypted anew. See https://sqlite.org/lang_vacuum.html#vacuuminto. */
  vacuumInto(path: string): void {
    this.#database.prepare('VACUUM INTO ?').run(path)
  }

  /** Closing the last connection checkpoints and removes the write-ahead log. */
  close(): void {
    this.#database.close()
  }
}
