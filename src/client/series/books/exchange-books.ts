/**
 * What exchanges and ccxt send of order books, as events of `store.books`.
 *
 * Formats: Binance `GET /api/v3/depth`, `GET /fapi/v1/depth` and the `depthUpdate` event of the diff depth streams
 * (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#diff-depth-stream); OKX's channels `books`,
 * `books-l2-tbt` and `books50-l2-tbt` (https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel);
 * Bybit's `orderbook.{depth}.{symbol}` (https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook); ccxt's unified
 * order book (https://docs.ccxt.com/#/?id=order-book-structure).
 */
import { StoreError } from '../../../protocol/store-error.ts'
import type { BookEventInput } from '../../../schema/book-event.ts'

type Side = readonly (readonly [string | number, string | number, ...unknown[]])[]

export interface BinanceDepthSnapshot {
  readonly lastUpdateId: number
  readonly bids: Side
  readonly asks: Side
  /** Futures: when the snapshot was sent, and of which moment it is. */
  readonly E?: number
  readonly T?: number
}

export interface BinanceDepthUpdate {
  readonly E: number
  readonly T?: number
  readonly U: number
  readonly u: number
  /** Futures: `u` of the event before. */
  readonly pu?: number
  readonly b: Side
  readonly a: Side
}

export interface CcxtOrderBook {
  readonly bids: Side
  readonly asks: Side
  readonly timestamp?: number | undefined
  readonly nonce?: number | undefined
}

/** A push of OKX's order book channels that send changes. */
export interface OkxBookMessage {
  readonly action: 'snapshot' | 'update'
  readonly data: readonly {
    readonly bids: Side
    readonly asks: Side
    /** Unix milliseconds. */
    readonly ts: string
    readonly seqId: number
    /** -1 of a snapshot. */
    readonly prevSeqId: number
  }[]
}

/** A push of Bybit's order book topics, of depth 50 and more. */
export interface BybitBookMessage {
  readonly type: 'snapshot' | 'delta'
  /** When it was sent, and when the matching engine made it. */
  readonly ts: number
  readonly cts?: number
  readonly data: {
    readonly b: Side
    readonly a: Side
    readonly u: number
  }
}

type Snapshot = Extract<BookEventInput, { type: 'snapshot' }>
type Delta = Extract<BookEventInput, { type: 'delta' }>

/** @param receivedAtMs for spot, whose snapshots name no time: when the answer came */
export function binanceSnapshot(depth: BinanceDepthSnapshot, receivedAtMs?: number): Snapshot {
  const ts = depth.T ?? depth.E ?? receivedAtMs
  if (ts === undefined) {
    throw new StoreError('INVALID_ARGUMENT', 'A spot snapshot names no time: give the moment at which it was received.')
  }
  return { type: 'snapshot', ts, lastId: depth.lastUpdateId, bids: levels(depth.bids), asks: levels(depth.asks) }
}

export function binanceDelta(update: BinanceDepthUpdate): Delta {
  return {
    type: 'delta',
    ts: update.T ?? update.E,
    firstId: update.U,
    lastId: update.u,
    ...(update.pu === undefined ? {} : { previousId: update.pu }),
    bids: levels(update.b),
    asks: levels(update.a),
  }
}

/**
 * Snapshot and updates of OKX. An update names the one before it (`prevSeqId`), so any that is missing is a `BOOK_GAP` when the book
 * is asked for.
 *
 * @throws StoreError `BOOK_GAP` when OKX began to number anew, as it may after maintenance: subscribe again, for a snapshot
 * @example
 * socket.on('message', (text) => store.books.append('BTC-USDT', okxBook(JSON.parse(text))))
 */
export function okxBook({ action, data }: OkxBookMessage): (Snapshot | Delta)[] {
  return data.map(({ bids, asks, ts, seqId, prevSeqId }) => {
    const event = { ts: Number(ts), lastId: seqId, bids: levels(bids), asks: levels(asks) }
    if (action === 'snapshot') return { type: 'snapshot', ...event }
    if (seqId < prevSeqId) {
      throw new StoreError(
        'BOOK_GAP',
        `OKX numbers this order book anew, from ${seqId} behind ${prevSeqId}. Subscribe again, and append the snapshot that comes.`,
        { details: { lastId: prevSeqId, nextId: seqId } },
      )
    }
    return { type: 'delta', ...event, previousId: prevSeqId }
  })
}

/**
 * Snapshot and deltas of Bybit, whose update ids (`u`) go up one by one; a restart of its service begins with a snapshot again.
 *
 * @example
 * socket.on('message', (text) => store.books.append('BTCUSDT', bybitBook(JSON.parse(text))))
 */
export function bybitBook({ type, ts, cts, data: { b, a, u } }: BybitBookMessage): Snapshot | Delta {
  const event = { ts: cts ?? ts, lastId: u, bids: levels(b), asks: levels(a) }
  return type === 'snapshot' ? { type, ...event } : { type, ...event, firstId: u }
}

/** @throws StoreError `INVALID_ARGUMENT` when the exchange gave neither nonce nor time, as not every one does */
export function ccxtSnapshot(book: CcxtOrderBook, receivedAtMs?: number): Snapshot {
  const ts = book.timestamp ?? receivedAtMs
  if (ts === undefined || book.nonce === undefined) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'This order book has no nonce or no timestamp. Give the time of receipt; without a nonce it can not be chained to deltas.',
    )
  }
  return { type: 'snapshot', ts, lastId: book.nonce, bids: levels(book.bids), asks: levels(book.asks) }
}

function levels(side: Side): [string | number, string | number][] {
  return side.map(([price, amount]) => [price, amount])
}
