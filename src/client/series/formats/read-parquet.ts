/**
 * Parquet files as chunks of columns: by pandas, pyarrow, polars, Spark or Holdfast. A window of rows is read at a time, of the
 * columns that are wanted and column by column, so that memory holds the window and one compressed column of a row group.
 *
 * hyparquet turns decimals into doubles; here they are taken as the integers they are stored as, so that their digits stay exact.
 *
 * Format: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md
 */
import type { FileMetaData, SchemaElement } from 'hyparquet'
import { isStoreError, StoreError } from '../../../protocol/store-error.ts'
import type { ColumnBuilderOptions } from './column-builder.ts'
import { decimalText, unscaledOf } from './decimal-text.ts'
import { eventLoopTurn } from './event-loop-turn.ts'
import { type Compressors, compressorsFor, type Hyparquet, hyparquet } from './hyparquet.ts'
import { type CellKind, type Layout, plainName, TIME_NAMES } from './layout.ts'
import { namedSide } from './named-sides.ts'
import type { SeriesColumns, SeriesSource } from './series-columns.ts'
import { type RandomAccessFile, randomAccess, type SeriesFile } from './series-file.ts'
import { strictDecimal, strictNumber } from './strict-number.ts'
import { TimeReader } from './time-stamps.ts'

/** A column of the file, and what it is to become. */
interface Target {
  readonly name: string
  readonly kind: CellKind | 'time'
  readonly field: Field
  readonly isOptional: boolean
}

interface Field {
  readonly name: string
  readonly element: SchemaElement
  /** Digits behind the point of a decimal. */
  readonly scale: number | undefined
}

/** Names that pandas gives an index without one. */
const INDEX_NAME = 'indexlevel0'
const WINDOW_ROWS = 131_072
const BUILT_IN_CODECS = new Set(['UNCOMPRESSED', 'SNAPPY'])
const MS_PER_DAY = 86_400_000

const MS_PARSERS = {
  timestampFromMilliseconds: (value: bigint) => Number(value),
  timestampFromMicroseconds: (value: bigint) => msOf(value, 1_000n),
  timestampFromNanoseconds: (value: bigint) => msOf(value, 1_000_000n),
  dateFromDays: (days: number) => days * MS_PER_DAY,
}

/** @throws StoreError `INVALID_DOCUMENT`, with the row as `details.line`; `INVALID_ARGUMENT` without hyparquet or for a stream */
export async function* parquetColumns(
  source: SeriesSource | SeriesFile,
  layout: Layout,
  options: ColumnBuilderOptions,
): AsyncGenerator<SeriesColumns> {
  const file = randomAccess(source)
  const library = await hyparquet()
  const metadata = await own(() => library.parquetMetadataAsync(file, { geoparquet: false }))
  const targets = targetsOf(fieldsOf(library, metadata), layout, options)
  const reader = new WindowReader(library, file, metadata, await compressorsOf(metadata, targets))
  const times = new TimeReader(options)
  for (const [first, end] of windowsOf(metadata)) {
    const columns: Record<string, Float64Array | string[]> = {}
    for (const target of targets) {
      const cells = await own(() => reader.cells(target.field, first, end))
      columns[target.name] = valuesOf(target, cells, first, times, options)
      await eventLoopTurn()
    }
    yield* chunksOf(columns, end - first, options.chunk)
  }
}

/** One column of some rows at a time. */
class WindowReader {
  readonly #library: Hyparquet
  readonly #file: RandomAccessFile
  readonly #metadata: FileMetaData
  readonly #compressors: Compressors | undefined

  constructor(
    library: Hyparquet,
    file: RandomAccessFile,
    metadata: FileMetaData,
    compressors: Compressors | undefined,
  ) {
    this.#library = library
    this.#file = file
    this.#metadata = metadata
    this.#compressors = compressors
  }

