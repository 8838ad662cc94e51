/**
 * The worker dies, or meets an error that nobody foresaw, in the middle of a commit: every write happens exactly once,
 * every promise settles, reads under way are answered. Workers that keep dying end the store loudly.
 */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { CountingLoad, order } from './counting-load.ts'
import { seededRandom, shortOrLong } from './fault-run.ts'
import { codeOf, refusalOf } from './refusal.ts'
import { mirrorDifferences } from './stored-content.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint } from './worker-faults.ts'

const migrations = fileURLToPath(new URL('migrations/guarded', import.meta.url))
const ROUNDS = shortOrLong(1, 12)
const LONG_TEST_MS = 600_000

const COMMIT_POINTS = [
  { name: 'commit:begun', maxHit: 6, load: {} },
  { name: 'commit:before-commit', maxHit: 6, load: {} },
  { name: 'commit:after-commit', maxHit: 12, load: {} },
  { name: 'units:before-commit', maxHit: 6, load: { withConflicts: true } },
  { name: 'units:after-commit', maxHit: 6, load: { withConflicts: true } },
  { name: 'units:between', maxHit: 12, load: { withLateConflicts: true } },
] as const

test.each(COMMIT_POINTS)(
  'each write happens exactly once when the worker dies at $name',
  async ({ name, maxHit, load }) => {
    const random = seededRandom(`exit ${name}`)
    for (let round = 0; round < ROUNDS; round++) {
      const dir = temporaryDirectory()
      const hit = random.between(1, maxHit)
      const store = await openWithFailpoint(dir, `${name}=exit@${hit}`, { migrations })
      await store.orders.insert({ ...order('o-1'), clientOrderId: 'c-1' })
      const counting = new CountingLoad(store)
      await counting.run({ turns: 60, ...load })
      expect(counting.refusals, `hit ${hit}`).toEqual([])
      expect(store.stats().workerRestarts, `hit ${hit}`).toBe(1)
      await counting.expectExactlyOnce(store)
      expect(await mirrorDifferences(store)).toEqual([])
      await store.close()
      const reopened = await openTestStore(dir, { migrations })
      await counting.expectExactlyOnce(reopened)
      expect(await reopened.check()).toEqual([])
      await reopened.close()
    }
  },
  LONG_TEST_MS,
)

test.each(COMMIT_POINTS)(
  'what is acknowledged is what is stored when an unexpected error strikes at $name',
  async ({ name, maxHit, load }) => {
    const random = seededRandom(`throw ${name}`)
    for (let round = 0; round < ROUNDS; round++) {
      const dir = temporaryDirectory()
      const hit = random.between(1, maxHit)
      const store = await openWithFailpoint(dir, `${name}=throw@${hit}`, { migrations })
      await store.orders.insert({ ...order('o-1'), clientOrderId: 'c-1' }).catch(() => undefined)
      const counting = new CountingLoad(store)
      await counting.run({ turns: 60, ...load })
      expect([...new Set(counting.refusals)], `hit ${hit}`).toEqual(counting.refusals.length === 0 ? [] : ['INTERNAL'])
      await counting.expectExactlyOnce(store)
      expect(await mirrorDifferences(store)).toEqual([])
      await store.kv.set('goes', 'on')
      await store.close()
      const reopened = await openTestStore(dir, { migrations })
      await counting.expectExactlyOnce(reopened)
      await reopened.close()
    }
  },
  LONG_TEST_MS,
)

test.each(['exit', 'throw'])('a checkpoint that ends with %s costs no write', async (action) => {
  const store = await openWithFailpoint(temporaryDirectory(), `checkpoint:before=${action}@1`)
  const counting = new CountingLoad(store)
  const load = counting.run({ turns: 40 })
  const checkpoint = codeOf(store.checkpoint())
  await load
  expect([undefined, 'INTERNAL', 'WORKER_LOST']).toContain(await checkpoint)
  await store.checkpoint()
  await counting.expectExactlyOnce(store)
  await store.close()
})

