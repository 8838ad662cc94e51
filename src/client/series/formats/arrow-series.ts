/**
 * Columns to and from Apache Arrow: tables in memory, IPC streams, and Feather (the IPC file format, which pandas and
 * freqtrade write). Times are `Timestamp` in UTC: milliseconds where all are whole, else microseconds.
 *
 * Format: https://arrow.apache.org/docs/format/Columnar.html
 */
import type { RecordBatch, Table, Vector } from 'apache-arrow'
import { isStoreError, StoreError } from '../../../protocol/store-error.ts'
import { type ApacheArrow, apacheArrow } from './apache-arrow.ts'
import { eventLoopTurn } from './event-loop-turn.ts'
import { type Layout, type LayoutColumn, plainName, TIME_NAMES } from './layout.ts'
import { namedSide, withNamedSides } from './named-sides.ts'
import type { SeriesColumns, SeriesSource } from './series-columns.ts'
import { strictDecimal, strictNumber } from './strict-number.ts'
import { TimeReader, type TimeUnit } from './time-stamps.ts'

export interface WriteArrowOptions {
  /** `stream`: the IPC stream format. `file`: Feather. Default: `stream`. */
  readonly container?: 'stream' | 'file'
}

/**
 * Columns as an Arrow table; numbers are shared with the columns, not copied.
 *
 * @throws StoreError `INVALID_ARGUMENT` when the package `apache-arrow` is not installed
 * @example
 * const table = await toArrow(await store.bars.range('BTC/USDT', '1h'))
 */
export async function toArrow(columns: SeriesColumns | object): Promise<Table> {
  const arrow = await apacheArrow()
  return new arrow.Table([batchOf(arrow, columns as SeriesColumns)])
}

/**
 * Chunks of columns as the bytes of an Arrow file, a record batch a chunk.
 *
 * @example
 * await pipeline(writeArrow(store.bars.scan('BTC/USDT', '1m'), { container: 'file' }), createWriteStream('bars.feather'))
 */
export async function* writeArrow(
  chunks: AsyncIterable<SeriesColumns | object> | Iterable<SeriesColumns | object>,
  { container = 'stream' }: WriteArrowOptions = {},
): AsyncGenerator<Uint8Array> {
  const arrow = await apacheArrow()
  async function* batches(): AsyncGenerator<RecordBatch> {
    for await (const chunk of chunks) {
      // One unit for all batches: a file has one schema.
      yield batchOf(arrow, withNamedSides(chunk), 'us')
      await eventLoopTurn()
    }
  }
  const writer = container === 'file' ? new arrow.RecordBatchFileWriter() : new arrow.RecordBatchStreamWriter()
  const written = writer.writeAll(batches())
  written.catch(() => undefined)
  for await (const bytes of writer) yield bytes
  await written
}

/** `ts` decides the unit of times unless it is given. */
function batchOf(arrow: ApacheArrow, columns: SeriesColumns, unit?: 'ms' | 'us'): RecordBatch {
  const children: Record<string, import('apache-arrow').Data> = {}
  for (const [name, values] of Object.entries(columns)) {
    if (name === 'ts') children.timestamp = timesOf(arrow, columns.ts, unit)
    else if (values instanceof Float64Array) {
      children[name] = arrow.makeData({ type: new arrow.Float64(), length: values.length, data: values })
    } else {
      const texts = arrow.vectorFromArray(values as readonly string[], new arrow.Utf8())
      children[name] = texts.data[0] ?? arrow.makeData({ type: new arrow.Utf8(), length: 0 })
    }
  }
  return new arrow.RecordBatch(children)
}

function timesOf(arrow: ApacheArrow, ts: Float64Array, unit?: 'ms' | 'us') {
  const isWhole = unit === undefined ? ts.every((time) => Number.isInteger(time)) : unit === 'ms'
  const data = new BigInt64Array(ts.length)
  for (let i = 0; i < ts.length; i += 1) data[i] = BigInt(Math.round((ts[i] as number) * (isWhole ? 1 : 1_000)))
  const kind = isWhole ? arrow.TimeUnit.MILLISECOND : arrow.TimeUnit.MICROSECOND
  return arrow.makeData({ type: new arrow.Timestamp(kind, 'UTC'), length: ts.length, data })
}

export interface ArrowReadOptions {
  readonly timeUnit?: TimeUnit | undefined
  readonly exact: boolean
  readonly allowNonFinite: boolean
  readonly chunk: number
}