  async cells({ name }: Field, rowStart: number, rowEnd: number): Promise<unknown[] | Float64Array> {
    let cells: unknown[] | Float64Array | undefined
    let filled = 0
    await this.#library.parquetRead({
      file: this.#file,
      metadata: this.#metadata,
      columns: [name],
      rowStart,
      rowEnd,
      useOffsetIndex: true,
      utf8: false,
      parsers: MS_PARSERS,
      ...(this.#compressors === undefined ? {} : { compressors: this.#compressors }),
      // Pages come whole, also those that the window ends in.
      onChunk: ({ columnData, rowStart: pageStart, rowEnd: pageEnd }) => {
        const from = Math.max(rowStart, pageStart)
        const to = Math.min(rowEnd, pageEnd)
        if (from >= to) return
        cells ??= columnData instanceof Float64Array ? new Float64Array(rowEnd - rowStart) : []
        for (let row = from; row < to; row += 1) cells[row - rowStart] = columnData[row - pageStart] as never
        filled += to - from
      },
    })
    if (cells === undefined || filled !== rowEnd - rowStart) throw fault('rows are missing', rowStart + filled)
    return cells
  }
}

/** Spans of rows, none across two row groups. */
function* windowsOf({ row_groups }: FileMetaData): Generator<[first: number, end: number]> {
  let groupStart = 0
  for (const { num_rows } of row_groups) {
    const rows = Number(num_rows)
    if (!Number.isSafeInteger(rows) || rows < 0) throw fault('a row group has no length', groupStart)
    for (let first = 0; first < rows; first += WINDOW_ROWS) {
      yield [groupStart + first, groupStart + Math.min(first + WINDOW_ROWS, rows)]
    }
    groupStart += rows
  }
}

function* chunksOf(
  columns: Readonly<Record<string, Float64Array | string[]>>,
  rows: number,
  chunk: number,
): Generator<SeriesColumns> {
  for (let start = 0; start < rows; start += chunk) {
    const end = Math.min(start + chunk, rows)
    yield Object.fromEntries(
      // A copy, since a chunk may be kept or transferred.
      Object.entries(columns).map(([name, values]) => [name, values.slice(start, end)]),
    ) as SeriesColumns & object
  }
}

/** The columns that are no lists and no structures. Decimals lose their type in `metadata`, so that they come as they are stored. */
function fieldsOf(library: Hyparquet, metadata: FileMetaData): Field[] {
  return library.parquetSchema(metadata).children.flatMap(({ element, children }) => {
    if (children.length > 0 || element.repetition_type === 'REPEATED') return []
    const isDecimal = element.converted_type === 'DECIMAL' || element.logical_type?.type === 'DECIMAL'
    const scale = isDecimal ? (element.scale ?? 0) : undefined
    if (isDecimal) {
      delete element.converted_type
      delete element.logical_type
    }
    return [{ name: element.name, element, scale }]
  })
}

function targetsOf(fields: readonly Field[], layout: Layout, { texts }: ColumnBuilderOptions): Target[] {
  const fieldOf = (names: readonly string[]) => fields.find(({ name }) => names.includes(plainName(name)))
  const time = fieldOf(TIME_NAMES) ?? fields.find((field) => plainName(field.name) === INDEX_NAME && isMoment(field))
  if (time === undefined) throw fault(`no column is named ${TIME_NAMES.join(', ')}`)
  const timeTarget: Target = { name: 'ts', kind: 'time', field: time, isOptional: false }
  if (layout.takesAll === true) {
    const others = fields.filter((field) => field !== time)
    return [
      timeTarget,
      ...others.map((field): Target => {
        const isText = texts.includes(field.name) || isString(field)
        return { name: field.name, kind: isText ? 'text' : 'number', field, isOptional: false }
      }),
    ]
  }
  return [
    timeTarget,
    ...layout.columns.flatMap(({ name, names, kind, isOptional = false }): Target[] => {
      const field = fieldOf(names)
      if (field === undefined && !isOptional) throw fault(`there is no column ${name}`)
      return field === undefined ? [] : [{ name, kind, field, isOptional }]
    }),
  ]
}

async function compressorsOf(
  { row_groups }: FileMetaData,
  targets: readonly Target[],
): Promise<Compressors | undefined> {
  const names = new Set(targets.map(({ field }) => field.name))
  for (const { columns } of row_groups) {
    for (const { meta_data } of columns) {
      if (meta_data === undefined || !names.has(meta_data.path_in_schema[0] ?? '')) continue
      if (!BUILT_IN_CODECS.has(meta_data.codec)) return await compressorsFor(meta_data.codec)
    }
  }
  return undefined
}

function isMoment({ element: { type, converted_type, logical_type } }: Field): boolean {
  return (
    logical_type?.type === 'TIMESTAMP' ||
    converted_type === 'TIMESTAMP_MILLIS' ||
    converted_type === 'TIMESTAMP_MICROS' ||
    converted_type === 'DATE' ||
    logical_type?.type === 'DATE' ||
    type === 'INT96'
  )
}

