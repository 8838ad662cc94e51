/** Everything a store holds, read back through its public face. */
import type { Store } from '../../src/index.ts'
import type { DatabaseFile } from '../../src/schema/database-file.ts'
import { type Content, canonicalText, type StoredDocument } from './expected-content.ts'

export const COLLECTIONS_OF_FILE = {
  state: [
    'positions',
    'orders',
    'fills',
    'trades',
    'kv',
    'preferences',
    'flags',
    'users',
    'wallets',
    'algorithmMetrics',
    'recoveryMetrics',
    'watchlist',
  ],
  market: ['ticks'],
} as const satisfies Record<DatabaseFile, readonly string[]>

const WHOLLY_HOT = ['positions', 'kv', 'preferences', 'flags'] as const

export async function storedContent(store: Store, file: DatabaseFile): Promise<Content> {
  const content = new Map<string, StoredDocument>()
  for (const collection of COLLECTIONS_OF_FILE[file]) {
    if (!store.collectionNames.includes(collection)) continue
    const rows = await store.sql(`select "_key", "_version", "_doc" from "${collection}"`, [], {
      file,
      maxRows: 1_000_000,
    })
    for (const row of rows) {
      const document: unknown = JSON.parse(String(row._doc))
      content.set(`${collection}/${String(row._key)}`, { version: Number(row._version), document })
    }
  }
  return content
}

/** The documents that are in memory and on disk in different states; with nothing pending there are none. */
export async function mirrorDifferences(store: Store): Promise<string[]> {
  const stored = await storedContent(store, 'state')
  const found: string[] = []
  for (const name of WHOLLY_HOT) {
    const disk = [...stored].filter(([id]) => id.startsWith(`${name}/`)).map(([, each]) => canonicalText(each.document))
    const memory = store[name].list().map(canonicalText)
    found.push(...onlyInOne(name, memory, disk))
  }
  const open = store.orders.find({ state: { in: ['intent', 'open', 'partially_filled'] } }) as readonly unknown[]
  const diskOpen = [...stored]
    .filter(([id]) => id.startsWith('orders/'))
    .map(([, each]) => each.document as { readonly state: string })
    .filter(({ state }) => ['intent', 'open', 'partially_filled'].includes(state))
  found.push(...onlyInOne('orders', open.map(canonicalText), diskOpen.map(canonicalText)))
  return found
}

function onlyInOne(name: string, memory: readonly string[], disk: readonly string[]): string[] {
  const inMemory = new Set(memory)
  const onDisk = new Set(disk)
  return [
    ...memory.filter((text) => !onDisk.has(text)).map((text) => `${name}: only in memory ${text}`),
    ...disk.filter((text) => !inMemory.has(text)).map((text) => `${name}: only on disk ${text}`),
  ]
}
