/** What executions do to orders, positions and the record of trades. Pure and exact. */

import { add, compare, divide, multiply, subtract, sum } from '../exact-decimal.ts'
import type { ExchangeFill, ExchangeOrder } from '../holdfast.ts'
import type { Fill, Order, Position, Trade } from './documents.ts'

const PERCENT_DIGITS = 10

type Executed = { readonly price: unknown; readonly quantity: unknown }

export function totalQuantity(fills: readonly Executed[]): string {
  return sum(fills.map(({ quantity }) => `${quantity}`))
}

/** Weighted by quantity; where there is one price only, that price digit by digit. */
export function averagePrice(fills: readonly Executed[]): string {
  const prices = fills.map(({ price }) => `${price}`)
  const [first = '0'] = prices
  if (prices.every((price) => compare(price, first) === 0)) return first
  return divide(notional(fills), totalQuantity(fills))
}

export function toFill(order: Order, report: ExchangeFill): Fill {
  return {
    id: `${order.id}:${report.tradeId}`,
    orderId: order.id,
    symbol: order.symbol,
    side: order.side,
    price: report.price,
    quantity: report.quantity,
    fee: report.fee ?? null,
    feeCurrency: report.feeCurrency ?? null,
    liquidity: report.liquidity ?? null,
    filledAt: report.filledAt,
    metadata: { tradeId: report.tradeId },
  }
}

/** The order as the exchange reports it, with all of its fills. */
export function advanceOrder(order: Order, report: ExchangeOrder, fills: readonly Fill[], now: number): Order {
  return {
    ...order,
    state: report.status === 'filled' ? 'filled' : 'partially_filled',
    exchangeOrderId: report.exchangeOrderId,
    filledQuantity: report.filledQuantity,
    averagePrice: averagePrice(fills),
    updatedAt: now,
  }
}

export function openPosition(id: string, fills: readonly Fill[], now: number): Position {
  const [first] = fills
  if (first?.symbol === undefined) throw new Error('a position is opened by at least one fill')
  const entryPrice = averagePrice(fills)
  return {
    id,
    symbol: first.symbol,
    side: 'long',
    quantity: totalQuantity(fills),
    entryPrice,
    highestPrice: entryPrice,
    openedAt: first.filledAt,
    updatedAt: now,
  }
}

/** What is left of a position; null when nothing is. */
export function reducePosition(position: Position, fills: readonly Fill[], now: number): Position | null {
  const quantity = subtract(`${position.quantity}`, totalQuantity(fills))
  return quantity === '0' ? null : { ...position, quantity, updatedAt: now }
}

/** The round trip, from all fills of its entry and its exits in the order they were made. */
export function closingTrade(
  position: Position,
  entries: readonly Fill[],
  exits: readonly Fill[],
  closing: Order,
): Trade {
  const quantity = totalQuantity(exits)
  const cost = notional(entries)
  const pnl = subtract(notional(exits), cost)
  const last = exits.at(-1)
  return {
    id: `${position.id}-closed`,
    symbol: position.symbol,
    side: position.side,
    quantity,
    entryPrice: averagePrice(entries),
    exitPrice: averagePrice(exits),
    pnl,
    pnlPercent: divide(multiply(pnl, '100'), cost, PERCENT_DIGITS),
    fees: [...entries, ...exits].reduce((total, { fee }) => add(total, `${fee}`), '0'),
    openedAt: position.openedAt ?? 0,
    closedAt: last?.filledAt ?? null,
    exitReason: closing.purpose ?? null,
    positionId: position.id,
    metadata: { feeCurrency: last?.feeCurrency ?? null },
  }
}

/** By time, then in the exchange's order. */
export function compareFills(a: Fill, b: Fill): number {
  return a.filledAt - b.filledAt || (a.id < b.id ? -1 : 1)
}

function notional(fills: readonly Executed[]): string {
  return sum(fills.map(({ price, quantity }) => multiply(`${price}`, `${quantity}`)))
}
