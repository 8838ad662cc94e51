/** Rotations where more than the two databases is at stake: yearly files, a disk that fills meanwhile, a worker that dies. */
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openStore } from './compiled-store.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, writeRoundTrip } from './traded-year.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 120_000 })

const NEXT = 'another horse, another battery, another staple'
const MIB = 1_048_576
const ROUND_TRIPS = 150
const MAX_ATTEMPTS = 10

async function errorsOf(store: TestStore): Promise<unknown[]> {
  return (await store.check()).filter(({ severity }) => severity === 'error')
}

test('a rotation of the data key takes yearly files of archived trades with it', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openTestStore(dir)
  onTestFinished(() => store.close())
  for (let n = 0; n < ROUND_TRIPS; n++) {
    void writeRoundTrip(store, n)
  }
  await store.flush()
  await store.archiveTrades({ before: new Date(closedAt(120)) })
  const counted = () => store.trades.count({}, { includeArchived: true })
  expect(await counted()).toBe(ROUND_TRIPS)
  const { files } = await store.rotateDataKey()
  expect(files).toEqual(expect.arrayContaining(['state.db', 'archive/trades-2022.db', 'archive/trades-2023.db']))
  expect(await counted()).toBe(ROUND_TRIPS)
  // What is moved after it goes into files under the new key.
  await store.archiveTrades({ before: new Date(closedAt(140)) })
  expect(await counted()).toBe(ROUND_TRIPS)
  expect(await errorsOf(store)).toEqual([])
  await store.close()
  const reopened = await openTestStore(dir)
  onTestFinished(() => reopened.close())
  expect(await reopened.trades.count({}, { includeArchived: true })).toBe(ROUND_TRIPS)
})

test('a worker that dies after a change of the password is replaced, and the new password opens the store', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openWithFailpoint(dir, 'commit:before-commit=exit@1')
  onTestFinished(() => store.close())
  await store.kv.set('before', 1)
  await store.keys.rotatePassword(NEXT)
  await store.transaction((tx) => {
    tx.kv.put({ key: 'after', value: 2 })
    tx.kv.delete('before')
  })
  expect(store.stats().workerRestarts).toBe(1)
  expect(store.kv.value('after')).toBe(2)
  await store.close()
  expect(await codeOf(openTestStore(dir))).toBe('WRONG_PASSWORD')
  const reopened = await openStore({ dir, password: NEXT })
  expect(reopened.kv.list().map(({ key }) => key)).toEqual(['after'])
  await reopened.close()
})

test.skipIf(!canMount)(
  `a disk that fills while the data key is rotated leaves a store that works, and can be rotated later (${canMount ? 'tmpfs' : WITHOUT_MOUNT})`,
  async () => {
    const disk = new SmallDisk(128 * MIB)
    const dir = join(disk.dir, 'store')
    const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
    try {
      await Promise.all(Array.from({ length: 24_000 }, (_, n) => store.kv.set(`k-${n}`, 'x'.repeat(1_000))))
      await store.checkpoint()
      const { generation } = await store.keys.list()
      // It may be done before the disk is full; then once more.
      let code: string | undefined
      for (let attempt = 0; attempt < MAX_ATTEMPTS && code === undefined; attempt++) {
        let isFilled = false
        const onProgress = ({ phase }: { readonly phase: string }) => {
          if (!isFilled && phase === 'rewriting') disk.fill()
          isFilled ||= phase === 'rewriting'
        }
        code = await codeOf(store.rotateDataKey({ onProgress }))
        disk.free()
      }
      expect(code).toBe('DISK_FULL')
      await store.kv.set('after', 1)
      expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
      await store.rotateDataKey()
      expect((await store.keys.list()).generation).toBeGreaterThan(generation)
      expect(store.kv.size).toBe(24_001)
    } finally {
      await store.close()
    }
    const reopened = await openStore({ dir, password: PASSWORD })
    expect(reopened.kv.value('after')).toBe(1)
    await reopened.close()
  },
)

test('a check that is asked for while the data key is rotated takes no page for damaged', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
  try {
    await Promise.all(Array.from({ length: 4_000 }, (_, n) => store.kv.set(`k-${n}`, 'x'.repeat(1_000))))
    const rotating = store.rotateDataKey()
    const checks = [store.check(), store.check()]
    await rotating
    for (const findings of await Promise.all(checks)) {
      expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
    }
  } finally {
    await store.close()
  }
})
