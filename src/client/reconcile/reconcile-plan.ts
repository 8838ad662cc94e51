/** The vocabulary of decisions: what to do, why, and what was left alone. Codes are for programs; none carries a value. */
import type { StoreErrorCode } from '../../protocol/store-error.ts'
import type { Fill, Order, OrderState, Position, Trade } from './documents.ts'
import type { OrderReference } from './exchange.ts'

/** What was decided about one order or position. */
export type DecisionCode =
  | 'ORDER_UPDATED'
  | 'ORDER_ADOPTED'
  | 'FILL_IMPORTED'
  | 'INTENT_REJECTED'
  | 'INTENT_RESUBMITTED'
  | 'EXIT_WITHOUT_POSITION'
  | 'POSITION_OPENED'
  | 'POSITION_UPDATED'
  | 'POSITION_CLOSED'
  | 'STOP_CLEARED'
  | 'STOP_ADOPTED'
  | 'STOP_TRAILED'
  | 'STOP_PLACED'
  | 'STOP_REPLACED'
  | 'STOP_CANCELED'
  | 'EXIT_PLACED'
  | 'FOREIGN_ORDER_CANCELED'

/** Why something was left for a person, or for the next run. */
export type UnresolvedReason =
  // The exchange could not be asked.
  | 'ORDER_QUERY_FAILED'
  | 'OPEN_ORDERS_QUERY_FAILED'
  | 'FILLS_QUERY_FAILED'
  | 'POSITION_QUERY_FAILED'
  | 'PRICE_QUERY_FAILED'
  | 'MARKET_RULES_QUERY_FAILED'
  // Its answer can be read in more than one way.
  | 'NO_ORDER_ID'
  | 'NOT_SETTLED'
  | 'STATUS_UNKNOWN'
  | 'REPORTS_CONFLICT'
  | 'REPORT_CONTRADICTS_ORDER'
  | 'REPORT_REGRESSED'
  | 'FILLED_QUANTITY_UNKNOWN'
  | 'FILLS_INCOMPLETE'
  | 'FILLS_CONFLICT'
  | 'FILLS_EXCEED_REPORT'
  | 'FILLS_EXCEED_ORDER'
  | 'FILLS_PARTLY_APPLIED'
  // Store and exchange don't fit together.
  | 'POSITION_INVALID'
  | 'ORDER_CONTRADICTS_POSITION'
  | 'EXIT_EXCEEDS_POSITION'
  | 'POSITION_MISMATCH'
  | 'FLAT_UNEXPLAINED'
  | 'STOP_SHARED'
  | 'STOP_FILLED_EARLIER'
  | 'STOPS_AMBIGUOUS'
  | 'STOP_BREACHED'
  | 'STOP_WITHOUT_POSITION'
  | 'QUANTITY_BELOW_LOT'
  /** Another order of the same position is unresolved. */
  | 'RELATED_UNRESOLVED'
  // While carrying it out.
  | 'SUBMIT_UNKNOWN'
  | 'SUBMIT_REFUSED'
  | 'CANCEL_FAILED'
  | 'STATE_CHANGED'
  | 'STORE_REFUSED'
  | 'ROUNDS_EXHAUSTED'

export interface Subject {
  readonly kind: 'order' | 'position' | 'foreign-order' | 'symbol'
  readonly id: string
  readonly symbol: string
}

export interface Decision {
  readonly code: DecisionCode
  readonly subject: Subject
}

export interface Unresolved {
  readonly subject: Subject
  readonly reason: UnresolvedReason
  /** True when nothing about the subject was changed, in the store or at the exchange. */
  readonly untouched: boolean
  /** The error behind it, if there was one. */
  readonly errorCode?: StoreErrorCode
}

/** An open order at the exchange that is none of the store's open orders. */
export interface ForeignOrder {
  readonly symbol: string
  readonly exchangeOrderId: string
  readonly clientOrderId: string | null
  /** The store knows the order, as final: somebody, or a lost answer, revived it. Null when it has never heard of it. */
  readonly recordedAs: { readonly orderId: string; readonly state: OrderState } | null
}

/** One write of a commit. */
export type StateWrite =
  | { readonly kind: 'put-order'; readonly order: Order }
  | { readonly kind: 'insert-order'; readonly order: Order }
  | { readonly kind: 'insert-fill'; readonly fill: Fill }
  | { readonly kind: 'put-position'; readonly position: Position }
  | { readonly kind: 'delete-position'; readonly positionId: string }
  | { readonly kind: 'put-trade'; readonly trade: Trade }

/** What the decision was based on; a commit that finds something else writes nothing. */
export interface CommitBasis {
  readonly positionId: string | null
  readonly position: Position | null
  readonly orders: readonly Order[]
}

/**
 * What to do, in order. A commit is one transaction; an order is sent only after the commit that made it a durable
 * intent.
 */
export type ReconcileAction =
  | { readonly kind: 'commit'; readonly basis: CommitBasis; readonly writes: readonly StateWrite[] }
  | { readonly kind: 'cancel-order'; readonly reference: OrderReference; readonly subject: Subject }
  | { readonly kind: 'submit-order'; readonly order: Order }

/** Everything about one position and its orders, or about one order that belongs to no position. */
export interface GroupPlan {
  readonly key: string
  readonly symbol: string
  readonly actions: readonly ReconcileAction[]
  readonly decisions: readonly Decision[]
  readonly unresolved: readonly Unresolved[]
}

export interface ReconcilePlan {
  /** In the order of their keys. */
  readonly groups: readonly GroupPlan[]
  readonly foreignOrders: readonly ForeignOrder[]
  /** Cancels of foreign orders. */
  readonly foreignActions: readonly ReconcileAction[]
  /** Symbols whose open orders could not be listed. */
  readonly unresolved: readonly Unresolved[]
}

/** A decision that can't be taken: ends the work on its group and leaves it untouched. */
export class UnresolvedError extends Error {
  override readonly name = 'UnresolvedError'
  readonly subject: Subject
  readonly reason: UnresolvedReason
  readonly errorCode: StoreErrorCode | undefined

  constructor(subject: Subject, reason: UnresolvedReason, errorCode?: StoreErrorCode) {
    super(reason)
    this.subject = subject
    this.reason = reason
    this.errorCode = errorCode
  }
}

export function orderSubject(order: Order): Subject {
  return { kind: 'order', id: order.id, symbol: order.symbol }
}

export function positionSubject(position: Position): Subject {
  return { kind: 'position', id: position.id, symbol: position.symbol }
}
