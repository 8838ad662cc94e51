/** Bars as programs have them, as columns of doubles of our own: checked, copied, ascending or not. */
import type { CachedColumns } from '../../protocol/session-cache.ts'
import { StoreError } from '../../protocol/store-error.ts'

export const BAR_COLUMNS = ['open', 'high', 'low', 'close', 'volume'] as const
export const MAX_BARS_AT_ONCE = 100_000
const MAX_COLUMNS = 64
const MAX_NAME_BYTES = 100
/** They would hide what every result has. */
const TAKEN_NAMES: ReadonlySet<string> = new Set(['length', 'toRows', '__proto__'])
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/

/** Where a value comes from: a column, at a row. */
type Source = (column: string, row: number) => unknown

/** @throws StoreError `INVALID_ARGUMENT` that names the first place, never a value */
export function barColumns(input: unknown): CachedColumns {
  if (typeof input !== 'object' || input === null) throw invalid('give rows, ccxt arrays or columns')
  return Array.isArray(input) ? fromRows(input) : fromColumns(input as Record<string, unknown>)
}

function fromRows(rows: readonly unknown[]): CachedColumns {
  assertCount(rows.length)
  if (rows.every(Array.isArray)) {
    const places: readonly string[] = ['ts', ...BAR_COLUMNS]
    return columnsOf(BAR_COLUMNS, rows.length, (column, row) => (rows[row] as unknown[])[places.indexOf(column)])
  }
  const names = new Set<string>(BAR_COLUMNS)
  for (const [index, row] of rows.entries()) {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) throw invalid(`row ${index} is none`)
    for (const name in row) if (name !== 'ts' && (row as Record<string, unknown>)[name] !== undefined) names.add(name)
  }
  return columnsOf([...names], rows.length, (column, row) => (rows[row] as Record<string, unknown>)[column])
}

function fromColumns(columns: Record<string, unknown>): CachedColumns {
  const { ts } = columns
  if (!isArrayLike(ts)) throw invalid('ts must be an array')
  assertCount(ts.length)
  const names = new Set<string>(BAR_COLUMNS)
  for (const [name, column] of Object.entries(columns)) if (name !== 'ts' && column !== undefined) names.add(name)
  for (const name of names) {
    const column = columns[name]
    if (!isArrayLike(column) || column.length !== ts.length) throw invalid(`${name} must be an array as long as ts`)
  }
  return columnsOf([...names], ts.length, (column, row) => (columns[column] as ArrayLike<unknown>)[row])
}

function columnsOf(names: readonly string[], rows: number, valueAt: Source): CachedColumns {
  if (names.length > MAX_COLUMNS) throw invalid(`at most ${MAX_COLUMNS} columns`)
  for (const name of names) {
    if (name === '' || TAKEN_NAMES.has(name) || Buffer.byteLength(name) > MAX_NAME_BYTES || !name.isWellFormed()) {
      throw invalid('a column has a name that can not be one')
    }
  }
  const ts = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    const value = valueAt('ts', row)
    if (!Number.isSafeInteger(value)) throw invalid(`ts of row ${row} must be Unix milliseconds`)
    ts[row] = value as number
  }
  const values = names.map((name) => {
    const isOptional = !(BAR_COLUMNS as readonly string[]).includes(name)
    const column = new Float64Array(rows)
    for (let row = 0; row < rows; row++) column[row] = numberOf(valueAt(name, row), isOptional, name, row)
    return column
  })
  return { names, ts, values }
}

function numberOf(value: unknown, isOptional: boolean, name: string, row: number): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && DECIMAL.test(value)) return Number(value)
  if (value === undefined && isOptional) return Number.NaN
  throw invalid(`${name} of row ${row} must be a number`)
}

function assertCount(count: number): void {
  if (count > MAX_BARS_AT_ONCE) throw invalid(`at most ${MAX_BARS_AT_ONCE} bars at once`)
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return (Array.isArray(value) || ArrayBuffer.isView(value)) && !(value instanceof DataView)
}

function invalid(problem: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', `These bars can't be stored: ${problem}. Nothing was written.`)
}
