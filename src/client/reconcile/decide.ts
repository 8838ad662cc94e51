/**
 * The decisions of `reconcile`: from the store's state, the exchange's report, the policy and the time to a plan. Pure:
 * no I/O, no clock, no randomness, and the same plan whatever the order or number of the answers.
 */
import type { ExchangeOrder } from './exchange.ts'
import type { ExchangeReport } from './exchange-report.ts'
import { compareHeld } from './held-positions.ts'
import { type OrderEvidence, sortEvidence } from './order-evidence.ts'
import { compareText, groupOrders, isSameOrder, isUnrecordedStop, type OrderGroup } from './order-groups.ts'
import { decideOrder } from './order-progress.ts'
import type { Context, SettledGroup } from './plan-context.ts'
import { foreignKey, planGroup } from './plan-group.ts'
import type { ResolvedPolicy } from './policy.ts'
import { advancePosition } from './position-progress.ts'
import {
  type ForeignOrder,
  type GroupPlan,
  orderSubject,
  positionSubject,
  type ReconcileAction,
  type ReconcilePlan,
  type Subject,
  type Unresolved,
  UnresolvedError,
} from './reconcile-plan.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/**
 * Decides what to do.
 *
 * @example
 * const plan = decide(state, report, resolvePolicy({ trailingStopPercent: '5' }), Date.now())
 * for (const group of plan.groups) console.log(group.key, group.decisions)
 */
export function decide(
  state: StateSnapshot,
  report: ExchangeReport,
  policy: ResolvedPolicy,
  nowMs: number,
): ReconcilePlan {
  const groups = groupOrders(state)
  const evidence = sortEvidence(groups, state, report)
  const context: Context = { state, report, policy, nowMs, evidence }

  const attempts = groups.map((group) => attempt(group, () => settleOrders(group, context)))
  const holdings = compareHeld(
    attempts.map(({ group, value }) => ({ group, settled: value })),
    context,
  )
  const adopted = new Set<string>()
  const plans = attempts.map(({ group, value: settled, plan }) => {
    if (settled === null) return plan
    const finished = attempt(group, () => {
      const holding = holdings.get(group.key) ?? 'not-tracked'
      if (holding instanceof UnresolvedError) throw holding
      return planGroup(settled, holding, context, adopted)
    })
    return finished.value ?? finished.plan
  })

  const foreign = evidence.foreign.filter(
    (order) => !adopted.has(foreignKey(order)) && !state.newer.some((each) => isSameOrder(each, order, true)),
  )
  return {
    groups: plans,
    foreignOrders: foreign.map((order) => describeForeign(order, state)),
    foreignActions: policy.onForeignOrder === 'cancel' ? foreign.map(cancelForeign) : [],
    unresolved: unlistedSymbols(report),
  }
}

interface Attempt<T> {
  readonly group: OrderGroup
  /** Null when it could not be decided. */
  readonly value: T | null
  /** What to report then: nothing is done. */
  readonly plan: GroupPlan
}

/** Runs a decision; when it can't be taken, the group is left as it is and says why. */
function attempt<T>(group: OrderGroup, decision: () => T): Attempt<T> {
  const untouched = { key: group.key, symbol: group.symbol, actions: [], decisions: [], unresolved: [] }
  try {
    return { group, value: decision(), plan: untouched }
  } catch (error) {
    if (!(error instanceof UnresolvedError)) throw error
    return { group, value: null, plan: { ...untouched, unresolved: unresolvedMembers(group, error) } }
  }
}

function unresolvedMembers(group: OrderGroup, { subject, reason, errorCode }: UnresolvedError): readonly Unresolved[] {
  const isSubject = (other: Subject) => other.kind === subject.kind && other.id === subject.id
  const members = [
    ...(group.position === null ? [] : [positionSubject(group.position)]),
    ...group.orders.filter((order) => !isUnrecordedStop(group, order)).map(orderSubject),
  ]
  return [
    { subject, reason, untouched: true, ...(errorCode === undefined ? {} : { errorCode }) },
    ...members
      .filter((member) => !isSubject(member))
      .map((member) => ({ subject: member, reason: 'RELATED_UNRESOLVED', untouched: true }) as const),
  ]
}

function settleOrders(group: OrderGroup, { report, policy, nowMs, evidence }: Context): SettledGroup {
  if (group.isStopShared && group.position !== null) {
    throw new UnresolvedError(positionSubject(group.position), 'STOP_SHARED')
  }
  const timing = { settleMs: policy.settleMs, startedAtMs: report.startedAtMs, nowMs }
  const progress = group.orders.map((order) => {
    if (group.position !== null && order.symbol !== group.position.symbol) {
      throw new UnresolvedError(orderSubject(order), 'ORDER_CONTRADICTS_POSITION')
    }
    return decideOrder(evidence.byOrder.get(order.id) as OrderEvidence, timing)
  })
  return { group, progress, position: advancePosition(group, progress, nowMs) }
}

function describeForeign(order: ExchangeOrder, state: StateSnapshot): ForeignOrder {
  const recorded = state.history.find((each) => isSameOrder(each, order, true))
  return {
    symbol: order.symbol,
    exchangeOrderId: order.exchangeOrderId,
    clientOrderId: order.clientOrderId ?? null,
    recordedAs: recorded === undefined ? null : { orderId: recorded.id, state: recorded.state },
  }
}

function cancelForeign(order: ExchangeOrder): ReconcileAction {
  return {
    kind: 'cancel-order',
    reference: {
      symbol: order.symbol,
      clientOrderId: order.clientOrderId ?? null,
      exchangeOrderId: order.exchangeOrderId,
      type: order.type ?? null,
      createdAtMs: null,
    },
    subject: { kind: 'foreign-order', id: order.exchangeOrderId, symbol: order.symbol },
  }
}

/** Symbols whose open orders could not be listed: orders only the exchange knows may have gone unseen there. */
function unlistedSymbols({ openOrders }: ExchangeReport): readonly Unresolved[] {
  const listed = new Set(openOrders.flatMap(({ symbol, result }) => (result.status === 'found' ? [symbol] : [])))
  if (listed.has(null)) return []
  const failed = new Map<string | null, Unresolved>()
  for (const { symbol, result } of openOrders) {
    if (result.status !== 'failed' || listed.has(symbol)) continue
    const name = symbol ?? '*'
    failed.set(symbol, {
      subject: { kind: 'symbol', id: name, symbol: name },
      reason: 'OPEN_ORDERS_QUERY_FAILED',
      untouched: true,
      errorCode: result.code,
    })
  }
  return [...failed.values()].sort((a, b) => compareText(a.subject.id, b.subject.id))
}
