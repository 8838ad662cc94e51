/**
 * What new fills do to a position: entries first (they average into the entry price), then exits. A position that has
 * nothing left becomes a trade. All sums are exact; only an average that has no finite decimal form is rounded.
 */
import type { Decimal } from '../../schema/decimal.ts'
import { add, canonical, compare, divide, multiply, subtract } from './decimal-math.ts'
import { tradeId } from './deterministic-id.ts'
import { entrySide, type Fill, type Order, type Position, positionSide, type Trade } from './documents.ts'
import type { MarketRules } from './exchange.ts'
import { averagePrice, compareFills, totalNotional, totalQuantity } from './fill-ledger.ts'
import type { OrderGroup } from './order-groups.ts'
import type { KnownOrder, OrderProgress } from './order-progress.ts'
import { orderSubject, positionSubject, UnresolvedError } from './reconcile-plan.ts'

const PERCENT_DIGITS = 10

/** What an order does to its position. */
export type OrderRole = 'entry' | 'exit' | 'none'

export interface PositionProgress {
  readonly before: Position | null
  /** Null when there is none, or none any more. */
  readonly after: Position | null
  /** The position that these fills have closed, with nothing left in it. */
  readonly closed: Position | null
  /** Fills that exited a position the store does not have. */
  readonly exitsWithoutPosition: readonly Order[]
}

/** @throws UnresolvedError */
export function advancePosition(
  group: OrderGroup,
  progress: readonly OrderProgress[],
  nowMs: number,
): PositionProgress {
  const { position } = group
  if (position !== null && compare(position.quantity, 0) <= 0) {
    throw new UnresolvedError(positionSubject(position), 'POSITION_INVALID')
  }
  if (group.positionId === null) return { before: null, after: null, closed: null, exitsWithoutPosition: [] }
  const moved = progress.filter(
    (each): each is KnownOrder => each.kind === 'known' && compare(each.addedQuantity, 0) > 0,
  )
  const entries = moved.filter((each) => roleOf(each.before, position) === 'entry')
  let current = position
  for (const entry of entries) assertFits(entry.before, position ?? entries[0]?.before ?? null, 'entry')
  const entryFills = entries.flatMap((each) => each.addedFills).sort(compareFills)
  if (entryFills.length > 0) current = enter(group.positionId, entries[0] as KnownOrder, current, entryFills, nowMs)

  const exitsWithoutPosition: Order[] = []
  for (const exit of moved.filter((each) => roleOf(each.before, current) === 'exit')) {
    if (current === null) {
      exitsWithoutPosition.push(exit.before)
      continue
    }
    assertFits(exit.before, current, 'exit')
    const rest = subtract(current.quantity, exit.addedQuantity)
    if (compare(rest, 0) < 0) throw new UnresolvedError(positionSubject(current), 'EXIT_EXCEEDS_POSITION')
    current = { ...current, quantity: rest, updatedAt: nowMs }
  }
  const isClosed = current !== null && compare(current.quantity, 0) === 0
  return {
    before: position,
    after: isClosed ? null : current,
    closed: isClosed ? current : null,
    exitsWithoutPosition,
  }
}

/** By purpose; an order without one by its side. Without a position only an entry can be told. */
export function roleOf(order: Order, position: Position | null): OrderRole {
  if (order.purpose === 'entry') return 'entry'
  if (order.purpose !== undefined) return 'exit'
  if (position === null) return 'none'
  return order.side === entrySide(position.side) ? 'entry' : 'exit'
}

/** The fills of the group's orders that belong to this life of the position, by role. */
export function fillsOfLife(
  position: Position,
  group: OrderGroup,
  progress: readonly OrderProgress[],
  storedFills: readonly Fill[],
): { readonly entries: readonly Fill[]; readonly exits: readonly Fill[] } {
  const entries: Fill[] = []
  const exits: Fill[] = []
  const collect = (order: Order, fills: readonly Fill[], added: ReadonlySet<Fill>) => {
    const role = roleOf(order, position)
    for (const fill of fills) {
      const isOfThisLife = added.has(fill) || (position.openedAt !== undefined && fill.filledAt >= position.openedAt)
      if (isOfThisLife && role !== 'none') (role === 'entry' ? entries : exits).push(fill)
    }
  }
  for (const each of progress) {
    if (each.kind === 'known') collect(each.before, each.fills, new Set(each.addedFills))
  }
  for (const order of group.history) {
    collect(
      order,
      storedFills.filter((fill) => fill.orderId === order.id),
      new Set(),
    )
  }
  return { entries: entries.sort(compareFills), exits: exits.sort(compareFills) }
}

