/** The part of a store that `reconcile` uses, as a structure: the real `Store` has it, and so has a store made for a test. */
import type { AuditEntryInput } from '../../schema/audit-entry.ts'
import type { recoveryMetrics } from '../../schema/built-in/metrics.ts'
import type { fills, orders } from '../../schema/built-in/trading.ts'
import type { InputOf } from '../../schema/define-collection.ts'
import type { Query, Where } from '../../schema/query.ts'
import type { Fill, Order, Position, Trade } from './documents.ts'

type MaybePromise<T> = T | Promise<T>

/** What a transaction offers inside its synchronous callback. `get` answers from memory. */
export interface ReconcileTransaction {
  readonly positions: {
    get(id: string): Position | undefined
    put(position: Position): void
    delete(id: string): void
  }
  readonly orders: { get(id: string): Order | undefined; put(order: Order): void; insert(order: Order): void }
  readonly fills: { insert(fill: Fill): void }
  readonly trades: { put(trade: Trade): void }
}

/** What `reconcile` needs of a store. */
export interface ReconcilableStore {
  readonly positions: { list(): MaybePromise<readonly Position[]> }
  readonly orders: { find(where: Where<typeof orders>): MaybePromise<readonly Order[]> }
  readonly fills: { list(query: Query<typeof fills>): MaybePromise<readonly Fill[]> }
  readonly audit: { append(entry: AuditEntryInput): Promise<void> }
  readonly recoveryMetrics: { insert(record: InputOf<typeof recoveryMetrics>): Promise<void> }
  /** Whole or absent; resolves when durable. */
  transaction(work: (tx: ReconcileTransaction) => void): Promise<unknown>
}
