/**
 * @journeyapps/sqlcipher called from the main thread: each call runs on libuv's pool, one after the other per connection.
 *
 * The bulk load is a transaction on the connection that also takes the puts, as there is one writer a file; puts that
 * arrive meanwhile wait for its end, since they would otherwise resolve inside a transaction that is not yet on disk.
 * The aggregate has a connection of its own, so that it holds up nobody.
 */
import { mkdirSync } from 'node:fs'
import sqlcipher, { type Database, type Statement } from '@journeyapps/sqlcipher'
import type { OrderDocument } from '../documents.ts'
import type { Contender, Secrets } from './contender.ts'
import {
  AGGREGATE_BARS,
  barParameters,
  DURABLE_PRAGMAS,
  SCHEMA,
  SELECT_DOC,
  UPSERT_BAR,
  upsertInto,
} from './sql-schema.ts'
import { databasePath } from './sqlcipher-file.ts'

export const contender: Contender = {
  async open(dir, secrets) {
    mkdirSync(dir, { recursive: true })
    const writer = await connect(dir, secrets)
    const reader = await connect(dir, secrets)
    await execute(writer, SCHEMA)
    const upsertDoc = writer.prepare(upsertInto('docs'))
    const upsertArchived = writer.prepare(upsertInto('archive'))
    const upsertBar = writer.prepare(UPSERT_BAR)
    const selectDoc = writer.prepare(SELECT_DOC)
    let bulkLoad: Promise<unknown> | undefined

    function put(statement: Statement, document: OrderDocument): Promise<void> {
      if (bulkLoad !== undefined) return bulkLoad.then(() => put(statement, document))
      return run(statement, [document.id, JSON.stringify(document)])
    }

    return {
      put: (document) => put(upsertDoc, document),
      putArchived: (document) => put(upsertArchived, document),
      get(id) {
        return new Promise((resolve, reject) => {
          selectDoc.get([id], (error, row: { doc: string } | undefined) => {
            if (error) reject(error)
            else resolve(row === undefined ? undefined : JSON.parse(row.doc))
          })
        })
      },
      async loadBars({ documents: bars }) {
        const load = async () => {
          await execute(writer, 'BEGIN IMMEDIATE')
          await Promise.all(bars.map((bar) => run(upsertBar, barParameters(bar))))
          await execute(writer, 'COMMIT')
        }
        bulkLoad = load().finally(() => {
          bulkLoad = undefined
        })
        await bulkLoad
        return bars.length
      },
      aggregateBars() {
        return new Promise((resolve, reject) => {
          reader.all(AGGREGATE_BARS, (error, rows: { n: number }[]) => {
            if (error) reject(error)
            else resolve(rows.reduce((sum, row) => sum + row.n, 0))
          })
        })
      },
      async close() {
        for (const statement of [upsertDoc, upsertArchived, upsertBar, selectDoc]) {
          await new Promise<void>((resolve) => statement.finalize(() => resolve()))
        }
        for (const database of [reader, writer]) {
          await new Promise<void>((resolve, reject) => database.close((error) => (error ? reject(error) : resolve())))
        }
      },
    }
  },
}

async function connect(dir: string, secrets: Secrets): Promise<Database> {
  const database = await new Promise<Database>((resolve, reject) => {
    const opening: Database = new sqlcipher.Database(databasePath(dir), (error) =>
      error ? reject(error) : resolve(opening),
    )
  })
  await execute(database, `PRAGMA key = "x'${secrets.rawKey}'"`)
  for (const pragma of DURABLE_PRAGMAS) await execute(database, pragma)
  return database
}

function execute(database: Database, sql: string): Promise<void> {
  return new Promise((resolve, reject) => database.exec(sql, (error) => (error ? reject(error) : resolve())))
}

function run(statement: Statement, parameters: readonly unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    statement.run(parameters, (error: Error | null) => (error ? reject(error) : resolve()))
  })
}
