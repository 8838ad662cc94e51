/** Everything a store holds, read back through the library. */
import { type DemoStore, openDemoStore } from '../bot/demo-store.ts'
import { WALLET_ADDRESS } from '../bot/prepare-store.ts'

/** What is written when something goes wrong or is looked up: of its nature different in every run. */
export const COLLECTIONS_COMPARED = [
  'positions',
  'orders',
  'fills',
  'trades',
  'kv',
  'flags',
  'preferences',
  'users',
  'wallets',
  'algorithmMetrics',
  'bars',
] as const

export type ComparedCollection = (typeof COLLECTIONS_COMPARED)[number]
export type StateDocument = Readonly<Record<string, unknown>>

export interface StoredState {
  readonly documents: Readonly<Record<ComparedCollection, readonly StateDocument[]>>
  readonly walletKey: string | null
  /** What `store.check()` has found wrong. */
  readonly findings: readonly string[]
}

export async function readStoredState(dir: string): Promise<StoredState> {
  const store = await openDemoStore(dir)
  try {
    const documents = {} as Record<ComparedCollection, readonly StateDocument[]>
    for (const name of COLLECTIONS_COMPARED) documents[name] = await readAll(store, name)
    const sealed = await store.wallets.reveal(WALLET_ADDRESS, {
      actor: 'demo',
      reason: 'compare with what was written',
    })
    const findings = await store.check()
    return { documents, walletKey: sealed.privateKey, findings: findings.map((finding) => JSON.stringify(finding)) }
  } finally {
    await store.close()
  }
}

async function readAll(store: DemoStore, name: ComparedCollection): Promise<StateDocument[]> {
  const documents: StateDocument[] = []
  for await (const document of store.collection(name).stream()) documents.push(document as StateDocument)
  return documents
}
