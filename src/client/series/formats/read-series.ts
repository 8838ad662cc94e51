/**
 * Files of bars, ticks and quotes as chunks of columns, ready to be appended. Reading is streamed: memory holds one chunk,
 * whatever the size of the file. A fault ends it with an error that names the line; chunks before it have been given out,
 * and since appending is idempotent, a corrected file can simply be read again.
 */
import { StoreError } from '../../../protocol/store-error.ts'
import { arrowColumns } from './arrow-series.ts'
import { ColumnBuilder, unknownFormat } from './column-builder.ts'
import { csvRows } from './csv-rows.ts'
import { fileFault } from './file-fault.ts'
import type { FileRows } from './file-row.ts'
import { jsonRows } from './json-rows.ts'
import {
  BARS_LAYOUTS,
  type BarsFormat,
  type Layout,
  QUOTES_LAYOUTS,
  type QuotesFormat,
  TICKS_LAYOUTS,
  type TicksFormat,
  VALUES_LAYOUTS,
  type ValuesFormat,
} from './layout.ts'
import { parquetColumns } from './read-parquet.ts'
import type { SeriesColumns, SeriesSource } from './series-columns.ts'
import { isSeriesFile, type SeriesFile } from './series-file.ts'
import { textPieces } from './text-pieces.ts'
import type { TimeOptions } from './time-stamps.ts'

export interface ReadSeriesOptions extends TimeOptions {
  /** Points of a chunk. Default: 8,192. */
  readonly chunk?: number
  /** Default: `,`. */
  readonly delimiter?: string
  /** Numbers as decimal strings with the digits of the file, instead of doubles. */
  readonly exact?: boolean
  /** Take `NaN`, `inf` and JSON's null as numbers; else they are faults. */
  readonly allowNonFinite?: boolean
}

/**
 * Bars of a file: columns `ts`, `open`, `high`, `low`, `close`, `volume`.
 *
 * `csv` and `json` want names (`timestamp,open,high,low,close,volume`, or objects); `binance` is the 12-column kline file
 * with or without names; `ccxt` and `freqtrade` are `[ts, o, h, l, c, v]`; `arrow` is an Arrow IPC stream or a Feather file,
 * such as freqtrade writes, and needs the package `apache-arrow`; `parquet` needs `hyparquet`, and a source with random access
 * (`asyncBufferFromFile` of hyparquet, a Blob, or the bytes).
 *
 * @example
 * for await (const chunk of readBars(createReadStream('BTCUSDT-1m-2024-01.csv'), { format: 'binance' })) {
 *   await store.bars.append('BTC/USDT', '1m', chunk)
 * }
 * @throws StoreError `INVALID_DOCUMENT` with `details.line`; `INVALID_ARGUMENT` for options
 */
export function readBars(
  source: SeriesSource | SeriesFile,
  options: ReadSeriesOptions & { readonly format: BarsFormat },
): AsyncGenerator<SeriesColumns> {
  return readLayout(source, chosen('bars', BARS_LAYOUTS, options.format), options)
}

/**
 * Trades of a file: columns `ts`, `price`, `amount`, and where the file has them `side` (of the taker, `buy` or `sell`) and `id`.
 *
 * `binance` are its spot and futures trade files, `binance-agg` its aggregate trades, `freqtrade` its trades JSON, `ccxt` an array
 * of unified trades; `csv` and `json` want names.
 *
 * @throws StoreError `INVALID_DOCUMENT` with `details.line`; `INVALID_ARGUMENT` for options
 */
export function readTicks(
  source: SeriesSource | SeriesFile,
  options: ReadSeriesOptions & { readonly format: TicksFormat },
): AsyncGenerator<SeriesColumns> {
  return readLayout(source, chosen('ticks', TICKS_LAYOUTS, options.format), options)
}

