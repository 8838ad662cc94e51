/**
 * Columns to Apache Parquet, a row group at a time. Times are `Timestamp` in UTC and microseconds, delta-encoded; numbers
 * are doubles, split by byte, which compresses prices and keeps every bit (a dictionary would take -0 for 0); texts, the decimal
 * digits of exact ticks among them, are strings. Pages are compressed with Snappy, which every reader knows.
 *
 * Format: https://parquet.apache.org/docs/file-format/
 */
import { StoreError } from '../../../protocol/store-error.ts'
import { eventLoopTurn } from './event-loop-turn.ts'
import { hyparquetWriter } from './hyparquet.ts'
import { withNamedSides } from './named-sides.ts'
import type { SeriesColumns } from './series-columns.ts'

export interface WriteParquetOptions {
  /** Points of a row group, which is encoded in one go on this thread. Default: 65,536. */
  readonly rowGroupPoints?: number
}

type ColumnData = Float64Array | string[]

const DEFAULT_ROW_GROUP = 65_536
const MAX_ROW_GROUP = 16 * 1024 * 1024

/**
 * Chunks of columns as the bytes of a Parquet file. Memory holds one row group.
 *
 * @example
 * await pipeline(writeParquet(store.bars.scan('BTC/USDT', '1m')), createWriteStream('bars.parquet'))
 * @throws StoreError `INVALID_ARGUMENT` when the package `hyparquet-writer` is not installed, or a chunk has other columns
 */
export async function* writeParquet(
  chunks: AsyncIterable<SeriesColumns | object> | Iterable<SeriesColumns | object>,
  { rowGroupPoints = DEFAULT_ROW_GROUP }: WriteParquetOptions = {},
): AsyncGenerator<Uint8Array> {
  if (!(Number.isSafeInteger(rowGroupPoints) && rowGroupPoints >= 1 && rowGroupPoints <= MAX_ROW_GROUP)) {
    throw new StoreError('INVALID_ARGUMENT', `rowGroupPoints must be a whole number from 1 to ${MAX_ROW_GROUP}.`)
  }
  const { ByteWriter, ParquetWriter } = await hyparquetWriter()
  const bytes = new ByteWriter()
  const taken = (): Uint8Array => {
    const piece = bytes.getBytes().slice()
    bytes.index = 0
    return piece
  }
  let group: RowGroup | undefined
  let file: InstanceType<typeof ParquetWriter> | undefined
  for await (const chunk of chunks) {
    const columns = withNamedSides(chunk)
    group ??= new RowGroup(columns, rowGroupPoints)
    file ??= new ParquetWriter({ writer: bytes, schema: group.schema(), createdBy: 'holdfast' })
    for (let start = 0; start < columns.ts.length; ) {
      start += group.fill(columns, start)
      if (!group.isFull) continue
      await file.write(group.take())
      yield taken()
      await eventLoopTurn()
    }
  }
  group ??= new RowGroup({ ts: new Float64Array(0) }, 1)
  file ??= new ParquetWriter({ writer: bytes, schema: group.schema(), createdBy: 'holdfast' })
  if (group.points > 0) await file.write(group.take())
  await file.finish()
  yield taken()
}

/**
 * The same of columns at hand, as one array.
 *
 * @example
 * await writeFile('bars.parquet', await toParquet(await store.bars.range('BTC/USDT', '1h')))
 */
export async function toParquet(columns: SeriesColumns | object): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of writeParquet([columns])) pieces.push(piece)
  const { buffer, byteOffset, length } = Buffer.concat(pieces)
  return new Uint8Array(buffer, byteOffset, length)
}

/** Points until they fill a row group. */
class RowGroup {
  readonly #size: number
  readonly #ts: BigInt64Array
  readonly #columns: ReadonlyMap<string, ColumnData>
  #points = 0

  constructor({ ts: _, ...columns }: SeriesColumns, size: number) {
    this.#size = size
    this.#ts = new BigInt64Array(size)
    this.#columns = new Map(
      Object.entries(columns).map(([name, values]) => [
        name,
        values instanceof Float64Array ? new Float64Array(size) : [],
      ]),
    )
  }

  get points(): number {
    return this.#points
  }

  get isFull(): boolean {
    return this.#points === this.#size
  }

  schema() {
    return [
      { name: 'root', num_children: this.#columns.size + 1 },
      {
        name: 'timestamp',
        type: 'INT64' as const,
        repetition_type: 'REQUIRED' as const,
        converted_type: 'TIMESTAMP_MICROS' as const,
        logical_type: { type: 'TIMESTAMP' as const, isAdjustedToUTC: true, unit: 'MICROS' as const },
      },
      ...[...this.#columns].map(([name, values]) => ({
        name,
        repetition_type: 'REQUIRED' as const,
        ...(values instanceof Float64Array
          ? { type: 'DOUBLE' as const }
          : {
              type: 'BYTE_ARRAY' as const,
              converted_type: 'UTF8' as const,
              logical_type: { type: 'STRING' as const },
            }),
      })),
    ]
  }

  /** Takes points from `start` on, as many as there is room for, and says how many. */
  fill(columns: SeriesColumns, start: number): number {
    const count = Math.min(this.#size - this.#points, columns.ts.length - start)
    for (let i = 0; i < count; i += 1) {
      this.#ts[this.#points + i] = BigInt(Math.round((columns.ts[start + i] as number) * 1_000))
    }
    for (const [name, values] of this.#columns) {
      const given = columns[name]
      if (values instanceof Float64Array) {
        if (!(given instanceof Float64Array)) throw otherColumns(name)
        values.set(given.subarray(start, start + count), this.#points)
      } else {
        if (given === undefined || given instanceof Float64Array) throw otherColumns(name)
        for (let i = 0; i < count; i += 1) values.push(given[start + i] as string)
      }
    }
    this.#points += count
    return count
  }

  take() {
    const points = this.#points
    this.#points = 0
    const columnData = [
      { name: 'timestamp', data: this.#ts.subarray(0, points), encoding: 'DELTA_BINARY_PACKED' as const },
      ...[...this.#columns].map(([name, values]) =>
        values instanceof Float64Array
          ? { name, data: values.subarray(0, points), encoding: 'BYTE_STREAM_SPLIT' as const }
          : { name, data: values.splice(0) },
      ),
    ]
    return { columnData, rowGroupSize: points }
  }
}

function otherColumns(name: string): StoreError {
  return new StoreError(
    'INVALID_ARGUMENT',
    `A later chunk has the column ${name} in another form, or lacks it. A Parquet file has the same columns throughout: write one series a file.`,
  )
}
