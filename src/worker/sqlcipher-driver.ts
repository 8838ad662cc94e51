/**
 * The driver seam over `@journeyapps/sqlcipher`. Each call runs on libuv's pool, so the worker's event loop stays free
 * to take the next batch while one is being fsynced.
 *
 * `Statement#get` of that package leaves the statement, and with it a read transaction, open until the next use; this
 * module never calls it.
 */
import sqlcipher from '@journeyapps/sqlcipher'
import {
  type BindValue,
  type Connection,
  type Driver,
  DriverError,
  type DriverErrorCode,
  type OpenOptions,
  type Row,
  type Statement,
} from './driver.ts'
import { addInterruptible, beginNativeCall, endNativeCall, removeInterruptible } from './native-calls.ts'

const CODES: Readonly<Record<string, DriverErrorCode>> = {
  SQLITE_BUSY: 'BUSY',
  SQLITE_LOCKED: 'BUSY',
  SQLITE_CANTOPEN: 'CANTOPEN',
  SQLITE_CONSTRAINT: 'CONSTRAINT',
  SQLITE_CORRUPT: 'CORRUPT',
  SQLITE_FULL: 'FULL',
  SQLITE_INTERRUPT: 'INTERRUPT',
  SQLITE_IOERR: 'IOERR',
  SQLITE_NOTADB: 'NOTADB',
  SQLITE_PERM: 'PERM',
  SQLITE_READONLY: 'READONLY',
}

function toDriverError(error: Error): DriverError {
  const code = (error as { code?: unknown }).code
  return new DriverError((typeof code === 'string' ? CODES[code] : undefined) ?? 'ERROR', error.message)
}

type Callback<T> = (error: Error | null, value: T) => void

function settle<T>(start: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    if (!beginNativeCall()) return
    start((error, value) => {
      endNativeCall()
      if (error) reject(toDriverError(error))
      else resolve(value)
    })
  })
}

class SqlcipherStatement implements Statement {
  readonly #statement: sqlcipher.Statement

  constructor(statement: sqlcipher.Statement) {
    this.#statement = statement
  }

  run(parameters: readonly BindValue[]): Promise<number> {
    return settle<number>((callback) => {
      this.#statement.run(parameters, function (this: sqlcipher.RunResult, error: Error | null) {
        callback(error, this.changes)
      })
    })
  }

  all(parameters: readonly BindValue[]): Promise<Row[]> {
    return settle<Row[]>((callback) => this.#statement.all(parameters, callback))
  }

  async finalize(): Promise<void> {
    await settle<void>((callback) => this.#statement.finalize(() => callback(null, undefined)))
  }
}

class SqlcipherConnection implements Connection {
  readonly #database: sqlcipher.Database

  constructor(database: sqlcipher.Database) {
    this.#database = database
  }

  exec(sql: string): Promise<void> {
    return settle<void>((callback) => this.#database.exec(sql, (error) => callback(error, undefined)))
  }

  prepare(sql: string): Promise<Statement> {
    return settle<Statement>((callback) => {
      const statement = this.#database.prepare(sql, (error: Error | null) => {
        callback(error, new SqlcipherStatement(statement))
      })
    })
  }

  interrupt(): void {
    this.#database.interrupt()
  }

  async close(): Promise<void> {
    await settle<void>((callback) => this.#database.close((error) => callback(error, undefined)))
    removeInterruptible(this.#database)
  }
}

const OPEN_FULLMUTEX = 0x00010000

export const sqlcipherDriver: Driver = {
  async open(path: string, options: OpenOptions): Promise<Connection> {
    const access =
      options.mode === 'read-only'
        ? sqlcipher.OPEN_READONLY
        : options.mode === 'create'
          ? sqlcipher.OPEN_READWRITE | sqlcipher.OPEN_CREATE
          : sqlcipher.OPEN_READWRITE
    const database = await settle<sqlcipher.Database>((callback) => {
      const opened = new sqlcipher.Database(path, access | OPEN_FULLMUTEX, (error) => callback(error, opened))
    })
    database.configure('busyTimeout', options.busyTimeoutMs)
    addInterruptible(database)
    return new SqlcipherConnection(database)
  },
}