test('reads that are under way when the worker dies are answered', async () => {
  const dir = temporaryDirectory()
  const filled = await openTestStore(dir)
  await filled.orders.insert(order('o-1'))
  const fills = Array.from({ length: 500 }, (_, n) => ({
    id: `f-${n}`,
    orderId: 'o-1',
    price: '1',
    quantity: '1',
    filledAt: n,
  }))
  await filled.fills.insertMany(fills)
  await filled.close()

  const store = await openWithFailpoint(dir, 'commit:after-commit=exit@1')
  const write = store.kv.set('deadly', true)
  const reads = await Promise.all([
    store.fills.get('f-7'),
    store.fills.count(),
    store.fills.list({ orderBy: 'filledAt', limit: 3 }),
    store.fills.entry('f-9'),
    store.sql<{ n: number }>('select count(*) n from fills'),
    store.check(),
    store.status(),
  ])
  await write
  expect(reads[0]).toEqual(fills[7])
  expect(reads[1]).toBe(500)
  expect(reads[2]).toEqual(fills.slice(0, 3))
  expect(reads[3]?.version).toBe(1)
  expect(reads[4]).toEqual([{ n: 500 }])
  expect(reads[5]).toEqual([])
  expect(store.stats().workerRestarts).toBe(1)
  await store.close()
})

test('a worker that dies between two pages of a stream costs no document and doubles none', async () => {
  const dir = temporaryDirectory()
  const store = await openWithFailpoint(dir, 'checkpoint:before=exit@1')
  const ticks = Array.from({ length: 3_000 }, (_, n) => ({ id: `t-${n}`, symbol: 'X', at: n, price: '1' }))
  await store.tickRows.insertMany(ticks)
  const streamed: string[] = []
  for await (const { id } of store.tickRows.stream()) {
    if (streamed.length === 150) await codeOf(store.checkpoint())
    streamed.push(id)
  }
  expect(streamed).toEqual(ticks.map(({ id }) => id))
  expect(store.stats().workerRestarts).toBe(1)
  await store.close()
})

test('the blocking twin says that the worker died, and works again with the next one', async () => {
  const store = await openWithFailpoint(temporaryDirectory(), 'commit:after-commit=exit@1')
  let code: string | undefined
  try {
    store.sync.kv.put({ key: 'a', value: 1 })
  } catch (error) {
    code = (error as { code: string }).code
  }
  expect(code).toBe('WORKER_LOST')
  await store.flush()
  expect((await store.kv.entry('a'))?.version).toBe(1)
  store.sync.kv.put({ key: 'a', value: 2 })
  expect((await store.kv.entry('a'))?.version).toBe(2)
  await store.close()
})

test('a worker that dies while it closes loses nothing and leaves the lock free', async () => {
  const dir = temporaryDirectory()
  const store = await openWithFailpoint(dir, 'close:before-checkpoint=exit@1')
  const counting = new CountingLoad(store)
  await counting.run({ turns: 20 })
  expect([undefined, 'WORKER_LOST']).toContain(await codeOf(store.close()))
  const reopened = await openTestStore(dir)
  await counting.expectExactlyOnce(reopened)
  await reopened.close()
})

test('after repeated deaths the store fails loudly, rejects everything pending and stays readable from memory', async () => {
  const dir = temporaryDirectory()
  const before = await openTestStore(dir)
  await before.kv.set('known', 'value')
  await before.close()

  process.env.HOLDFAST_FAILPOINT = 'commit:begun=exit@1'
  const store = await openTestStore(dir)
  try {
    const failure = new Promise<string>((resolve) => store.on('failure', (error) => resolve(error.code)))
    const writes = Array.from({ length: 200 }, (_, n) =>
      store.transaction((tx) => {
        tx.kv.put({ key: `k-${n}`, value: n })
        tx.positions.put({ id: `p-${n}`, symbol: 'X', side: 'long', quantity: '1', entryPrice: '1' })
      }),
    )
    const reads = [codeOf(store.fills.get('f-1')), codeOf(store.sql('select 1'))]
    const codes = await Promise.all(writes.map((each) => codeOf(each)))
    expect(new Set(codes)).toEqual(new Set(['WORKER_LOST']))
    for (const code of await Promise.all(reads)) expect([undefined, 'WORKER_LOST']).toContain(code)
    expect(await failure).toBe('WORKER_LOST')
    expect(await codeOf(store.kv.set('later', 1))).toBe('WORKER_LOST')
    expect(await codeOf(store.fills.count())).toBe('WORKER_LOST')
    expect((await refusalOf(store.checkpoint()))?.message).toContain('Open the store again')
    expect(store.kv.value('known')).toBe('value')
    expect(store.kv.value('k-0')).toBeUndefined()
    expect(store.positions.list()).toEqual([])
    expect(store.stats().depth).toBe(0)
  } finally {
    delete process.env.HOLDFAST_FAILPOINT
    await store.close()
  }
  const reopened = await openTestStore(dir)
  expect(reopened.kv.list()).toEqual([{ key: 'known', value: 'value' }])
  await reopened.close()
})
