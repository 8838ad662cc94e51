/** Carries one step of a workload out on a store. Resolves when durable. */
import type { Store } from '../../src/index.ts'
import type { Step, Write } from './workload.ts'

interface AnyWrites {
  put(document: unknown, options?: { readonly ifVersion: number }): Promise<void> | void
  insert(document: unknown): Promise<void> | void
  insertMany(documents: readonly unknown[]): Promise<void> | void
  delete(key: string): Promise<void> | void
}

type AnyScope = Readonly<Record<string, AnyWrites>>

/** Where a collection does not go by its name: `store.ticks` is the store's own. */
const PROPERTY_OF: Readonly<Record<string, string>> = { ticks: 'tickRows' }

function writesOf(scope: AnyScope, collection: string): AnyWrites {
  return scope[PROPERTY_OF[collection] ?? collection] as AnyWrites
}

export async function carryOut(store: Store, { how, writes }: Step): Promise<void> {
  const collections = store as unknown as AnyScope
  const [first] = writes as readonly [Write]
  switch (how) {
    case 'single':
      return await perform(collections, first)
    case 'blocking':
      return await perform(store.sync as unknown as AnyScope, first)
    case 'insertMany':
      return await writesOf(collections, first.collection).insertMany(writes.map((write) => write.document))
    case 'transaction':
      return await store.transaction((tx) => {
        for (const write of writes) void perform(tx as unknown as AnyScope, write)
      })
  }
}

function perform(scope: AnyScope, { collection, kind, key, document, ifVersion }: Write): Promise<void> | void {
  const target = writesOf(scope, collection)
  if (kind === 'delete') return target.delete(key)
  if (kind === 'insert') return target.insert(document)
  return ifVersion === undefined ? target.put(document) : target.put(document, { ifVersion })
}