export interface Closing {
  readonly position: Position
  readonly entries: readonly Fill[]
  readonly exits: readonly Fill[]
  /** Orders the exits belong to, for the reason. */
  readonly orders: readonly Order[]
  readonly rules: MarketRules
  readonly nowMs: number
}

/**
 * The trade a closed position leaves behind: every exit since it was opened. P&L is before fees, exact: proceeds less
 * cost, where the cost is that of the entry fills if they are all known, else entry price times quantity.
 */
export function closingTrade({ position, entries, exits, orders, rules, nowMs }: Closing): Trade {
  const last = exits.at(-1)
  const closingOrder = orders.find((order) => order.id === last?.orderId)
  const quantity = exits.length > 0 ? totalQuantity(exits) : canonical(position.quantity)
  const areEntriesKnown = entries.length > 0 && compare(totalQuantity(entries), quantity) === 0
  const cost = areEntriesKnown ? totalNotional(entries) : multiply(position.entryPrice, quantity)
  const isPriced = last !== undefined && rules.inverse !== true
  const contractSize = rules.contractSize ?? '1'
  const gain = position.side === 'long' ? subtract(totalNotional(exits), cost) : subtract(cost, totalNotional(exits))
  const fees = totalFees([...entries, ...exits])
  const openedAt = position.openedAt ?? entries[0]?.filledAt ?? last?.filledAt ?? nowMs
  return {
    id: tradeId(position.id, position.openedAt, last?.orderId ?? ''),
    symbol: position.symbol,
    side: position.side,
    quantity,
    entryPrice: areEntriesKnown ? averagePrice(entries) : position.entryPrice,
    exitPrice: last === undefined ? null : averagePrice(exits),
    pnl: isPriced ? multiply(gain, contractSize) : null,
    pnlPercent: isPriced && compare(cost, 0) > 0 ? divide(multiply(gain, 100), cost, PERCENT_DIGITS) : null,
    fees: fees?.amount ?? null,
    openedAt,
    closedAt: last?.filledAt ?? nowMs,
    exitReason: last === undefined ? 'exchange-flat' : (closingOrder?.purpose ?? 'exchange'),
    positionId: position.id,
    ...(position.strategy === undefined ? {} : { strategy: position.strategy }),
    metadata: { ...position.metadata, ...(fees === null ? {} : { feeCurrency: fees.currency }) },
  }
}

/** Fees can be added up only in one currency. */
function totalFees(fills: readonly Fill[]): { readonly amount: string; readonly currency: string | null } | null {
  const paid = fills.filter((fill) => (fill.fee ?? null) !== null)
  const currencies = new Set(paid.map((fill) => fill.feeCurrency ?? null))
  if (paid.length === 0 || currencies.size !== 1) return null
  const [currency = null] = currencies
  return { amount: paid.reduce((total, fill) => add(total, fill.fee as Decimal), '0'), currency }
}

function enter(
  positionId: string,
  entry: KnownOrder,
  position: Position | null,
  fills: readonly Fill[],
  nowMs: number,
): Position {
  const added = totalQuantity(fills)
  if (position !== null) {
    const held = { price: position.entryPrice, quantity: position.quantity }
    return {
      ...position,
      quantity: add(position.quantity, added),
      entryPrice: averagePrice([held, ...fills]),
      updatedAt: nowMs,
    }
  }
  const side = positionSide(entry.before.side)
  const entryPrice = averagePrice(fills)
  return {
    id: positionId,
    symbol: entry.before.symbol,
    side,
    quantity: added,
    entryPrice,
    ...(side === 'long' ? { highestPrice: entryPrice } : { lowestPrice: entryPrice }),
    openedAt: (fills[0] as Fill).filledAt,
    updatedAt: nowMs,
  }
}

/** An entry must be on the position's side, an exit against it, both on its symbol. */
function assertFits(order: Order, reference: Position | Order | null, role: 'entry' | 'exit'): void {
  if (reference === null) return
  const isPosition = reference.side === 'long' || reference.side === 'short'
  const opening = isPosition ? entrySide((reference as Position).side) : (reference as Order).side
  const isRightSide = role === 'entry' ? order.side === opening : order.side !== opening
  if (order.symbol !== reference.symbol || !isRightSide) {
    throw new UnresolvedError(orderSubject(order), 'ORDER_CONTRADICTS_POSITION')
  }
}
