/**
 * A caller that can't wait for an answer asks what became of its batches. The answer has to be right although later
 * batches have written the same documents since, and although an error may strike after the commit.
 */
import { expect, test } from 'vitest'
import { refusalOf } from './refusal.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint } from './worker-faults.ts'

/** So many writes in one turn are sent before the turn ends: several batches are then under way at once. */
const BURST = 1_024

async function outcomes(writes: readonly Promise<void>[]): Promise<string[]> {
  return await Promise.all(writes.map(async (write) => (await refusalOf(write))?.code ?? 'durable'))
}

test('a batch whose documents are deleted by the batch behind it is known to be durable', async () => {
  const store = await openTestStore(temporaryDirectory())
  const keys = Array.from({ length: BURST }, (_, n) => `${n}`)
  const writes = keys.map((key) => store.kv.set(`a-${key}`, 1))
  for (const key of keys.toReversed()) writes.push(store.kv.delete(`a-${key}`), store.kv.set(`b-${key}`, 2))
  store.sync.flush()
  expect(new Set(await outcomes(writes))).toEqual(new Set(['durable']))
  expect(store.kv.size).toBe(BURST)
  expect(await store.sql('select count(*) n, max("_version") version from kv')).toEqual([{ n: BURST, version: 1 }])
  await store.close()
})

test('a batch that failed is not taken for durable because the batch behind it wrote the same documents', async () => {
  const store = await openWithFailpoint(temporaryDirectory(), 'commit:before-commit=throw@1')
  const keys = Array.from({ length: 2 * BURST }, (_, n) => `a-${n}`)
  const alone = store.kv.delete('makes two statements of the batch').catch(() => undefined)
  const first = keys.map((key) => store.kv.set(key, 1))
  const second = keys.map((key) => store.kv.set(key, 2))
  store.sync.flush()
  await alone
  const durable = await Promise.all([outcomes(first), outcomes(second)])
  expect(durable[0]?.[0]).toBe('INTERNAL')
  expect(durable[1]?.[0]).toBe('durable')
  const rows = await store.sql<{ _key: string; _version: number }>('select "_key", "_version" from kv')
  const versions = new Map(rows.map((row) => [row._key, row._version]))
  for (const [n, key] of keys.entries()) {
    const acknowledged = durable.filter((each) => each[n] === 'durable').length
    expect(versions.get(key) ?? 0, key).toBe(acknowledged)
  }
  await store.close()
})

test('a blocking write that met an error after its commit is durable, and says so', async () => {
  const dir = temporaryDirectory()
  const store = await openWithFailpoint(dir, 'commit:after-commit=throw@1')
  store.sync.kv.put({ key: 'a', value: 1 })
  expect(store.kv.value('a')).toBe(1)
  expect((await store.kv.entry('a'))?.version).toBe(1)
  await store.close()
})
