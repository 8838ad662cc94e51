/** The data everyone stores: the same documents and bars for each contender, from a seed, so that runs compare. */

/** An order as a trading bot keeps it; some 300 bytes as JSON. */
export interface OrderDocument {
  readonly id: string
  readonly positionId: string
  readonly clientOrderId: string
  readonly symbol: string
  readonly side: 'buy' | 'sell'
  readonly state: 'open' | 'filled' | 'cancelled'
  readonly price: string
  readonly quantity: string
  readonly filledQuantity: string
  readonly stopPrice: string
  readonly strategy: string
  readonly createdAt: number
  readonly updatedAt: number
}

export interface Bar {
  readonly id: string
  readonly symbol: string
  readonly time: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
}

/** In every document, so that a search of the files shows whether they are ciphertext. */
export const PLAINTEXT_MARKER = 'mean-reversion-v7'

const SYMBOLS = ['BTC', 'ETH', 'XRP', 'SOL', 'ADA', 'DOT', 'LTC', 'LINK', 'AVAX', 'ATOM'].map((coin) => `${coin}/USDT`)
const STATES = ['open', 'filled', 'cancelled'] as const
const START_TIME = 1_700_000_000_000
const MINUTE_MS = 60_000

/** Of a megabyte each. */
export function* largeDocuments(count: number): Generator<OrderDocument> {
  const strategy = PLAINTEXT_MARKER.repeat(Math.ceil(1_000_000 / PLAINTEXT_MARKER.length))
  for (let index = 0; index < count; index++) yield { ...orderDocument(index), strategy }
}

export function documentId(index: number): string {
  return `ord-${String(index).padStart(9, '0')}`
}

/** `generation` changes the values, not the key: writing the next generation is a real update of every document. */
export function orderDocument(index: number, generation = 0): OrderDocument {
  const noise = scramble(index * 31 + generation)
  const price = 20_000 + (noise % 1_000_000) / 100
  const quantity = ((noise >>> 8) % 100_000) / 1e4
  return {
    id: documentId(index),
    positionId: `pos-${String(index >> 2).padStart(9, '0')}`,
    clientOrderId: `hf-${noise.toString(16).padStart(8, '0')}-${generation}`,
    symbol: SYMBOLS[index % SYMBOLS.length] as string,
    side: (noise & 1) === 0 ? 'buy' : 'sell',
    state: STATES[noise % STATES.length] as OrderDocument['state'],
    price: price.toFixed(2),
    quantity: quantity.toFixed(4),
    filledQuantity: (quantity / 2).toFixed(4),
    stopPrice: (price * 0.98).toFixed(2),
    strategy: PLAINTEXT_MARKER,
    createdAt: START_TIME + index,
    updatedAt: START_TIME + index + generation,
  }
}

export function orderDocuments(count: number, generation = 0): OrderDocument[] {
  return Array.from({ length: count }, (_, index) => orderDocument(index, generation))
}

export function* generateDocuments(count: number): Generator<OrderDocument> {
  for (let index = 0; index < count; index++) yield orderDocument(index)
}

/** Bars of ten symbols, a symbol after the other, each in order of time: the way history is downloaded. */
export function* generateBars(count: number): Generator<Bar> {
  const barsPerSymbol = Math.ceil(count / SYMBOLS.length)
  for (let index = 0; index < count; index++) {
    yield barOf(SYMBOLS[Math.floor(index / barsPerSymbol)] as string, index % barsPerSymbol)
  }
}

/** A bar as exchanges send it, of a symbol that is known. */
export interface SeriesBar {
  readonly ts: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
}

/** The same bars of one symbol in both shapes, so that no store has to make its own while it is measured. */
export interface NewBars {
  readonly symbol: string
  readonly documents: readonly Bar[]
  readonly bars: readonly SeriesBar[]
}

/** Bars that no store has yet, for the bulk loads; of another symbol for each `series`. */
export function newBars(count: number, series = 0): NewBars {
  const symbol = `NEW${series}/USDT`
  const documents = Array.from({ length: count }, (_, index) => barOf(symbol, index))
  return { symbol, documents, bars: documents.map(seriesBar) }
}

export function seriesBar({ time, open, high, low, close, volume }: Bar): SeriesBar {
  return { ts: time, open, high, low, close, volume }
}

function barOf(symbol: string, index: number): Bar {
  const noise = scramble(index)
  const open = 20_000 + (noise % 100_000) / 100
  const time = START_TIME + index * MINUTE_MS
  return {
    id: `${symbol}:${time}`,
    symbol,
    time,
    open,
    high: open + 12.5,
    low: open - 12.5,
    close: open + (noise % 25) - 12,
    volume: (noise % 10_000) / 8,
  }
}

/** Indexes 0 … count-1, each once, in an order without locality. */
export function shuffledIndexes(count: number): Uint32Array {
  const indexes = Uint32Array.from({ length: count }, (_, index) => index)
  for (let index = count - 1; index > 0; index--) {
    const other = scramble(index) % (index + 1)
    const held = indexes[index] as number
    indexes[index] = indexes[other] as number
    indexes[other] = held
  }
  return indexes
}

/** A hash of 32 bits (the finalizer of MurmurHash3): random-looking, the same in every run. */
function scramble(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
