/**
 * SQL that a user wrote, read-only by three independent means: the reader connection is opened read-only, it has
 * `query_only` on, and the text is run as a sub-query, which only a statement that returns rows can be. The sub-query
 * also bounds the result before a single row is built, and gives columns of one name names of their own.
 *
 * The driver gives every integer as a double and every row as an object. Where a double may stand for another integer
 * the query is run once more with those as text, and every value is taken from that run. Names and their order are asked
 * for apart where objects can't tell them: an empty result has none, and a name like `1` changes its place.
 */
import type { SqlRequest, SqlRow, SqlTable, SqlValue } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { type BindValue, DriverError, type Row } from './driver.ts'
import { describeSqlError, shownColumn } from './user-sql-error.ts'

export type RunQuery = (text: string, parameters: readonly BindValue[]) => Promise<Row[]>

export async function readOnlySql(request: SqlRequest, run: RunQuery): Promise<readonly SqlRow[]> {
  const query = new UserQuery(request, run)
  const rows = await query.rows()
  if (!rows.some(mayBeInexact)) return rows
  const { columns, rows: exact } = await query.exactTable(rows)
  return exact.map((values) => Object.fromEntries(columns.map((column, index) => [column, values[index] as SqlValue])))
}

export async function readOnlyTable(request: SqlRequest, run: RunQuery): Promise<SqlTable> {
  const query = new UserQuery(request, run)
  const rows = await query.rows()
  if (rows.some(mayBeInexact)) return await query.exactTable(rows)
  const columns = await query.columns(rows)
  return { columns, rows: rows.map((row) => columns.map((column) => row[column] as SqlValue)) }
}

/**
 * What is explained is a sub-query too: a PRAGMA takes effect when it is compiled, also behind EXPLAIN
 * (https://sqlite.org/pragma.html).
 */
const EXPLAIN = /^explain\s+(?:query\s+plan\s+)?/i
const PLAN_COLUMNS = ['id', 'parent', 'notused', 'detail']
/** Objects list such names first, by their number. */
const INDEX_LIKE = /^\d+$/
const MAX_SAFE = Number.MAX_SAFE_INTEGER

class UserQuery {
  readonly #request: SqlRequest
  readonly #run: RunQuery
  readonly #explain: string
  readonly #body: string

  constructor(request: SqlRequest, run: RunQuery) {
    this.#request = request
    this.#run = run
    const statement = request.sql.trim().replace(/;\s*$/, '')
    this.#explain = EXPLAIN.exec(statement)?.[0] ?? ''
    this.#body = `(\n${statement.slice(this.#explain.length)}\n)`
  }

  async rows(): Promise<Row[]> {
    return await this.#ask(`${this.#explain}SELECT * FROM ${this.#body}`)
  }

  /** The names of the columns in their order. */
  async columns(rows: readonly Row[]): Promise<string[]> {
    const [first] = rows
    if (this.#explain !== '') return first === undefined ? PLAN_COLUMNS : Object.keys(first)
    const named =
      first ?? (await this.#askOne(`SELECT "result".* FROM (SELECT 1) LEFT JOIN ${this.#body} AS "result" ON FALSE`))
    const names = Object.keys(named)
    if (!names.some((name) => INDEX_LIKE.test(name))) return names
    // A compound takes its names from its first part and, as that gives no row, its values from the second.
    const positions = names.map((_, index) => index).join(', ')
    const placed = await this.#askOne(`SELECT * FROM ${this.#body} WHERE FALSE UNION ALL SELECT ${positions}`)
    return names.sort((a, b) => Number(placed[a]) - Number(placed[b]))
  }

  /** The same with every digit. @throws StoreError `INVALID_QUERY` for an integer that a number does not show as it is */
  async exactTable(rows: readonly Row[]): Promise<SqlTable> {
    const columns = await this.columns(rows)
    const isWide = (index: number) =>
      `typeof("c${index}") = 'integer' AND "c${index}" NOT BETWEEN ${-MAX_SAFE} AND ${MAX_SAFE}`
    const values = columns.map(
      (_, index) =>
        `CASE WHEN ${isWide(index)} THEN CAST("c${index}" AS TEXT) ELSE "c${index}" END AS "v${index}", (${isWide(index)}) AS "w${index}"`,
    )
    const names = columns.map((_, index) => `"c${index}"`).join(', ')
    // Kept from being merged with what selects from it: a value that is computed twice need not be the same twice.
    const text = `WITH "_result"(${names}) AS MATERIALIZED ${this.#body} SELECT ${values.join(', ')} FROM "_result"`
    const found = await this.#ask(text)
    return {
      columns,
      rows: found.map((row) =>
        columns.map((column, index) => {
          const value = row[`v${index}`] as SqlValue
          return row[`w${index}`] === 1 ? this.#wideInteger(value as string, column, index) : value
        }),
      ),
    }
  }

  /** A number that shows the same digits is what was written: JSON, too, tells numbers by their digits. */
  #wideInteger(digits: string, column: string, index: number): SqlValue {
    const value = Number(digits)
    if (String(value) === digits) return value
    const { sql, wideIntegers } = this.#request
    if (wideIntegers === 'text') return digits
    const name = shownColumn(column, sql)
    throw new StoreError(
      'INVALID_QUERY',
      `Column ${index + 1}${name === undefined ? '' : ` ("${name}")`} holds an integer beyond ±(2^53 − 1), which a JavaScript number would round. Select CAST(${name ?? '…'} AS TEXT), or pass wideIntegers: 'text'.`,
      { details: { position: index + 1, ...(name === undefined ? {} : { column: name }) } },
    )
  }

  async #askOne(text: string): Promise<Row> {
    const [row] = await this.#ask(text, 1)
    if (row === undefined) throw new StoreError('INTERNAL', 'A query for the names of columns gave no row.')
    return row
  }

  /** The bound is a parameter: text that ends the sub-query before it then has one parameter too few and is refused. */
  async #ask(text: string, maxRows = this.#request.maxRows): Promise<Row[]> {
    const { sql, parameters } = this.#request
    const bound = [...parameters.map((value) => (typeof value === 'boolean' ? Number(value) : value)), maxRows + 1]
    let rows: Row[]
    try {
      rows = await this.#run(`${text} LIMIT ?`, bound)
    } catch (error) {
      if (!(error instanceof DriverError) || (error.code !== 'ERROR' && error.code !== 'READONLY')) throw error
      const problem = describeSqlError(error.message, sql, parameters.length)
      throw new StoreError('INVALID_QUERY', `The query is not valid: ${problem}`, { cause: error })
    }
    if (rows.length <= maxRows) return rows
    throw new StoreError(
      'RESULT_TOO_LARGE',
      `The query returns more than ${maxRows} rows. Add a LIMIT, aggregate, or raise maxRows.`,
      { details: { maxRows } },
    )
  }
}

/** True for what may be a rounded 64-bit integer, or a REAL as large. */
function mayBeInexact(row: Row): boolean {
  for (const name in row) {
    const value = row[name]
    if (typeof value === 'number' && Math.abs(value) > MAX_SAFE && Math.abs(value) <= 2 ** 63) return true
  }
  return false
}