/**
 * Quotes of a file: columns `ts`, `bid`, `ask`, and `bidSize` and `askSize` where the file names them.
 *
 * `histdata` is `YYYYMMDD HHMMSSmmm,bid,ask,volume` in Eastern Standard Time without daylight saving (`utcOffset` says otherwise).
 *
 * @throws StoreError `INVALID_DOCUMENT` with `details.line`; `INVALID_ARGUMENT` for options
 */
export function readQuotes(
  source: SeriesSource | SeriesFile,
  options: ReadSeriesOptions & { readonly format: QuotesFormat },
): AsyncGenerator<SeriesColumns> {
  return readLayout(source, chosen('quotes', QUOTES_LAYOUTS, options.format), options)
}

/**
 * Values under names of their own: every column that the file names. They are numbers, unless `texts` names them.
 *
 * @example
 * for await (const chunk of readValues(createReadStream('alpha.csv'), { format: 'csv', texts: ['regime'] })) {
 *   await store.series('signal.alpha').append(chunk)
 * }
 * @throws StoreError `INVALID_DOCUMENT` with `details.line`; `INVALID_ARGUMENT` for options
 */
export function readValues(
  source: SeriesSource | SeriesFile,
  options: ReadSeriesOptions & { readonly format: ValuesFormat; readonly texts?: readonly string[] },
): AsyncGenerator<SeriesColumns> {
  return readLayout(source, chosen('values', VALUES_LAYOUTS, options.format), options)
}

function chosen(kind: string, layouts: Readonly<Record<string, Layout>>, format: string): Layout {
  const layout = Object.hasOwn(layouts, format) ? layouts[format] : undefined
  if (layout === undefined) throw unknownFormat(kind, Object.keys(layouts))
  return layout
}

async function* readLayout(
  source: SeriesSource | SeriesFile,
  layout: Layout,
  {
    chunk = 8_192,
    exact = false,
    allowNonFinite = false,
    texts = [],
    delimiter,
    timeUnit,
    utcOffset,
  }: ReadSeriesOptions & { readonly texts?: readonly string[] },
): AsyncGenerator<SeriesColumns> {
  const builder = new ColumnBuilder(layout, { chunk, exact, allowNonFinite, texts, timeUnit, utcOffset })
  if (layout.text === 'parquet') {
    return yield* parquetColumns(source, layout, { chunk, exact, allowNonFinite, texts, timeUnit, utcOffset })
  }
  if (isSeriesFile(source)) {
    throw new StoreError('INVALID_ARGUMENT', 'This format is read from front to back. Give a stream or the bytes.')
  }
  if (layout.text === 'arrow') return yield* arrowColumns(source, layout, { chunk, exact, allowNonFinite, timeUnit })
  let isEmpty = true
  for await (const rows of rowsOf(source, layout, delimiter)) {
    isEmpty = false
    yield* builder.push(rows)
  }
  const rest = builder.end()
  if (rest !== undefined) yield rest
  if (isEmpty && layout.text === 'csv') throw fileFault(1, 'the file is empty')
}

async function* rowsOf(source: SeriesSource, layout: Layout, delimiter: string | undefined): AsyncGenerator<FileRows> {
  const pieces = textPieces(source)
  if (layout.text === 'csv') yield* csvRows(pieces, { delimiter })
  else if (layout.text === 'json') yield* jsonRows(pieces)
  else {
    const { isJson, all } = await sniffed(pieces)
    if (isJson) yield* jsonRows(all)
    else yield* csvRows(all, { delimiter })
  }
}

/** JSON begins with a bracket, CSV never does. */
async function sniffed(pieces: AsyncGenerator<string>): Promise<{ isJson: boolean; all: AsyncGenerator<string> }> {
  let head = ''
  while (head.trimStart() === '') {
    const next = await pieces.next()
    if (next.done === true) break
    head += next.value
  }
  async function* all(): AsyncGenerator<string> {
    yield head
    yield* pieces
  }
  return { isJson: /^[\uFEFF\s]*[[{]/.test(head), all: all() }
}
