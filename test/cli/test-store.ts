/** Real stores in temporary directories, made through the API with a key derivation that is cheap enough for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { type AnyCollection, defineCollection, openStore, type Store, z } from '../../src/index.ts'
import { PASSWORD } from './run-command.ts'

export const watchlist = defineCollection({
  name: 'watchlist',
  key: 'symbol',
  schema: z.object({ symbol: z.string(), tag: z.union([z.string(), z.number()]), note: z.string().optional() }),
  indexes: ['tag'],
  hot: true,
})

export const bars = defineCollection({
  name: 'bars',
  key: 'id',
  schema: z.object({ id: z.string(), at: z.number() }),
  indexes: ['at'],
  file: 'market',
})

const OWN = { watchlist, barRows: bars }

const root = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A new one; removed when the tests of the file have run. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(root, 'd-'))
}

export type TestStore = Store<typeof OWN>

export async function openTestStore(dir: string): Promise<TestStore> {
  return await openStore({
    dir,
    password: PASSWORD,
    kdf: { memoryKiB: 19_456, iterations: 2, parallelism: 1 },
    collections: OWN satisfies Record<string, AnyCollection>,
  })
}

/** The directory of a new store that holds what `fill` puts into it. */
export async function makeStore(fill: (store: TestStore) => Promise<unknown> = async () => undefined): Promise<string> {
  const dir = join(temporaryDirectory(), 'state')
  const store = await openTestStore(dir)
  await fill(store)
  await store.close()
  return dir
}

export function order(index: number) {
  return {
    id: `o-${index}`,
    symbol: index % 2 === 0 ? 'BTC/USDT' : 'ETH/USDT',
    side: 'buy' as const,
    state: index % 3 === 0 ? ('open' as const) : ('filled' as const),
    quantity: '0.10000000',
    price: `${46_000 + index}.50`,
  }
}

export function fill(index: number, orderId = 'o-0') {
  return {
    id: `f-${index}`,
    orderId,
    price: '46000.10',
    quantity: '0.01',
    filledAt: 1_700_000_000_000 + index * 60_000,
  }
}
