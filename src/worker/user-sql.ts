/**
 * SQL that a user wrote, read-only by three independent means: the reader connection is opened read-only, it has
 * `query_only` on, and the text is run as a sub-query, which only a statement that returns rows can be. The sub-query
 * also bounds the result before a single row is built.
 */
import type { SqlRequest, SqlRow } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { type BindValue, DriverError, type Row } from './driver.ts'

/**
 * What is explained is a sub-query too: a PRAGMA takes effect when it is compiled, also behind EXPLAIN
 * (https://sqlite.org/pragma.html).
 */
const EXPLAIN = /^explain\s+(?:query\s+plan\s+)?/i

export async function readOnlySql(
  { sql, parameters, maxRows }: SqlRequest,
  query: (text: string, parameters: readonly BindValue[]) => Promise<Row[]>,
): Promise<readonly SqlRow[]> {
  const statement = sql.trim().replace(/;\s*$/, '')
  const explain = EXPLAIN.exec(statement)?.[0] ?? ''
  // The bound is a parameter: text that ends the sub-query before it then has one parameter too few and is refused.
  const text = `${explain}SELECT * FROM (\n${statement.slice(explain.length)}\n) LIMIT ?`
  const bound = [...parameters.map((value) => (typeof value === 'boolean' ? Number(value) : value)), maxRows + 1]
  let rows: Row[]
  try {
    rows = await query(text, bound)
  } catch (error) {
    if (!(error instanceof DriverError) || (error.code !== 'ERROR' && error.code !== 'READONLY')) throw error
    throw new StoreError('INVALID_QUERY', `The query is not valid: ${describe(error.message, statement)}`, {
      cause: error,
    })
  }
  if (rows.length > maxRows) {
    throw new StoreError(
      'RESULT_TOO_LARGE',
      `The query returns more than ${maxRows} rows. Add a LIMIT, aggregate, or raise maxRows.`,
      { details: { maxRows } },
    )
  }
  return rows
}

const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]/g

/**
 * SQLite names the token, table or column at fault. These are names in a well-formed query, but what stands between
 * quotes may be a value, and SQLite takes one for a name where it can: only what the query has without quotes is shown.
 */
function describe(message: string, sql: string): string {
  const known = /(no such (?:table|column|function|index)|ambiguous column name): ([A-Za-z_][A-Za-z0-9_.]*)$/.exec(
    message,
  )
  if (known === null) {
    return 'it has to be one SELECT (or WITH, VALUES, EXPLAIN) statement with correct syntax; nothing is ever written through it.'
  }
  const [, problem, name = ''] = known
  const words = new Set(sql.replaceAll(QUOTED, ' ').match(/[A-Za-z_][A-Za-z0-9_]*/g))
  return name.split('.').every((part) => words.has(part)) ? `${problem} "${name}".` : `${problem}.`
}
