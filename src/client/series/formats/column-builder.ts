/** Turns rows of cells into columns, as a layout says, and names the line of what does not fit. */
import { StoreError } from '../../../protocol/store-error.ts'
import { fileFault } from './file-fault.ts'
import type { FileRow, FileRows } from './file-row.ts'
import { type CellKind, type Layout, plainName, TIME_NAMES } from './layout.ts'
import { namedSide } from './named-sides.ts'
import type { SeriesColumns } from './series-columns.ts'
import { strictDecimal, strictNumber } from './strict-number.ts'
import { type TimeOptions, TimeReader } from './time-stamps.ts'

export interface ColumnBuilderOptions extends TimeOptions {
  /** Decimals stay texts, digit by digit. */
  readonly exact: boolean
  readonly allowNonFinite: boolean
  readonly chunk: number
  /** Columns that hold texts, where the layout takes all. */
  readonly texts: readonly string[]
}

interface Target {
  readonly name: string
  readonly kind: CellKind
  readonly at: number
  readonly isOptional: boolean
  values: (number | string)[]
}

const MAKERS: Readonly<Record<string, string>> = { true: 'sell', false: 'buy', '1': 'sell', '0': 'buy' }

export class ColumnBuilder {
  readonly #layout: Layout
  readonly #options: ColumnBuilderOptions
  readonly #times: TimeReader
  #targets: Target[] | undefined
  #timeAt = 0
  #widths: readonly number[] = []
  #ts: number[] = []

  constructor(layout: Layout, options: ColumnBuilderOptions) {
    this.#layout = layout
    this.#options = options
    this.#times = new TimeReader({ utcOffset: layout.utcOffset, ...definedOnly(options) })
  }

  /** Chunks that are full. */
  *push({ names, rows }: FileRows): Generator<SeriesColumns> {
    if (names !== undefined) this.#targets ??= this.#locate(names, 1)
    for (const row of rows) {
      this.#targets ??= this.#locate(names, row.line)
      this.#add(row, this.#targets)
      if (this.#ts.length >= this.#options.chunk) yield this.#take(this.#targets)
    }
  }

  /** The rest; undefined when there is none. */
  end(): SeriesColumns | undefined {
    return this.#targets === undefined || this.#ts.length === 0 ? undefined : this.#take(this.#targets)
  }

  #locate(names: readonly string[] | undefined, line: number): Target[] {
    if (names === undefined) {
      if (this.#layout.widths.length === 0) {
        throw fileFault(line, 'this format needs names of its columns: a first line, or rows that are objects')
      }
      this.#timeAt = this.#layout.timeAt
      this.#widths = this.#layout.widths
      return this.#layout.columns.flatMap(({ name, kind, at }) =>
        at === undefined ? [] : [{ name, kind, at, isOptional: false, values: [] }],
      )
    }
    const normal = names.map(plainName)
    this.#timeAt = normal.findIndex((name) => TIME_NAMES.includes(name))
    if (this.#timeAt === -1) throw fileFault(line, `no column is named ${TIME_NAMES.join(', ')}`)
    this.#widths = [names.length]
    if (this.#layout.takesAll === true) return this.#allOf(names)
    return this.#layout.columns.flatMap((column) => {
      const at = normal.findIndex((name) => column.names.includes(name))
      if (at === -1 && column.isOptional !== true) throw fileFault(line, `there is no column ${column.name}`)
      return at === -1
        ? []
        : [{ name: column.name, kind: column.kind, at, isOptional: column.isOptional === true, values: [] }]
    })
  }

  #allOf(names: readonly string[]): Target[] {
    return names.flatMap((name, at) => {
      if (at === this.#timeAt) return []
      const kind = this.#options.texts.includes(name) ? 'text' : 'number'
      return [{ name, kind, at, isOptional: false, values: [] }]
    })
  }

  #add({ cells, line }: FileRow, targets: readonly Target[]): void {
    if (!this.#widths.includes(cells.length)) {
      throw fileFault(line, `the row has ${cells.length} fields instead of ${this.#widths.join(' or ')}`)
    }
    this.#ts.push(this.#times.read(cells[this.#timeAt], line))
    for (const target of targets) target.values.push(this.#value(target, cells[target.at], line))
  }

  #value({ name, kind, isOptional }: Target, cell: string | null | undefined, line: number): number | string {
    if (kind === 'number') {
      // Where a column may be missing, a value may be, too.
      if (isOptional && (cell === null || cell === undefined || cell.trim() === '')) return Number.NaN
      const value = this.#options.exact ? strictDecimal(cell) : strictNumber(cell, this.#options.allowNonFinite)
      if (value === undefined) throw fileFault(line, this.#options.exact ? 'not a plain decimal' : 'not a number', name)
      return value
    }
    const text = cell ?? ''
    if (kind === 'text') return text
    const side = kind === 'side' ? namedSide(text) : MAKERS[text.trim().toLowerCase()]
    if (side === undefined || (side === '' && !isOptional))
      throw fileFault(line, kind === 'side' ? 'neither buy nor sell' : 'neither true nor false', name)
    return side
  }

  #take(targets: readonly Target[]): SeriesColumns {
    const columns: Record<string, Float64Array | string[]> = { ts: Float64Array.from(this.#ts) }
    for (const target of targets) {
      const isNumber = target.kind === 'number' && !this.#options.exact
      columns[target.name] = isNumber ? Float64Array.from(target.values as number[]) : (target.values as string[])
      target.values = []
    }
    this.#ts = []
    return columns as SeriesColumns & typeof columns
  }
}

/** A layout's own offset gives way only to one that was really given. */
function definedOnly({ timeUnit, utcOffset }: TimeOptions): TimeOptions {
  return { ...(timeUnit === undefined ? {} : { timeUnit }), ...(utcOffset === undefined ? {} : { utcOffset }) }
}

export function unknownFormat(kind: string, known: readonly string[]): StoreError {
  return new StoreError('INVALID_ARGUMENT', `The formats of ${kind} are ${known.join(', ')}. Name one of them.`)
}
