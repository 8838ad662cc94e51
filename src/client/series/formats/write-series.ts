/**
 * Columns as texts of a file, chunk by chunk: what `readBars`, `readTicks` and `readQuotes` take in, this gives out. Numbers are written
 * in the shortest form that reads back to the same double; decimal strings as they are.
 */
import { StoreError } from '../../../protocol/store-error.ts'
import { eventLoopTurn } from './event-loop-turn.ts'
import { withNamedSides } from './named-sides.ts'
import type { SeriesColumns } from './series-columns.ts'

export const WRITE_FORMATS = ['csv', 'json', 'jsonl', 'binance', 'ccxt', 'freqtrade'] as const

export type WriteFormat = (typeof WRITE_FORMATS)[number]

export interface WriteSeriesOptions {
  readonly format: WriteFormat
  /** For `csv`: times as Unix milliseconds, or as ISO 8601 in UTC. Default: `ms`. */
  readonly time?: 'ms' | 'iso'
  /** For `binance`: the length of a bar, from which its close time follows. */
  readonly intervalMs?: number
  /** For JSON, which has no NaN and no infinity: refuse them, or write null. Default: `refuse`. */
  readonly nonFinite?: 'refuse' | 'null'
}

/** NaN there means that the point has none; it is left out. */
const OPTIONAL = new Set(['bidSize', 'askSize'])
const OHLCV = ['open', 'high', 'low', 'close', 'volume']
const PIECE_ROWS = 1_024

/**
 * @example
 * const file = createWriteStream('bars.csv')
 * await pipeline(writeSeries(store.bars.scan('BTC/USDT', '1m'), { format: 'csv' }), file)
 * @throws StoreError `INVALID_ARGUMENT` when the format can't hold these columns, or NaN and infinities where it is JSON
 */
export async function* writeSeries(
  chunks: AsyncIterable<object> | Iterable<object>,
  options: WriteSeriesOptions,
): AsyncGenerator<string> {
  const writer = WRITERS[options.format]
  if (writer === undefined) {
    throw new StoreError('INVALID_ARGUMENT', `The formats to write are ${WRITE_FORMATS.join(', ')}. Name one of them.`)
  }
  let names: readonly string[] = []
  let isFirst = true
  for await (const given of chunks) {
    const chunk = withNamedSides(given)
    names = namesOf(chunk)
    for (let start = 0; start < chunk.ts.length; start += PIECE_ROWS) {
      const rows: string[] = []
      const end = Math.min(start + PIECE_ROWS, chunk.ts.length)
      for (let i = start; i < end; i += 1) rows.push(writer.row(chunk, names, i, options))
      yield (isFirst ? writer.head(names) : writer.between) + rows.join(writer.between)
      isFirst = false
      await eventLoopTurn()
    }
  }
  yield isFirst ? writer.empty(names) : writer.tail
}

interface RowWriter {
  head(names: readonly string[]): string
  row(chunk: SeriesColumns, names: readonly string[], index: number, options: WriteSeriesOptions): string
  readonly between: string
  readonly tail: string
  /** The file of no points. */
  empty(names: readonly string[]): string
}

const ohlcvRow = (chunk: SeriesColumns, _: readonly string[], index: number): string => {
  const values = ohlcvOf(chunk).map((column) => jsonValue(column[index] as number | string, true))
  return `[${jsonValue(chunk.ts[index] as number, true)},${values.join(',')}]`
}

const jsonRow = (
  chunk: SeriesColumns,
  names: readonly string[],
  index: number,
  options: WriteSeriesOptions,
): string => {
  const fields = names.flatMap((name) => {
    const value = valueAt(chunk, name, index)
    if (isLeftOut(name, value)) return []
    return [`${JSON.stringify(name)}:${jsonValue(value, false, options.nonFinite)}`]
  })
  return `{"ts":${jsonValue(chunk.ts[index] as number, false)}${fields.length === 0 ? '' : `,${fields.join(',')}`}}`
}

const csvHead = (names: readonly string[]) => `${['timestamp', ...names].map(csvCell).join(',')}\n`

const ARRAY = { between: ',\n', tail: '\n]\n', empty: () => '[]\n' } as const

const WRITERS: Readonly<Record<WriteFormat, RowWriter>> = {
  csv: {
    head: csvHead,
    row: (chunk, names, index, { time = 'ms' }) => {
      const ts = chunk.ts[index] as number
      const cells = names.map((name) => csvCell(csvText(name, valueAt(chunk, name, index))))
      return [time === 'iso' ? isoText(ts) : String(ts), ...cells].join(',')
    },
    between: '\n',
    tail: '\n',
    empty: csvHead,
  },
  json: { head: () => '[\n', row: jsonRow, ...ARRAY },
  jsonl: { head: () => '', row: jsonRow, between: '\n', tail: '\n', empty: () => '' },
  ccxt: { head: () => '[\n', row: ohlcvRow, ...ARRAY },
  freqtrade: { head: () => '[\n', row: ohlcvRow, ...ARRAY },
  binance: {
    head: () => '',
    row: (chunk, _, index, { intervalMs }) => {
      if (intervalMs === undefined) {
        throw new StoreError('INVALID_ARGUMENT', 'A kline has a close time: give intervalMs, the length of a bar.')
      }
      const ts = chunk.ts[index] as number
      const values = ohlcvOf(chunk).map((column) => plainText(column[index] as number | string))
      // What Holdfast does not keep (quote volume, number of trades, taker volumes) is written as 0.
      return [ts, ...values, ts + intervalMs - 1, 0, 0, 0, 0, 0].join(',')
    },
    between: '\n',
    tail: '\n',
    empty: () => '',
  },
}

function isLeftOut(name: string, value: number | string): boolean {
  return OPTIONAL.has(name) && Number.isNaN(value)
}

function namesOf(chunk: SeriesColumns): string[] {
  return Object.keys(chunk).filter((name) => name !== 'ts')
}

function valueAt(chunk: SeriesColumns, name: string, index: number): number | string {
  return (chunk[name] as Float64Array | readonly string[])[index] as number | string
}

function ohlcvOf(chunk: SeriesColumns): (Float64Array | readonly string[])[] {
  return OHLCV.map((name) => {
    const column = chunk[name]
    if (column === undefined) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        `This format is for bars, and there is no column ${name}. Write csv or json.`,
      )
    }
    return column
  })
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function csvText(name: string, value: number | string): string {
  return isLeftOut(name, value) ? '' : plainText(value)
}

/** `String(-0)` is "0". */
function plainText(value: number | string): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

/** `asNumber`: a decimal string is written as the number it is. */
function jsonValue(value: number | string, asNumber: boolean, nonFinite = 'refuse'): string {
  if (typeof value === 'string') return asNumber ? value : JSON.stringify(value)
  if (Number.isFinite(value)) return plainText(value)
  if (nonFinite === 'null') return 'null'
  throw new StoreError('INVALID_ARGUMENT', 'JSON has no NaN and no infinity, and these columns do. Write csv.')
}

function isoText(ts: number): string {
  const text = new Date(Math.floor(ts)).toISOString()
  const fraction = ts - Math.floor(ts)
  return fraction === 0 ? text : `${text.slice(0, -1)}${fraction.toFixed(3).slice(2)}Z`
}
