/**
 * Fills of one order: those the store has and those the exchange reports, each execution once. The exchange's trade id
 * tells executions apart; a report that comes twice is one fill, a report that differs from what is known is a conflict.
 */
import type { Decimal } from '../../schema/decimal.ts'
import { compare, divide, multiply, sum } from './decimal-math.ts'
import { fillId } from './deterministic-id.ts'
import type { Fill, Order } from './documents.ts'
import type { ExchangeFill } from './exchange.ts'
import { compareText } from './order-groups.ts'

export interface FillLedger {
  /** In the order of execution. */
  readonly all: readonly Fill[]
  readonly added: readonly Fill[]
  /** Some stored fills are missing in the report. */
  readonly isReportPartial: boolean
}

/** Null when two accounts of the same execution disagree, or when it can't be told whether two are the same. */
export function mergeFills(
  order: Order,
  stored: readonly Fill[],
  reported: readonly ExchangeFill[],
): FillLedger | null {
  const byTradeId = new Map<string, ExchangeFill>()
  for (const fill of reported) {
    if (fill.symbol !== order.symbol || fill.side !== order.side) return null
    const other = byTradeId.get(fill.tradeId)
    if (other === undefined) byTradeId.set(fill.tradeId, fill)
    else if (!isSameExecution(other, fill)) return null
  }
  const added: Fill[] = []
  const matched = new Set<Fill>()
  for (const report of byTradeId.values()) {
    const known = stored.find((fill) => isFillOfTrade(fill, report.tradeId))
    if (known === undefined) added.push(toFill(order, report))
    else if (isSameExecution(known, report)) matched.add(known)
    else return null
  }
  // A stored fill under an id of its own could be the very execution that looks new.
  const unmatched = stored.filter((fill) => !matched.has(fill))
  if (unmatched.some((fill) => added.some((each) => isSameExecution(fill, each)))) return null
  return {
    all: [...stored, ...added].sort(compareFills),
    added: added.sort(compareFills),
    isReportPartial: unmatched.length > 0,
  }
}

/** True when the stored fill records the exchange's trade: by its id, or by `metadata.tradeId`. */
export function isFillOfTrade(fill: Fill, tradeId: string): boolean {
  return fill.id === fillId(fill.orderId, tradeId) || fill.id === tradeId || fill.metadata?.tradeId === tradeId
}

export function totalQuantity(fills: readonly Pick<Fill, 'quantity'>[]): string {
  return sum(fills.map((fill) => fill.quantity))
}

/** Price times quantity, summed: exact. */
export function totalNotional(fills: readonly Pick<Fill, 'price' | 'quantity'>[]): string {
  return sum(fills.map((fill) => multiply(fill.price, fill.quantity)))
}

/** The average price by quantity; with one price only, that price digit by digit. */
export function averagePrice(fills: readonly Pick<Fill, 'price' | 'quantity'>[]): Decimal {
  const [first, ...others] = fills as readonly [Fill, ...Fill[]]
  if (others.every((fill) => compare(fill.price, first.price) === 0)) return first.price
  return divide(totalNotional(fills), totalQuantity(fills))
}

/** By time of execution, then id. */
export function compareFills(a: Fill, b: Fill): number {
  return a.filledAt - b.filledAt || compareText(a.id, b.id)
}

function isSameExecution(a: Pick<Fill, 'price' | 'quantity'>, b: Pick<Fill, 'price' | 'quantity'>): boolean {
  return compare(a.price, b.price) === 0 && compare(a.quantity, b.quantity) === 0
}

function toFill(order: Order, report: ExchangeFill): Fill {
  return {
    id: fillId(order.id, report.tradeId),
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
