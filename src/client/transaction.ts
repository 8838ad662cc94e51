/**
 * A transaction is a list of operations gathered by a synchronous callback and accepted as one unit: whole or absent.
 * Because nothing else can run during the callback, what it reads from hot collections can't change under it.
 */
import { StoreError } from '../protocol/store-error.ts'
import type { AnyCollection, DocumentOf, HeatOf, InputOf } from '../schema/define-collection.ts'
import { prepareAuditEntry } from './audit/audit-entry-input.ts'
import type { TransactionAudit } from './audit/store-audit.ts'
import {
  type KeyedValueOf,
  MAX_UNIT_OPERATIONS,
  prepareDelete,
  prepareInsert,
  prepareInserts,
  preparePut,
  type WriteOptions,
} from './collection.ts'
import type { CollectionState } from './collection-state.ts'
import type { Document } from './document-query.ts'
import type { Operation } from './operation.ts'

export interface TransactionWrites<C extends AnyCollection> {
  /** Adds a put; throws `INVALID_DOCUMENT`, which ends the transaction with nothing written. */
  put(document: InputOf<C>, options?: WriteOptions): void
  insert(document: InputOf<C>): void
  insertMany(documents: readonly InputOf<C>[]): void
  delete(key: string, options?: WriteOptions): void
}

export interface TransactionReads<C extends AnyCollection> {
  /** The document in memory, as this transaction would leave it. */
  get(key: string): DocumentOf<C> | undefined
}

/** A collection of `{ key, value }` documents inside a transaction. */
export interface TransactionKeyValue<V> {
  /** Shorthand for `put({ key, value })`. */
  set(key: string, value: V): void
  /** Shorthand for `get(key)?.value`: as this transaction would leave it. */
  value(key: string): V | undefined
}

/** A collection inside a transaction: writes, and for what is in memory reads that see them. */
export type TransactionCollection<C extends AnyCollection> = (HeatOf<C> extends false
  ? TransactionWrites<C>
  : TransactionWrites<C> & TransactionReads<C>) &
  ([KeyedValueOf<C>] extends [never] ? unknown : TransactionKeyValue<KeyedValueOf<C>>)

export type TransactionScope<Cs extends Readonly<Record<string, AnyCollection>>> = {
  readonly [K in keyof Cs]: TransactionCollection<Cs[K]>
} & {
  /** Entries that explain what this transaction writes: durable with it, or absent with it. */
  readonly audit: TransactionAudit
}

class OpenTransaction {
  readonly operations: Operation[] = []
  isOpen = true

  add(operation: Operation): void {
    if (!this.isOpen) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'This transaction is over. Use its collections inside the callback only.',
      )
    }
    if (this.operations.length === MAX_UNIT_OPERATIONS) {
      throw new StoreError('INVALID_ARGUMENT', `A transaction takes up to ${MAX_UNIT_OPERATIONS} operations.`)
    }
    this.operations.push(operation)
  }
}

class StoreTransactionCollection {
  readonly #state: CollectionState
  readonly #transaction: OpenTransaction

  constructor(state: CollectionState, transaction: OpenTransaction) {
    this.#state = state
    this.#transaction = transaction
  }

  put(document: unknown, options?: WriteOptions): void {
    this.#transaction.add(preparePut(this.#state, document, options))
  }

  insert(document: unknown): void {
    this.#transaction.add(prepareInsert(this.#state, document))
  }

  insertMany(documents: readonly unknown[]): void {
    for (const operation of prepareInserts(this.#state, documents)) this.#transaction.add(operation)
  }

  delete(key: string, options?: WriteOptions): void {
    this.#transaction.add(prepareDelete(this.#state, key, options))
  }

  set(key: string, value: unknown): void {
    this.put({ key, value })
  }

  value(key: string): unknown {
    return this.get(key)?.value
  }

  get(key: string): Document | undefined {
    const { mirror } = this.#state
    const own = this.#transaction.operations.findLast((each) => each.target === this.#state && each.key === key)
    if (own === undefined) return mirror?.get(key)
    return own.document !== undefined && mirror?.isHot(own.document) === true ? own.document : undefined
  }
}

/** Runs `callback` and returns what it gathered. Whatever it throws passes through. */
export function gatherTransaction(
  states: ReadonlyMap<string, CollectionState>,
  trail: CollectionState,
  callback: (scope: never) => unknown,
): readonly Operation[] {
  const transaction = new OpenTransaction()
  const append = (entry: unknown) => transaction.add(prepareAuditEntry(trail, entry))
  const scope: Record<string, StoreTransactionCollection | { append(entry: unknown): void }> = { audit: { append } }
  for (const [name, state] of states) scope[name] = new StoreTransactionCollection(state, transaction)
  try {
    const returned = callback(scope as never)
    if (typeof (returned as { then?: unknown } | null | undefined)?.then === 'function') {
      Promise.resolve(returned).catch(() => undefined)
      throw new StoreError(
        'INVALID_ARGUMENT',
        'The callback of a transaction must be synchronous: read what you need first, then write. Nothing was written.',
      )
    }
  } finally {
    transaction.isOpen = false
  }
  return transaction.operations
}
