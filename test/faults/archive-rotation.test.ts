/** Moments of an archive across a rotation of the data key, with writes going on all the while. */
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { restoreArchive } from './compiled-store.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 120_000 })

const FILLER = 1_500

interface Written {
  readonly n: number
  readonly sequence: number
}

async function archived(root: string, baseEveryMs?: number): Promise<TestStore> {
  const archive = { dir: join(root, 'archive'), intervalMs: 20, ...(baseEveryMs === undefined ? {} : { baseEveryMs }) }
  const store = await openTestStore(join(root, 'store'), { archive })
  onTestFinished(() => store.close())
  await vi.waitFor(async () => expect((await store.status()).archive?.generation).not.toBeNull(), { timeout: 20_000 })
  return store
}

async function write(store: TestStore, n: number): Promise<Written> {
  await store.kv.set('n', n)
  await store.tickRows.put({ id: `t-${n}`, symbol: 'BTC/USDT', at: n, price: '1' })
  const [row] = await store.sql(`select "_sequence" from main."kv" where "_key" = 'n'`)
  return { n, sequence: Number(row?._sequence) }
}

/** Nothing but the upkeep writes to market.db. */
async function writeState(store: TestStore, n: number): Promise<Written> {
  await store.kv.set('n', n)
  const [row] = await store.sql(`select "_sequence" from main."kv" where "_key" = 'n'`)
  return { n, sequence: Number(row?._sequence) }
}

/** Resolves when the generation after `before` is there. */
async function expectGenerationAfter(store: TestStore, before: string | null | undefined): Promise<void> {
  await vi.waitFor(
    async () => {
      const { archive } = await store.status()
      expect(archive, JSON.stringify(archive)).toMatchObject({ generation: expect.any(String), lastError: null })
      expect(archive?.generation).not.toBe(before)
    },
    { timeout: 20_000 },
  )
}

async function expectRestorable(root: string, { n, sequence }: Written, filler = FILLER): Promise<void> {
  const dir = join(root, `restored-${n}`)
  const restored = await restoreArchive({ from: join(root, 'archive'), dir, password: PASSWORD, sequence })
  expect(restored, `${n}`).toMatchObject({ isComplete: true, problems: [], sequence })
  const store = await openTestStore(dir)
  try {
    expect(store.kv.value('n')).toBe(n)
    expect(await store.kv.count()).toBe(filler + 1)
    const findings = await store.check()
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  } finally {
    await store.close()
  }
}

test('every moment before, within and after a rotation of the data key can be restored', async () => {
  const root = temporaryDirectory()
  const store = await archived(root)
  await Promise.all(Array.from({ length: FILLER }, (_, n) => store.kv.set(`filler-${n}`, 'x'.repeat(1_000))))
  const before = [await write(store, 1), await write(store, 2)]
  const first = (await store.status()).archive?.generation
  let isRotating = true
  const rotation = store.rotateDataKey().finally(() => {
    isRotating = false
  })
  const within: Written[] = []
  while (isRotating) within.push(await write(store, 3 + within.length))
  await rotation
  const after = [await write(store, 3 + within.length)]
  await vi.waitFor(async () => expect((await store.status()).archive?.generation).not.toBe(first), { timeout: 20_000 })
  after.push(await write(store, 4 + within.length))
  await store.checkpoint()
  after.push(await write(store, 5 + within.length))
  expect(store.stats().workerRestarts).toBe(0)
  await store.close()
  const middle = within.filter((_, n) => n % Math.ceil(within.length / 5) === 0)
  const chosen = new Set([...before, ...middle, ...within.slice(-1), ...after])
  for (const written of chosen) await expectRestorable(root, written)
})

test('the archive goes on behind a rotation while it checkpoints and changes generations again', async () => {
  const root = temporaryDirectory()
  const store = await archived(root)
  await Promise.all(Array.from({ length: FILLER }, (_, n) => store.kv.set(`filler-${n}`, 'x'.repeat(1_000))))
  const moments: Written[] = []
  for (let round = 0; round < 3; round++) {
    await store.rotateDataKey()
    moments.push(await write(store, 2 * round))
    await store.checkpoint()
    moments.push(await write(store, 2 * round + 1))
  }
  await store.close()
  for (const moment of moments.slice(2)) await expectRestorable(root, moment)
})

test('a database that nobody writes to holds up no generation: its log was emptied, with what a rotation put there', async () => {
  const root = temporaryDirectory()
  const store = await archived(root)
  const moments: Written[] = []
  for (let round = 0; round < 3; round++) {
    const before = (await store.status()).archive?.generation
    moments.push(await writeState(store, 3 * round))
    await vi.waitFor(() => store.rotateDataKey(), { timeout: 20_000 })
    // Whether into the generation before or the next one: it stands on pages under the new key.
    moments.push(await write(store, 3 * round + 1))
    await expectGenerationAfter(store, before)
    moments.push(await writeState(store, 3 * round + 2))
  }
  await store.close()
  for (const moment of moments.slice(3)) await expectRestorable(root, moment, 0)
})

test('generations that are begun by time go on without a commit, and after a checkpoint that empties the logs', async () => {
  const root = temporaryDirectory()
  const store = await archived(root, 60_000)
  await store.close()
  const impatient = await archived(root, 1_000)
  const written = await write(impatient, 1)
  for (let round = 0; round < 2; round++) {
    const before = (await impatient.status()).archive?.generation
    await impatient.checkpoint()
    await expectGenerationAfter(impatient, before)
  }
  await impatient.close()
  await expectRestorable(root, written, 0)
})
