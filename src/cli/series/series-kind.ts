/** What the commands for bars, ticks, quotes and values have in common, and where each kind differs. */
import type {
  AppendResult,
  BarsFormat,
  CompactionResult,
  QuotesFormat,
  ReadSeriesOptions,
  SeriesColumns,
  SeriesFile,
  SeriesInfo,
  SeriesSource,
  Store,
  TicksFormat,
  ValuesFormat,
} from '../../index.ts'
import { readBars, readQuotes, readTicks, readValues } from '../../index.ts'

export interface SpanMs {
  readonly from?: number
  readonly to?: number
}

/** One series, whatever its kind. */
export interface OneSeries {
  append(chunk: SeriesColumns, exact: boolean): Promise<AppendResult>
  scan(span: SpanMs): AsyncIterable<object>
  last(count: number): Promise<object>
  info(): Promise<SeriesInfo | null>
  compact(): Promise<CompactionResult>
}

export interface ReadOptions extends ReadSeriesOptions {
  readonly format: string
  readonly texts?: readonly string[]
}

export interface SeriesKindCommands {
  /** The name of the command. */
  readonly name: 'bars' | 'ticks' | 'quotes' | 'series'
  readonly description: string
  /** Which series: the first arguments of every command. */
  readonly arguments: readonly string[]
  readonly formats: readonly string[]
  readonly example: string
  one(store: Store, key: readonly string[]): OneSeries
  read(source: SeriesSource | SeriesFile, options: ReadOptions): AsyncGenerator<SeriesColumns>
}

export const BARS: SeriesKindCommands = {
  name: 'bars',
  description: 'bars of symbols: show, plot, import, export, resample',
  arguments: ['symbol', 'interval'],
  formats: ['csv', 'json', 'arrow', 'parquet', 'binance', 'ccxt', 'freqtrade'] satisfies BarsFormat[],
  example: 'BTC/USDT 1m',
  one: ({ bars }, [symbol = '', interval = '']) => ({
    append: (chunk) => bars.append(symbol, interval, chunk as never),
    scan: (span) => bars.scan(symbol, interval, span),
    last: (count) => bars.last(symbol, interval, count),
    info: () => bars.info(symbol, interval),
    compact: () => bars.compact(symbol, interval),
  }),
  read: (source, options) => readBars(source, options as ReadOptions & { format: BarsFormat }),
}

export const TICKS: SeriesKindCommands = {
  name: 'ticks',
  description: 'trades of symbols: show, import, export',
  arguments: ['symbol'],
  formats: ['csv', 'json', 'arrow', 'parquet', 'binance', 'binance-agg', 'ccxt', 'freqtrade'] satisfies TicksFormat[],
  example: 'XRP/ETH',
  one: ({ ticks }, [symbol = '']) => ({
    append: (chunk, exact) => ticks.append(symbol, chunk as never, { exact }),
    scan: (span) => ticks.scan(symbol, span),
    last: (count) => ticks.last(symbol, count),
    info: () => ticks.info(symbol),
    compact: () => ticks.compact(symbol),
  }),
  read: (source, options) => readTicks(source, options as ReadOptions & { format: TicksFormat }),
}

export const QUOTES: SeriesKindCommands = {
  name: 'quotes',
  description: 'best bid and ask of symbols: show, import, export',
  arguments: ['symbol'],
  formats: ['csv', 'json', 'arrow', 'parquet', 'histdata'] satisfies QuotesFormat[],
  example: 'EUR/USD',
  one: ({ quotes }, [symbol = '']) => ({
    append: (chunk) => quotes.append(symbol, chunk as never),
    scan: (span) => quotes.scan(symbol, span),
    last: (count) => quotes.last(symbol, count),
    info: () => quotes.info(symbol),
    compact: () => quotes.compact(symbol),
  }),
  read: (source, options) => readQuotes(source, options as ReadOptions & { format: QuotesFormat }),
}

export const VALUES: SeriesKindCommands = {
  name: 'series',
  description: 'all series of the store, values under names of their own, and rules for how long series are kept',
  arguments: ['name'],
  formats: ['csv', 'json', 'parquet'] satisfies ValuesFormat[],
  example: 'signal.alpha',
  one: (store, [name = '']) => {
    const values = store.series(name)
    return {
      append: (chunk) => values.append(chunk),
      scan: (span) => values.scan(span),
      last: (count) => values.last(count),
      info: () => values.info(),
      compact: () => values.compact(),
    }
  },
  read: (source, options) => readValues(source, options as ReadOptions & { format: ValuesFormat }),
}
