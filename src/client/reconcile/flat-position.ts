/**
 * A position the store holds and the exchange does not: closed by somebody else, or by an order whose end was never
 * written down. It is closed here only when fills account for all of it; being flat alone does not say at what price.
 */
import { compare } from './decimal-math.ts'
import { foreignOrderId } from './deterministic-id.ts'
import { exitSide, type Fill, type Order, type Position } from './documents.ts'
import type { ExchangeFill } from './exchange.ts'
import type { ExchangeReport } from './exchange-report.ts'
import { averagePrice, isFillOfTrade, mergeFills, totalQuantity } from './fill-ledger.ts'
import { compareText, type OrderGroup } from './order-groups.ts'
import { positionSubject, UnresolvedError } from './reconcile-plan.ts'
import type { StateSnapshot } from './state-snapshot.ts'

export interface FlatExplanation {
  /** Orders only the exchange knew, to be recorded with their fills. */
  readonly orders: readonly Order[]
  readonly addedFills: readonly Fill[]
  /** Fills the store had already, not yet taken off the position. */
  readonly storedFills: readonly Fill[]
}

/** Fills that account for the whole position, or null. @throws UnresolvedError when the fills could not be asked for */
export function explainFlat(
  position: Position,
  group: OrderGroup,
  state: StateSnapshot,
  report: ExchangeReport,
  nowMs: number,
): FlatExplanation | null {
  const stored = explainByFinalStop(position, group, state)
  if (position.openedAt === undefined) return stored
  const foreign = explainByForeignFills(position, group, state, report, nowMs)
  return foreign ?? stored
}

function explainByFinalStop(position: Position, group: OrderGroup, state: StateSnapshot): FlatExplanation | null {
  if (group.stop.kind !== 'final' || group.stop.order.state !== 'filled') return null
  const { id } = group.stop.order
  const storedFills = state.fills.filter((fill) => fill.orderId === id)
  if (compare(totalQuantity(storedFills), position.quantity) !== 0) return null
  return { orders: [], addedFills: [], storedFills }
}

function explainByForeignFills(
  position: Position,
  group: OrderGroup,
  state: StateSnapshot,
  report: ExchangeReport,
  nowMs: number,
): FlatExplanation | null {
  const subject = positionSubject(position)
  const answers = report.symbolFills.filter((answer) => answer.positionId === position.id)
  const reported = answers.flatMap(({ result }) => (result.status === 'found' ? result.value : []))
  if (!answers.some(({ result }) => result.status === 'found')) {
    const failed = answers.map(({ result }) => result).find((result) => result.status === 'failed')
    throw new UnresolvedError(subject, 'FILLS_QUERY_FAILED', failed?.status === 'failed' ? failed.code : undefined)
  }
  const ownOrders = new Set(
    [...state.orders, ...state.history, ...group.orders]
      .filter((order) => order.symbol === position.symbol)
      .map((order) => order.exchangeOrderId),
  )
  const closing = exitSide(position.side)
  const candidates = reported.filter(
    (fill) =>
      fill.symbol === position.symbol &&
      fill.side === closing &&
      fill.filledAt >= (position.openedAt ?? 0) &&
      !ownOrders.has(fill.exchangeOrderId) &&
      !state.fills.some((known) => isTheSame(known, fill)),
  )
  const byOrder = new Map<string, ExchangeFill[]>()
  for (const fill of candidates) {
    const fills = byOrder.get(fill.exchangeOrderId)
    if (fills === undefined) byOrder.set(fill.exchangeOrderId, [fill])
    else fills.push(fill)
  }
  const orders: Order[] = []
  const addedFills: Fill[] = []
  for (const exchangeOrderId of [...byOrder.keys()].sort(compareText)) {
    const shell: Order = {
      id: foreignOrderId(position.symbol, exchangeOrderId),
      exchangeOrderId,
      symbol: position.symbol,
      side: closing,
      purpose: 'exit',
      state: 'filled',
      quantity: '0',
      positionId: position.id,
    }
    const ledger = mergeFills(shell, [], byOrder.get(exchangeOrderId) ?? [])
    if (ledger === null) throw new UnresolvedError(subject, 'FILLS_CONFLICT')
    const quantity = totalQuantity(ledger.all)
    addedFills.push(...ledger.all)
    orders.push({
      ...shell,
      quantity,
      filledQuantity: quantity,
      averagePrice: averagePrice(ledger.all),
      createdAt: ledger.all[0]?.filledAt ?? nowMs,
      updatedAt: nowMs,
      metadata: { origin: 'exchange' },
    })
  }
  if (compare(totalQuantity(addedFills), position.quantity) !== 0) return null
  return { orders, addedFills, storedFills: [] }
}

/**
 * A stored fill that may be this execution, whichever order it was recorded under. The side counts: a trade with oneself
 * has one id for both.
 */
function isTheSame(known: Fill, fill: ExchangeFill): boolean {
  const isOtherSymbol = known.symbol !== undefined && known.symbol !== fill.symbol
  const isOtherSide = known.side !== undefined && known.side !== fill.side
  return !isOtherSymbol && !isOtherSide && isFillOfTrade(known, fill.tradeId)
}
