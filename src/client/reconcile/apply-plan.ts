/**
 * Carries a plan out, one step after the other: writes first, durable; then cancels; then orders. An order is sent once,
 * after its intent is durable. When the answer is lost, the exchange is asked whether it has the order; when that does
 * not settle it, the intent stays for the next run.
 */
import { isDeepStrictEqual } from 'node:util'
import { isStoreError, StoreError, type StoreErrorCode } from '../../protocol/store-error.ts'
import { OPEN_ORDER_STATES } from '../../schema/built-in/trading.ts'
import type { Clock } from './clock.ts'
import { compare } from './decimal-math.ts'
import type { Order, Position } from './documents.ts'
import type { CreateOrderAnswer, Exchange, ExchangeOrder } from './exchange.ts'
import { type ExchangeQueries, errorCode, withTimeout } from './exchange-queries.ts'
import { referenceOf } from './order-reference.ts'
import type { ResolvedPolicy } from './policy.ts'
import type { ReconcilableStore, ReconcileTransaction } from './reconcilable-store.ts'
import {
  type CommitBasis,
  type GroupPlan,
  orderSubject,
  type ReconcileAction,
  type StateWrite,
  type Unresolved,
  type UnresolvedReason,
} from './reconcile-plan.ts'

export interface Executor {
  readonly store: ReconcilableStore
  readonly exchange: Exchange
  readonly queries: ExchangeQueries
  readonly policy: ResolvedPolicy
  readonly clock: Clock
}

export interface AppliedGroup {
  readonly unresolved: readonly Unresolved[]
  /** What was done to its orders at the exchange is not in the store yet: look again. */
  readonly needsFollowUp: boolean
  /** The actions that were carried out, as far as is known. */
  readonly applied: readonly ReconcileAction[]
}

/** @throws StoreError when the store itself fails, such as `DISK_FULL`: then nothing more may be sent. */
export async function applyGroup(plan: GroupPlan, executor: Executor): Promise<AppliedGroup> {
  const unresolved: Unresolved[] = []
  const applied: ReconcileAction[] = []
  let needsFollowUp = false
  for (const action of plan.actions) {
    if (action.kind === 'commit') {
      const refusal = await commit(action, executor)
      if (refusal !== null) {
        for (const { subject } of plan.decisions) unresolved.push(leftAlone(subject, refusal.reason, refusal.code))
        return { unresolved, needsFollowUp: false, applied }
      }
    } else if (action.kind === 'cancel-order') {
      const failure = await cancelOrder(action, executor)
      if (failure === null) needsFollowUp = true
      else {
        unresolved.push(failure)
        continue
      }
    } else {
      const submitted = await submitOrder(action.order, executor)
      needsFollowUp ||= submitted.needsFollowUp
      if (submitted.unresolved !== null) {
        unresolved.push(submitted.unresolved)
        continue
      }
    }
    applied.push(action)
  }
  return { unresolved, needsFollowUp, applied }
}

/** Cancels at the exchange; null when it is done, or there was nothing left to cancel. */
export async function cancelOrder(
  { reference, subject }: Extract<ReconcileAction, { kind: 'cancel-order' }>,
  { exchange, policy }: Pick<Executor, 'exchange' | 'policy'>,
): Promise<Unresolved | null> {
  try {
    await withTimeout(exchange.cancelOrder(reference), policy.queryTimeoutMs)
    return null
  } catch (error) {
    return { subject, reason: 'CANCEL_FAILED', untouched: false, errorCode: errorCode(error) }
  }
}

interface Refusal {
  readonly reason: UnresolvedReason
  readonly code: StoreErrorCode
}

/** What the group itself can be blamed for. Any other failure is the store's and ends the run. */
const REFUSALS: ReadonlySet<StoreErrorCode> = new Set<StoreErrorCode>([
  'ALREADY_EXISTS',
  'VERSION_CONFLICT',
  'CONSTRAINT',
  'INVALID_DOCUMENT',
])

async function commit(
  { basis, writes }: Extract<ReconcileAction, { kind: 'commit' }>,
  { store }: Pick<Executor, 'store'>,
): Promise<Refusal | null> {
  let hasChanged = false
  try {
    await store.transaction((tx) => {
      hasChanged = !isUnchanged(basis, store, tx)
      if (hasChanged) throw stateChanged()
      for (const write of writes) perform(write, tx)
    })
    return null
  } catch (error) {
    if (hasChanged) return { reason: 'STATE_CHANGED', code: 'VERSION_CONFLICT' }
    if (isStoreError(error) && REFUSALS.has(error.code)) return { reason: 'STORE_REFUSED', code: error.code }
    throw error
  }
}

