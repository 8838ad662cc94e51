/**
 * A disk that is full, or all but full, while a store is kept up: each piece of upkeep is done or says `DISK_FULL`, has lost nothing,
 * and is done once there is room.
 */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { followArchive, restoreArchive } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, writeRoundTrip } from './traded-year.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

const MIB = 1_048_576
const LONG_TEST_MS = 1_200_000
const DOCUMENTS = 600
const TRADES = 60

if (!canMount) console.log(`upkeep on a full disk: ${WITHOUT_MOUNT}`)

function artifact(random: Random): Buffer {
  return Buffer.from(random.text(150_000))
}

/** With free pages, blocks to be merged, closed trades, artifacts and skills: something to do for each operation. */
async function usedStore(dir: string, random: Random): Promise<TestStore> {
  const store = await openTestStore(dir, { maintenance: false })
  for (let n = 0; n < 3 * DOCUMENTS; n++) void store.kv.set(`k-${n}`, 'x'.repeat(1_000))
  for (let n = DOCUMENTS; n < 3 * DOCUMENTS; n++) void store.kv.delete(`k-${n}`)
  for (let n = 0; n < TRADES; n++) {
    void writeRoundTrip(store, n)
  }
  for (let batch = 0; batch < 4; batch++) {
    const bars = Array.from({ length: 200 }, (_, n) => {
      const price = random.below(1_000_000) / 100
      return { ts: (batch * 150 + n) * 60_000, open: price, high: price, low: price, close: price, volume: n }
    })
    await store.bars.append('X', '1m', bars)
  }
  for (let n = 0; n < 3; n++) await store.artifacts.put('model', artifact(random))
  await store.skills.save({ name: 'skill', content: 'const a = 1' })
  await store.flush()
  return store
}

const OPERATIONS: Readonly<Record<string, (store: TestStore, random: Random) => Promise<unknown>>> = {
  maintain: (store) => store.maintain(),
  'full vacuum': (store) => store.maintain({ fullVacuum: true }),
  checkpoint: (store) => store.checkpoint(),
  repair: (store) => store.repair({ actor: 'test' }),
  check: (store) => store.check(),
  'compaction of series': (store) => store.series.compact(),
  'archiving of trades': (store) => store.archiveTrades({ before: closedAt(TRADES) }),
  'new password': (store, random) => store.rotatePassword(PASSWORD, { actor: random.text(5), kdf: KDF }),
  'new key slot': async (store, random) => {
    const { id } = await store.keys.add(random.text(20), { label: random.text(8), kdf: KDF })
    await store.keys.remove(id)
  },
  'audit entry': (store) => store.audit.append({ actor: 'a', event: 'run.alone' }),
  'artifact version': async (store, random) => {
    const { version } = await store.artifacts.put('model', artifact(random))
    await store.artifacts.delete('model', version)
  },
  'skill version': async (store, random) => {
    await store.skills.save({ name: random.text(8), content: random.text(5_000) })
  },
}

/** What no upkeep may change. */
async function contentOf(store: TestStore): Promise<string> {
  const all = { includeArchived: true, limit: 1_000 }
  const parts = [
    store.kv.list(),
    await store.trades.list({ orderBy: 'closedAt', ...all }),
    (await store.orders.list(all)).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    (await store.fills.list(all)).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    await store.bars.range('X', '1m').then(({ ts, close, volume }) => [[...ts], [...close], [...volume]]),
    (await store.skills.get('skill'))?.content,
  ]
  for (const version of [1, 2, 3]) {
    const bytes = await store.artifacts.get('model', version).bytes()
    parts.push(createHash('sha256').update(bytes).digest('hex'))
  }
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

async function errorsOf(store: TestStore): Promise<unknown[]> {
  return (await store.check()).filter(({ severity }) => severity === 'error')
}

test.skipIf(!canMount).each(Object.keys(OPERATIONS))(
  'a full disk during: %s',
  async (name) => {
    const operation = OPERATIONS[name] as (typeof OPERATIONS)[string]
    const random = seededRandom(`full disk during ${name}`)
    const disk = new SmallDisk(128 * MIB)
    const dir = join(disk.dir, 'store')
    const store = await usedStore(dir, random)
    const before = await contentOf(store)
    let refused = 0
    for (const blocks of [0, ...Array.from({ length: shortOrLong(1, 12) }, () => random.between(1, 200))]) {
      disk.fill(blocks * 4_096)
      const code = await codeOf(operation(store, random))
      expect([undefined, 'DISK_FULL'], `with ${blocks} blocks`).toContain(code)
      if (code === 'DISK_FULL') refused += 1
      expect(await contentOf(store)).toBe(before)
      disk.free()
      expect(await errorsOf(store)).toEqual([])
    }
    await operation(store, random)
    await store.kv.set('after', 1)
    await store.kv.delete('after')
    await store.close()
    const reopened = await openTestStore(dir)
    expect(await contentOf(reopened)).toBe(before)
    expect(await errorsOf(reopened)).toEqual([])
    expect((await reopened.audit.verify()).problems).toEqual([])
    await reopened.close()
    reportFigures(`full disk during ${name}: ${refused} refused`)
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  'a restore of a moment to a full disk leaves nothing, and a standby on one says so; both are done when there is room',
  async () => {
    const root = temporaryDirectory()
    const archive = { dir: join(root, 'archive'), intervalMs: 20 }
    const store = await openTestStore(join(root, 'store'), { archive })
    for (let n = 0; n < 2_000; n++) void store.kv.set(`k-${n}`, 'x'.repeat(2_000))
    await store.flush()
    const isShipped = { generation: expect.any(String), lagBytes: 0 }
    await vi.waitFor(async () => expect((await store.status()).archive).toMatchObject(isShipped), { timeout: 20_000 })
    await store.close()

    const disk = new SmallDisk(96 * MIB)
    disk.fill(2 * MIB)
    const request = { from: archive.dir, dir: join(disk.dir, 'restored'), password: PASSWORD }
    expect(await codeOf(restoreArchive(request))).toBe('DISK_FULL')
    expect(readdirSync(disk.dir).filter((name) => name.startsWith('restored'))).toEqual([])
    const standby = await followArchive({ from: archive.dir, dir: join(disk.dir, 'standby'), pollMs: 20 })
    await vi.waitFor(async () => expect((await standby.status()).lastError?.code).toBe('DISK_FULL'), {
      timeout: 20_000,
    })
    disk.free()
    await standby.caughtUp(20_000)
    await standby.close()
    await restoreArchive(request)
    for (const name of ['restored', 'standby']) {
      const found = await openTestStore(join(disk.dir, name))
      expect(found.kv.size).toBe(2_000)
      expect(await errorsOf(found)).toEqual([])
      await found.close()
    }
  },
  LONG_TEST_MS,
)