/** An IPC stream batch by batch; a Feather file has its index at the end, so it is held in memory as a whole. */
export async function* arrowColumns(
  source: SeriesSource,
  layout: Layout,
  options: ArrowReadOptions,
): AsyncGenerator<SeriesColumns> {
  const arrow = await apacheArrow()
  let first = 0
  try {
    const reader = await arrow.RecordBatchReader.from(source as AsyncIterable<Uint8Array>)
    await reader.open()
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      for (let start = 0; start < batch.numRows; start += options.chunk) {
        const part = batch.slice(start, Math.min(start + options.chunk, batch.numRows))
        yield columnsOf(arrow, part, layout, options, first + start)
        await eventLoopTurn()
      }
      first += batch.numRows
    }
  } catch (error) {
    if (isStoreError(error)) throw error
    throw new StoreError('INVALID_DOCUMENT', 'The file is no Arrow IPC stream or Feather file, or it was cut off.', {
      cause: error,
    })
  }
}

function columnsOf(
  arrow: ApacheArrow,
  batch: RecordBatch,
  layout: Layout,
  options: ArrowReadOptions,
  first: number,
): SeriesColumns {
  const fields = batch.schema.fields.map(({ name }) => plainName(name))
  const vectorOf = (names: readonly string[]): Vector | null => {
    const at = fields.findIndex((name) => names.includes(name))
    return at === -1 ? null : batch.getChildAt(at)
  }
  const times = vectorOf(TIME_NAMES)
  if (times === null) throw fault(`no column is named ${TIME_NAMES.join(', ')}`)
  const columns: Record<string, Float64Array | string[]> = { ts: readTimes(arrow, times, options.timeUnit, first) }
  for (const column of layout.columns) {
    const vector = vectorOf(column.names)
    if (vector !== null) columns[column.name] = readVector(vector, column, options, first)
    else if (column.isOptional !== true) throw fault(`there is no column ${column.name}`)
  }
  return columns as SeriesColumns & typeof columns
}

function readTimes(arrow: ApacheArrow, vector: Vector, timeUnit: TimeUnit | undefined, first: number): Float64Array {
  const ts = new Float64Array(vector.length)
  const reader = new TimeReader({ timeUnit })
  const perMs = arrow.DataType.isTimestamp(vector.type) ? [0.001, 1, 1_000, 1_000_000][vector.type.unit] : undefined
  const raw = perMs === undefined ? undefined : (vector.toArray() as BigInt64Array)
  for (let i = 0; i < ts.length; i += 1) {
    if (vector.nullCount > 0 && vector.get(i) === null) throw fault('there is no time', first + i)
    ts[i] =
      raw === undefined || perMs === undefined
        ? reader.read(String(vector.get(i)), first + i + 1)
        : msOf(raw[i] as bigint, perMs)
  }
  return ts
}

function msOf(value: bigint, perMs: number): number {
  if (perMs <= 1) return Number(value) / perMs
  const whole = value / BigInt(perMs)
  return Number(whole) + Number(value - whole * BigInt(perMs)) / perMs
}

function readVector(
  vector: Vector,
  { name, kind, isOptional = false }: LayoutColumn,
  { exact, allowNonFinite }: ArrowReadOptions,
  first: number,
): Float64Array | string[] {
  const textsOf = (wanted: string, read: (text: string) => string | undefined) =>
    Array.from({ length: vector.length }, (_, i) => {
      const text = read(textOf(vector.get(i)))
      if (text === undefined) throw fault(`${name} is not ${wanted}`, first + i)
      return text
    })
  if (kind === 'side') return textsOf('buy or sell', namedSide)
  if (kind !== 'number') return textsOf('a text', (text) => text)
  if (exact) return textsOf('a plain decimal', strictDecimal)
  const takesNonFinite = allowNonFinite || isOptional
  const values = new Float64Array(vector.length)
  for (let i = 0; i < values.length; i += 1) {
    const cell: unknown = vector.get(i)
    const value = typeof cell === 'number' ? cell : strictNumber(cell === null ? null : String(cell), takesNonFinite)
    if (value === undefined || (!takesNonFinite && !Number.isFinite(value))) {
      throw fault(`${name} is not a number`, first + i)
    }
    values[i] = value
  }
  return values
}

function textOf(cell: unknown): string {
  return cell === null || cell === undefined ? '' : String(cell)
}

function fault(what: string, row?: number): StoreError {
  const place = row === undefined ? '' : `row ${row + 1}: `
  return new StoreError('INVALID_DOCUMENT', `${place}${what}. Correct the file, or choose another format.`, {
    details: row === undefined ? {} : { line: row + 1 },
  })
}
