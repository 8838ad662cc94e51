/**
 * Layouts of files: which cell is which column. Positions are for files without names; where a file has names, those
 * decide.
 *
 * Sources: Binance public data (https://github.com/binance/binance-public-data), ccxt's unified OHLCV and trade structures
 * (https://docs.ccxt.com), freqtrade's `DEFAULT_TRADES_COLUMNS` and `DEFAULT_DATAFRAME_COLUMNS`, histdata.com's
 * tick data in ASCII.
 */
export type CellKind = 'number' | 'text' | 'side' | 'maker'

export interface LayoutColumn {
  readonly name: string
  readonly kind: CellKind
  /** Position without names. */
  readonly at?: number
  /** In lower case, without blanks and underscores. */
  readonly names: readonly string[]
  readonly isOptional?: boolean
}

export interface Layout {
  readonly text: 'csv' | 'json' | 'either' | 'arrow' | 'parquet'
  /** How many cells a row without names may have; none: the file must have names. */
  readonly widths: readonly number[]
  readonly timeAt: number
  readonly columns: readonly LayoutColumn[]
  readonly utcOffset?: string
  /** Every column that the file names, as numbers unless the caller says texts. */
  readonly takesAll?: boolean
}

export const TIME_NAMES = ['ts', 'timestamp', 'time', 'date', 'datetime', 'opentime', 'transacttime']

/** Names are compared in lower case, without blanks and underscores. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[ _]/g, '')
}

const number = (name: string, at: number | undefined, ...names: string[]): LayoutColumn => ({
  name,
  kind: 'number',
  names: [name.toLowerCase(), ...names],
  ...(at === undefined ? {} : { at }),
})
const optional = (column: LayoutColumn): LayoutColumn => ({ ...column, isOptional: true })

const OHLCV = [
  number('open', 1, 'o'),
  number('high', 2, 'h'),
  number('low', 3, 'l'),
  number('close', 4, 'c'),
  number('volume', 5, 'v', 'vol'),
]
const side = (at: number | undefined): LayoutColumn => ({
  name: 'side',
  kind: 'side',
  names: ['side'],
  ...(at === undefined ? {} : { at }),
})
const maker = (at: number): LayoutColumn => ({ name: 'side', kind: 'maker', names: ['isbuyermaker'], at })
const id = (at: number | undefined, ...names: string[]): LayoutColumn => ({
  name: 'id',
  kind: 'text',
  names: ['id', 'tradeid', ...names],
  ...(at === undefined ? {} : { at }),
})
const price = (at?: number) => number('price', at, 'p')
const amount = (at?: number) => number('amount', at, 'qty', 'quantity', 'size', 'q')

export const BARS_LAYOUTS = {
  csv: { text: 'csv', widths: [], timeAt: 0, columns: OHLCV },
  json: { text: 'json', widths: [6], timeAt: 0, columns: OHLCV },
  ccxt: { text: 'either', widths: [6], timeAt: 0, columns: OHLCV },
  freqtrade: { text: 'json', widths: [6], timeAt: 0, columns: OHLCV },
  binance: { text: 'csv', widths: [12], timeAt: 0, columns: OHLCV },
  arrow: { text: 'arrow', widths: [], timeAt: 0, columns: OHLCV },
  parquet: { text: 'parquet', widths: [], timeAt: 0, columns: OHLCV },
} as const satisfies Record<string, Layout>

const TICK = [price(), amount(), optional(side(undefined)), optional(id(undefined))]

export const TICKS_LAYOUTS = {
  arrow: { text: 'arrow', widths: [], timeAt: 0, columns: TICK },
  parquet: { text: 'parquet', widths: [], timeAt: 0, columns: TICK },
  csv: { text: 'csv', widths: [], timeAt: 0, columns: TICK },
  json: { text: 'json', widths: [], timeAt: 0, columns: TICK },
  ccxt: { text: 'json', widths: [], timeAt: 0, columns: TICK },
  freqtrade: { text: 'either', widths: [7], timeAt: 0, columns: [price(4), amount(5), side(3), id(1)] },
  binance: { text: 'csv', widths: [6, 7], timeAt: 4, columns: [price(1), amount(2), maker(5), id(0)] },
  'binance-agg': {
    text: 'csv',
    widths: [7, 8],
    timeAt: 5,
    columns: [price(1), amount(2), maker(6), id(0, 'aggtradeid')],
  },
} as const satisfies Record<string, Layout>

const QUOTE = [
  number('bid', undefined),
  number('ask', undefined),
  optional(number('bidSize', undefined, 'bidqty', 'bidvolume')),
  optional(number('askSize', undefined, 'askqty', 'askvolume')),
]

export const QUOTES_LAYOUTS = {
  csv: { text: 'csv', widths: [], timeAt: 0, columns: QUOTE },
  json: { text: 'json', widths: [], timeAt: 0, columns: QUOTE },
  arrow: { text: 'arrow', widths: [], timeAt: 0, columns: QUOTE },
  parquet: { text: 'parquet', widths: [], timeAt: 0, columns: QUOTE },
  histdata: { text: 'csv', widths: [4], timeAt: 0, columns: [number('bid', 1), number('ask', 2)], utcOffset: '-05:00' },
} as const satisfies Record<string, Layout>

export const VALUES_LAYOUTS = {
  csv: { text: 'csv', widths: [], timeAt: 0, columns: [], takesAll: true },
  json: { text: 'json', widths: [], timeAt: 0, columns: [], takesAll: true },
  parquet: { text: 'parquet', widths: [], timeAt: 0, columns: [], takesAll: true },
} as const satisfies Record<string, Layout>

export type BarsFormat = keyof typeof BARS_LAYOUTS
export type TicksFormat = keyof typeof TICKS_LAYOUTS
export type QuotesFormat = keyof typeof QUOTES_LAYOUTS
export type ValuesFormat = keyof typeof VALUES_LAYOUTS
