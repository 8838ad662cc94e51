/**
 * What the worker needs of a SQLite driver, and nothing more, so that a second one can stand behind the same seam.
 * Every call answers once; a connection runs one statement at a time, in the order of the calls.
 */

/** Result codes the store acts on; anything else is `ERROR`. See https://sqlite.org/rescode.html. */
export type DriverErrorCode =
  | 'BUSY'
  | 'CANTOPEN'
  | 'CONSTRAINT'
  | 'CORRUPT'
  | 'FULL'
  | 'INTERRUPT'
  | 'IOERR'
  | 'NOTADB'
  | 'PERM'
  | 'READONLY'
  | 'ERROR'

/** A failure of the database library. Its message stays inside the worker: it may quote SQL or values. */
export class DriverError extends Error {
  override readonly name = 'DriverError'
  readonly code: DriverErrorCode

  constructor(code: DriverErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export type BindValue = string | number | null | Uint8Array
export type Row = Record<string, string | number | null | Uint8Array>

export interface Statement {
  /** Runs to the end and resolves to the number of rows changed. */
  run(parameters: readonly BindValue[]): Promise<number>
  all(parameters: readonly BindValue[]): Promise<Row[]>
  finalize(): Promise<void>
}

export interface Connection {
  /** Runs one or more statements without parameters. */
  exec(sql: string): Promise<void>
  prepare(sql: string): Promise<Statement>
  /** Ends what runs on it at this moment with `INTERRUPT`, if anything does. */
  interrupt(): void
  close(): Promise<void>
}

export interface OpenOptions {
  readonly mode: 'create' | 'read-write' | 'read-only'
  /** How long a statement waits for another connection's lock. */
  readonly busyTimeoutMs: number
}

export interface Driver {
  open(path: string, options: OpenOptions): Promise<Connection>
}

/** Runs one statement once. */
export async function queryOnce(
  connection: Connection,
  sql: string,
  parameters: readonly BindValue[] = [],
): Promise<Row[]> {
  const statement = await connection.prepare(sql)
  try {
    return await statement.all(parameters)
  } finally {
    await statement.finalize()
  }
}
