/**
 * Why: an id computed from what it stands for is the same after every restart, so doing something twice is seen as
 * the same thing. 32 lower-case hex characters are a client order id that venues take (Binance, Bybit, OKX, Kraken).
 */
import { createHash } from 'node:crypto'

const MAX_ID_LENGTH = 256

/** The id of the n-th stop order of a position; store key and client order id in one. */
export function stopOrderId(positionId: string, openedAt: number | undefined, generation: number): string {
  return hash('stop', positionId, String(openedAt ?? ''), String(generation))
}

/** The id of the n-th market exit that `reconcile` places for a position. */
export function exitOrderId(positionId: string, openedAt: number | undefined, generation: number): string {
  return hash('exit', positionId, String(openedAt ?? ''), String(generation))
}

/** The id under which an order that only the exchange knew is recorded. */
export function foreignOrderId(symbol: string, exchangeOrderId: string): string {
  return hash('foreign', symbol, exchangeOrderId)
}

/** The id of the trade that closing a position leaves behind. */
export function tradeId(positionId: string, openedAt: number | undefined, closingOrderId: string): string {
  return hash('trade', positionId, String(openedAt ?? ''), closingOrderId)
}

/**
 * The id of a fill in the store: the order's id and the exchange's trade id. Use it for the fills you record yourself,
 * so that `reconcile` knows them again. The order is part of it since a trade with oneself has one id for both sides.
 *
 * @example await store.fills.insert({ id: fillId(order.id, trade.id), orderId: order.id, … })
 */
export function fillId(orderId: string, exchangeTradeId: string): string {
  const id = `${orderId}:${exchangeTradeId}`
  return id.length <= MAX_ID_LENGTH ? id : hash('fill', orderId, exchangeTradeId)
}

function hash(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}