function isString({ element: { type, logical_type }, scale }: Field): boolean {
  return scale === undefined && type === 'BYTE_ARRAY' && logical_type?.type !== 'JSON'
}

function valuesOf(
  { name, kind, field, isOptional }: Target,
  cells: unknown[] | Float64Array,
  first: number,
  times: TimeReader,
  options: ColumnBuilderOptions,
): Float64Array | string[] {
  if (kind === 'time') return timesOf(field, cells, first, times)
  if (kind === 'number' && !options.exact) {
    const takesNaN = isOptional || options.allowNonFinite
    return numbers(cells, (cell, i) => numberOf(cell, field, takesNaN) ?? failed(name, 'a number', first + i))
  }
  if (kind === 'number') {
    return Array.from(cells, (cell, i) => digitsOf(cell, field) ?? failed(name, 'a plain decimal', first + i))
  }
  if (kind === 'side') {
    return Array.from(cells, (cell, i) => namedSide(textOf(cell, field)) ?? failed(name, 'buy or sell', first + i))
  }
  return Array.from(cells, (cell) => textOf(cell, field))
}

function timesOf(field: Field, cells: unknown[] | Float64Array, first: number, times: TimeReader): Float64Array {
  if (!isMoment(field)) {
    return numbers(cells, (cell, i) => times.read(isNothing(cell) ? null : textOf(cell, field), first + i + 1))
  }
  const { logical_type } = field.element
  // A time without a zone is read like a date without one.
  const isLocal = logical_type?.type === 'TIMESTAMP' && logical_type.isAdjustedToUTC === false
  const offsetMs = isLocal ? times.offsetMs : 0
  return numbers(cells, (cell, i) => {
    if (typeof cell !== 'number') throw fault('there is no time', first + i)
    return cell - offsetMs
  })
}

/** `Float64Array.from` takes ten times as long. */
function numbers(cells: unknown[] | Float64Array, numberAt: (cell: unknown, i: number) => number): Float64Array {
  const values = new Float64Array(cells.length)
  for (let i = 0; i < values.length; i += 1) values[i] = numberAt(cells[i], i)
  return values
}

function numberOf(cell: unknown, { scale }: Field, takesNonFinite: boolean): number | undefined {
  if (isNothing(cell)) return takesNonFinite ? Number.NaN : undefined
  if (scale !== undefined) return Number(decimalText(unscaledOf(cell), scale))
  if (typeof cell === 'bigint') return Number(cell)
  if (typeof cell === 'number') return takesNonFinite || Number.isFinite(cell) ? cell : undefined
  return typeof cell === 'boolean' ? undefined : strictNumber(text(cell), takesNonFinite)
}

/** Without exponent, as the file has them; of a double the shortest that reads back as it. */
function digitsOf(cell: unknown, field: Field): string | undefined {
  return typeof cell === 'boolean' || isNothing(cell) ? undefined : strictDecimal(textOf(cell, field))
}

function textOf(cell: unknown, { scale }: Field): string {
  if (isNothing(cell)) return ''
  return scale === undefined ? text(cell) : decimalText(unscaledOf(cell), scale)
}

function text(cell: unknown): string {
  return cell instanceof Uint8Array ? Buffer.from(cell.buffer, cell.byteOffset, cell.length).toString() : String(cell)
}

function isNothing(cell: unknown): cell is null | undefined {
  return cell === null || cell === undefined
}

function msOf(value: bigint, perMs: bigint): number {
  const whole = value / perMs
  return Number(whole) + Number(value - whole * perMs) / Number(perMs)
}

/** What the library throws about a file that is not what it should be. */
async function own<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isStoreError(error)) throw error
    throw new StoreError('INVALID_DOCUMENT', 'The file is no Parquet file, or it is damaged or was cut off.', {
      cause: error,
    })
  }
}

function failed(name: string, wanted: string, row: number): never {
  throw fault(`${name} is not ${wanted}`, row)
}

function fault(what: string, row?: number): StoreError {
  const place = row === undefined ? '' : `row ${row + 1}: `
  return new StoreError('INVALID_DOCUMENT', `${place}${what}. Correct the file, or choose another format.`, {
    details: row === undefined ? {} : { line: row + 1 },
  })
}