/** Nothing else runs during the callback of a transaction, so what holds here holds for the commit. */
function isUnchanged(basis: CommitBasis, store: ReconcilableStore, tx: ReconcileTransaction): boolean {
  if (!basis.orders.every((order) => isDeepStrictEqual(tx.orders.get(order.id), order))) return false
  if (basis.positionId === null) return true
  const position: Position | null = tx.positions.get(basis.positionId) ?? null
  if (!isDeepStrictEqual(position, basis.position)) return false
  const live = store.orders.find({ state: { in: [...OPEN_ORDER_STATES] }, positionId: basis.positionId })
  if (!Array.isArray(live)) return true
  const known = new Set(basis.orders.map((order) => order.id))
  return (live as readonly Order[]).every((order) => known.has(order.id))
}

function stateChanged(): StoreError {
  return new StoreError(
    'VERSION_CONFLICT',
    'The position or its orders changed while the exchange was asked. Nothing was written: reconcile again.',
  )
}

function perform(write: StateWrite, tx: ReconcileTransaction): void {
  switch (write.kind) {
    case 'put-order':
      tx.orders.put(write.order)
      return
    case 'insert-order':
      tx.orders.insert(write.order)
      return
    case 'insert-fill':
      tx.fills.insert(write.fill)
      return
    case 'put-position':
      tx.positions.put(write.position)
      return
    case 'delete-position':
      tx.positions.delete(write.positionId)
      return
    case 'put-trade':
      tx.trades.put(write.trade)
  }
}

interface Submitted {
  readonly unresolved: Unresolved | null
  readonly needsFollowUp: boolean
}

async function submitOrder(order: Order, executor: Executor): Promise<Submitted> {
  const { exchange, queries, policy } = executor
  let answer: CreateOrderAnswer | null = null
  let code: StoreErrorCode = 'EXCHANGE_ERROR'
  try {
    answer = await withTimeout(
      exchange.createOrder({
        clientOrderId: order.clientOrderId ?? order.id,
        symbol: order.symbol,
        side: order.side,
        type: order.type ?? 'market',
        quantity: order.quantity,
        price: order.price ?? null,
        stopPrice: order.stopPrice ?? null,
        reduceOnly: order.reduceOnly ?? false,
      }),
      policy.queryTimeoutMs,
    )
  } catch (error) {
    code = errorCode(error)
  }
  if (answer?.status === 'accepted') return await recordAccepted(order, answer.order, executor)

  // A refusal may mean that the exchange has it already ("duplicate client order id"): ask before believing it.
  const lookup = await queries.order(referenceOf(order))
  if (lookup.status === 'found') return await recordAccepted(order, lookup.value, executor)
  if (answer?.status === 'refused' && lookup.status === 'not-found') return await recordRefused(order, executor)
  await update(order, executor, (current) => ({ ...current, updatedAt: executor.clock.now() }))
  const unresolved = leftAlone(orderSubject(order), 'SUBMIT_UNKNOWN', lookup.status === 'failed' ? lookup.code : code)
  return { unresolved: { ...unresolved, untouched: false }, needsFollowUp: false }
}

async function recordAccepted(order: Order, report: ExchangeOrder, executor: Executor): Promise<Submitted> {
  await update(order, executor, (current) => ({
    ...current,
    state: 'open',
    exchangeOrderId: report.exchangeOrderId,
    updatedAt: executor.clock.now(),
  }))
  const isResting = order.type !== 'market' && report.status === 'open' && compare(report.filledQuantity ?? 0, 0) === 0
  return { unresolved: null, needsFollowUp: !isResting }
}

async function recordRefused(order: Order, executor: Executor): Promise<Submitted> {
  const now = executor.clock.now()
  await executor.store.transaction((tx) => {
    const current = tx.orders.get(order.id)
    if (current?.state === 'intent') tx.orders.put({ ...current, state: 'rejected', updatedAt: now })
    const position = order.positionId ? tx.positions.get(order.positionId) : undefined
    if (position?.stopOrderId === order.id) tx.positions.put({ ...position, stopOrderId: null, updatedAt: now })
  })
  const unresolved = { subject: orderSubject(order), reason: 'SUBMIT_REFUSED', untouched: false } as const
  return { unresolved, needsFollowUp: false }
}

/** Writes an order that was just sent, unless somebody has taken it further meanwhile. */
async function update(order: Order, { store }: Executor, change: (current: Order) => Order): Promise<void> {
  await store.transaction((tx) => {
    const current = tx.orders.get(order.id)
    if (current?.state === 'intent') tx.orders.put(change(current))
  })
}

function leftAlone(subject: Unresolved['subject'], reason: UnresolvedReason, errorCode: StoreErrorCode): Unresolved {
  return { subject, reason, untouched: true, errorCode }
}
