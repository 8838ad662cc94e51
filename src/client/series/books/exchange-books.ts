/**
 * What exchanges and ccxt send of order books, as events of `store.books`.
 *
 * Formats: Binance `GET /api/v3/depth`, `GET /fapi/v1/depth` and the `depthUpdate` event of the diff depth streams
 * (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#diff-depth-stream); ccxt's unified order
 * book (https://docs.ccxt.com/#/?id=order-book-structure).
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
