/**
 * A load that counts: every acknowledged put of a counter has raised its version by one, and nothing else has. A write
 * that is lost or applied twice by a worker's death shows as a version that differs from the count.
 */
import { expect } from 'vitest'
import type { TestStore } from './worker-faults.ts'

export interface LoadOptions {
  readonly turns: number
  /** Adds writes that fail, which sends their batch unit by unit. */
  readonly withConflicts?: boolean
  /** Adds writes that fail only at COMMIT, in a store with the guarding migration. */
  readonly withLateConflicts?: boolean
}

export class CountingLoad {
  readonly #store: TestStore
  /** Acknowledged puts of each counter. */
  readonly acknowledged = { hot: 0, cold: 0, market: 0, transaction: 0 }
  /** Codes of the refusals of writes that ought to succeed. */
  readonly refusals: string[] = []
  #settled: Promise<void>[] = []

  constructor(store: TestStore) {
    this.#store = store
  }

  /** Writes in many turns of the event loop; resolves when every promise has settled. */
  async run({ turns, withConflicts = false, withLateConflicts = false }: LoadOptions): Promise<void> {
    const store = this.#store
    const settled = this.#settled
    for (let turn = 0; turn < turns; turn++) {
      this.#count('hot', store.kv.put({ key: 'counter', value: turn }))
      this.#count(
        'cold',
        store.trades.put({ id: 'counter', symbol: 'X', entryPrice: '1', openedAt: turn, strategy: 'trend' }),
      )
      this.#count('market', store.tickRows.put({ id: 'counter', symbol: 'X', at: turn, price: '1' }))
      this.#count('transaction', this.#transaction(turn))
      settled.push(store.kv.delete(`never-${turn}`).catch(() => undefined))
      if (withConflicts) settled.push(expectRefusal(store.orders.put({ ...order('o-2'), clientOrderId: 'c-1' })))
      if (withLateConflicts && turn % 5 === 0) {
        const trade = { id: `t-${turn}`, symbol: 'X', entryPrice: '1', openedAt: 1, strategy: 'astrology' }
        settled.push(expectRefusal(store.trades.put(trade)))
      }
      await new Promise(setImmediate)
      if (turn % 8 === 7) await Promise.all(settled)
    }
    await Promise.all(settled)
  }

  /** The versions on disk are the counts, whatever happened to the worker. */
  async expectExactlyOnce(store: TestStore): Promise<void> {
    const { hot, cold, market, transaction } = this.acknowledged
    expect({
      hot: (await store.kv.entry('counter'))?.version ?? 0,
      cold: (await store.trades.entry('counter'))?.version ?? 0,
      market: (await store.tickRows.entry('counter'))?.version ?? 0,
      transaction: (await store.positions.entry('counter'))?.version ?? 0,
      transactionAgain: (await store.kv.entry('transaction-counter'))?.version ?? 0,
    }).toEqual({ hot, cold, market, transaction, transactionAgain: transaction })
  }

  #transaction(turn: number): Promise<void> {
    return this.#store.transaction((tx) => {
      tx.positions.put({ id: 'counter', symbol: 'X', side: 'long', quantity: `${turn}`, entryPrice: '1' })
      tx.kv.put({ key: 'transaction-counter', value: turn })
    })
  }

  #count(counter: keyof CountingLoad['acknowledged'], write: Promise<void>): void {
    const counted = write.then(
      () => {
        this.acknowledged[counter] += 1
      },
      (error: { readonly code: string }) => {
        this.refusals.push(error.code)
      },
    )
    this.#settled.push(counted)
  }
}

export function order(id: string) {
  return { id, symbol: 'X', side: 'buy', state: 'open', quantity: '1' } as const
}

async function expectRefusal(write: Promise<void>): Promise<void> {
  const code = await write.then(
    () => 'durable',
    (error: { readonly code: string }) => error.code,
  )
  expect(['CONSTRAINT', 'INTERNAL', 'WORKER_LOST']).toContain(code)
}
