/**
 * What a caller hands in to be appended, rows or columns, read piece by piece into columns of the store's own. Each value
 * is looked at on the way, and what is refused is refused before anything is written; messages name row and column, never
 * a value.
 */
import {
  type ColumnValues,
  MAX_TS,
  type Points,
  type SeriesColumn,
  type SeriesIdentity,
  type SeriesShape,
} from '../../protocol/series.ts'
import { StoreError } from '../../protocol/store-error.ts'

export interface InputColumn extends SeriesColumn {
  /** What counts where the input has nothing; without it that is refused. */
  readonly missing?: number
  /** Of a value that is no number, where some are taken; undefined when it is refused. */
  readonly numberOf?: (value: unknown) => number | undefined
}

export interface InputShape extends SeriesShape {
  readonly columns: readonly InputColumn[]
}

/** Rows as objects by column, or, where the kind has fixed columns, as arrays with the time first. */
export type PointRow = Readonly<Record<string, unknown>> | readonly unknown[]
export type PointColumns = Readonly<Record<string, ArrayLike<unknown> | undefined>>
export type PointInput = readonly PointRow[] | PointColumns

/** Reads the value of a column at an index of the input. */
type Reader = (index: number) => unknown

export class PointSource {
  readonly count: number
  readonly shape: InputShape
  readonly #time: Reader
  readonly #readers: readonly Reader[]
  /** Columns that need only be copied. */
  readonly #arrays: readonly (Float64Array | undefined)[]

  constructor(input: PointInput, shape: InputShape) {
    this.shape = shape
    const { columns } = shape
    if (isRows(input)) {
      this.count = input.length
      const at = (name: string, place: number): Reader => {
        return (index) => {
          const row = input[index] as PointRow
          if (Array.isArray(row)) return row[place]
          if (typeof row !== 'object' || row === null) throw refused(`row ${index} is no object`)
          return (row as Readonly<Record<string, unknown>>)[name]
        }
      }
      this.#time = at('ts', 0)
      this.#readers = columns.map(({ name }, place) => at(name, place + 1))
      this.#arrays = columns.map(() => undefined)
      return
    }
    const ts = input.ts
    if (!isArrayLike(ts)) throw refused('ts must be an array')
    this.count = ts.length
    const arrayOf = (name: string): ArrayLike<unknown> | undefined => {
      const values = input[name]
      if (values === undefined) return undefined
      if (!isArrayLike(values)) throw refused(`${name} must be an array`)
      if (values.length !== ts.length) throw refused(`${name} must have as many values as ts`)
      return values
    }
    const arrays = columns.map(({ name }) => arrayOf(name))
    this.#time = (index) => ts[index]
    this.#readers = arrays.map((values) => (index) => values?.[index])
    this.#arrays = columns.map(({ type }, column) => {
      const values = arrays[column]
      return type === 'number' && values instanceof Float64Array ? values : undefined
    })
  }

  /** A copy of the points `[start, end)`. @throws StoreError `INVALID_ARGUMENT` */
  slice(start: number, end: number): Points {
    return {
      ts: this.#times(start, end),
      values: this.shape.columns.map((_, column) => this.#values(column, start, end)),
    }
  }

  #times(start: number, end: number): Float64Array {
    const ts = new Float64Array(end - start)
    for (let index = start; index < end; index++) {
      const value = this.#time(index)
      const time = value instanceof Date ? value.getTime() : value
      if (typeof time !== 'number' || !(Math.abs(time) <= MAX_TS)) {
        throw refused(`ts of row ${index} must be a time in milliseconds`, { row: index })
      }
      // There is one zero among times.
      ts[index - start] = time + 0
    }
    return ts
  }

  #values(column: number, start: number, end: number): ColumnValues {
    const { type, name, missing, numberOf } = this.shape.columns[column] as InputColumn
    const array = this.#arrays[column]
    if (array !== undefined) return array.slice(start, end)
    const read = this.#readers[column] as Reader
    if (type !== 'number') {
      const texts: string[] = []
      for (let index = start; index < end; index++) texts.push(textOf(read(index), type, name, index))
      return texts
    }
    const values = new Float64Array(end - start)
    for (let index = start; index < end; index++) {
      const value = read(index)
      if (typeof value === 'number') values[index - start] = value
      else if (value === undefined || value === null) {
        if (missing === undefined) throw refused(`${name} of row ${index} is missing`, { row: index, column: name })
        values[index - start] = missing
      } else {
        const number = numberOf?.(value)
        if (number === undefined)
          throw refused(`${name} of row ${index} must be a number`, { row: index, column: name })
        values[index - start] = number
      }
    }
    return values
  }
}

const DECIMAL = /^-?\d+(?:\.\d+)?$/

function textOf(value: unknown, type: 'decimal' | 'text', name: string, index: number): string {
  const isPlain = typeof value === 'string' && !value.includes('\0')
  if (isPlain && (type === 'text' || DECIMAL.test(value))) return value
  // Ids come as numbers from some venues; a whole one has one text.
  if (type === 'text' && name === 'id' && Number.isSafeInteger(value)) return String(value)
  const wanted = type === 'decimal' ? 'a text of decimal digits' : 'a text'
  throw refused(`${name} of row ${index} must be ${wanted}`, { row: index, column: name })
}

/** Of decimal texts, as some venues send their numbers. */
export function numberOfText(value: unknown): number | undefined {
  return typeof value === 'string' && DECIMAL.test(value) ? Number(value) : undefined
}

export function isRows(input: PointInput): input is readonly PointRow[] {
  return Array.isArray(input)
}

/** Names of the columns that an input has beside its times, in the order of the alphabet. */
export function namesOf(input: PointInput): string[] {
  if (typeof input !== 'object' || input === null) throw refused('rows or columns are expected')
  const sample = isRows(input) ? input[0] : input
  if (sample === undefined || Array.isArray(sample)) return []
  if (typeof sample !== 'object' || sample === null) throw refused('row 0 is no object')
  const named = sample as Readonly<Record<string, unknown>>
  return Object.keys(named)
    .filter((name) => name !== 'ts' && named[name] !== undefined)
    .sort()
}

/** The first value of a column, or undefined. */
export function sampleOf(input: PointInput, name: string): unknown {
  if (!isRows(input)) return input[name]?.[0]
  const [row] = input
  return row === undefined || Array.isArray(row) ? undefined : (row as Readonly<Record<string, unknown>>)[name]
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/
const TAKEN: ReadonlySet<string> = new Set(['ts', 'length', 'toRows', '__proto__', 'constructor'])

/** @throws StoreError `INVALID_ARGUMENT` */
export function assertColumnName(name: string): void {
  if (NAME.test(name) && !TAKEN.has(name)) return
  throw refused('a column needs a name of letters, digits and _, other than ts, length, toRows and constructor')
}

export function shapeOf(columns: readonly InputColumn[], identity: SeriesIdentity): InputShape {
  for (const { name } of columns) assertColumnName(name)
  return { columns, identity }
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
}

export function refused(what: string, details: Readonly<Record<string, string | number>> = {}): StoreError {
  return new StoreError('INVALID_ARGUMENT', `These points can't be appended: ${what}. Nothing was written.`, {
    details,
  })
}
