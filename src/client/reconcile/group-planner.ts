import type { Order } from './documents.ts'
import { isUnrecordedStop, type OrderGroup } from './order-groups.ts'
import { referenceOf } from './order-reference.ts'
import {
  type Decision,
  type DecisionCode,
  type GroupPlan,
  orderSubject,
  type ReconcileAction,
  type StateWrite,
  type Subject,
  type Unresolved,
} from './reconcile-plan.ts'

/** Collects the plan of one group. */
export class GroupPlanner {
  readonly writes: StateWrite[] = []
  readonly decisions: Decision[] = []
  readonly unresolved: Unresolved[] = []
  readonly cancels: ReconcileAction[] = []
  readonly submits: ReconcileAction[] = []
  readonly nowMs: number
  readonly #group: OrderGroup

  constructor(group: OrderGroup, nowMs: number) {
    this.#group = group
    this.nowMs = nowMs
  }

  decide(code: DecisionCode, subject: Subject): void {
    this.decisions.push({ code, subject })
  }

  cancel(order: Order, code: DecisionCode): void {
    this.cancels.push({ kind: 'cancel-order', reference: referenceOf(order), subject: orderSubject(order) })
    this.decide(code, orderSubject(order))
  }

  insert(order: Order, code: DecisionCode): void {
    this.writes.push({ kind: 'insert-order', order })
    this.decide(code, orderSubject(order))
  }

  reject(order: Order): void {
    this.writes.push({ kind: 'put-order', order: { ...order, state: 'rejected', updatedAt: this.nowMs } })
    this.decide('INTENT_REJECTED', orderSubject(order))
  }

  submit(order: Order, code: DecisionCode): void {
    this.submits.push({ kind: 'submit-order', order })
    this.decide(code, orderSubject(order))
  }

  finish(): GroupPlan {
    const { key, symbol, positionId, position, orders } = this.#group
    const recorded = orders.filter((order) => !isUnrecordedStop(this.#group, order))
    const basis = { positionId, position, orders: recorded }
    const commit: ReconcileAction[] =
      this.writes.length === 0 ? [] : [{ kind: 'commit', basis, writes: sortWrites(this.writes) }]
    return {
      key,
      symbol,
      actions: [...commit, ...this.cancels, ...this.submits],
      decisions: this.decisions,
      unresolved: this.unresolved,
    }
  }
}

/** Parents before children: an order before its fills. */
const WRITE_ORDER = [
  'insert-order',
  'put-order',
  'insert-fill',
  'put-trade',
  'put-position',
  'delete-position',
] as const

function sortWrites(writes: readonly StateWrite[]): readonly StateWrite[] {
  return [...writes].sort((a, b) => WRITE_ORDER.indexOf(a.kind) - WRITE_ORDER.indexOf(b.kind))
}
