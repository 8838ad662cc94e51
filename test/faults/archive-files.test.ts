/**
 * What lies beside the databases comes back with any moment, too: chunks of artifacts, those that were deleted since among
 * them, and yearly files of archived trades. A standby has them without a key.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { followArchive, restoreArchive } from './compiled-store.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, writeRoundTrip } from './traded-year.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 120_000 })

/** More than any interval in a test: only the end ships. */
const NEVER_MS = 600_000

interface Place {
  readonly root: string
  readonly dir: string
  readonly from: string
}

function place(): Place {
  const root = temporaryDirectory()
  return { root, dir: join(root, 'state'), from: join(root, 'archive') }
}

async function archived({ dir, from }: Place, options: { intervalMs?: number } = {}): Promise<TestStore> {
  const store = await openTestStore(dir, { archive: { dir: from, intervalMs: 20, ...options } })
  onTestFinished(() => store.close())
  await until(async () => (await store.status()).archive?.generation != null)
  return store
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 20_000, interval: 10 })
}

async function shipped(store: TestStore): Promise<void> {
  await until(async () => (await store.status()).archive?.lagBytes === 0)
}

/** A time that lies behind what was done before and before what is done next. */
async function moment(): Promise<number> {
  await sleep(5)
  const atMs = Date.now()
  await sleep(5)
  return atMs
}

let restores = 0

async function restored({ root, from }: Place, at?: number) {
  restores += 1
  const dir = join(root, `restored-${restores}`)
  const result = await restoreArchive({ from, dir, password: PASSWORD, ...(at === undefined ? {} : { at }) })
  const store = await openTestStore(dir)
  onTestFinished(() => store.close())
  return { ...result, store }
}

function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function pool({ from }: Place, kind: 'blobs' | 'archive'): string[] {
  return filesBelow(join(from, 'archive-files', kind))
}

function flipBit(path: string): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

async function trade(store: TestStore, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) {
    await writeRoundTrip(store, n)
  }
}

async function archiveTrades(store: TestStore, before: number): Promise<void> {
  await vi.waitFor(() => store.archiveTrades({ before: new Date(closedAt(before)) }), 20_000)
}

async function allTrades(store: TestStore): Promise<number> {
  let count = 0
  for await (const _ of store.trades.stream({ includeArchived: true })) count += 1
  return count
}

describe('artifacts in an archive', () => {
  it('are there as they were at each moment, whatever was deleted since', async () => {
    const where = place()
    const store = await archived(where)
    await store.artifacts.put('model', Buffer.from('the first version'))
    const first = await moment()
    await store.artifacts.put('model', Buffer.from('the second version'))
    const second = await moment()
    await shipped(store)
    await store.artifacts.delete('model', 1)
    await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    expect(filesBelow(join(where.dir, 'blobs'))).toHaveLength(1)
    await store.close()
    const contents: string[][] = []
    for (const at of [first, second, undefined]) {
      const copy = await restored(where, at)
      expect(copy).toMatchObject({ isComplete: true, problems: [], missingFiles: [], artifactsWithoutContent: [] })
      expect((await copy.store.artifacts.verify()).damage).toEqual([])
      expect((await copy.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
      const versions = await copy.store.artifacts.versions('model')
      const texts = versions.map(async ({ version }) =>
        Buffer.from(await copy.store.artifacts.get('model', version).bytes()).toString(),
      )
      contents.push(await Promise.all(texts))
    }
    expect(contents).toEqual([
      ['the first version'],
      ['the second version', 'the first version'],
      ['the second version'],
    ])
  })

  it('that were put and deleted before anything was shipped are in the moments between', async () => {
    const where = place()
    await (await archived(where)).close()
    const store = await archived(where, { intervalMs: NEVER_MS })
    await shipped(store)
    await store.artifacts.put('model', Buffer.from('short-lived'))
    const between = await moment()
    await store.artifacts.delete('model')
    expect(await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })).toMatchObject({
      isDeferred: true,
      files: 0,
    })
    await store.close()
    const copy = await restored(where, between)
    expect(copy.problems).toEqual([])
    expect(Buffer.from(await copy.store.artifacts.get('model').bytes()).toString()).toBe('short-lived')
    const again = await archived(where)
    expect(await again.artifacts.collectGarbage()).toMatchObject({ isDeferred: false, files: 1 })
    expect(filesBelow(join(where.dir, 'blobs'))).toEqual([])
  })

  it('from before the first generation are in it, and go from the archive with the last generation that has them', async () => {
    const where = place()
    const before = await openTestStore(where.dir)
    await before.artifacts.put('old', Buffer.from('from before'))
    await before.close()
    const store = await openTestStore(where.dir, {
      archive: { dir: where.from, intervalMs: 20, keepGenerations: 2, baseEveryMs: 400 },
    })
    onTestFinished(() => store.close())
    await until(async () => pool(where, 'blobs').length === 1)
    await until(async () => (await store.status()).archive?.generation != null)
    await store.artifacts.delete('old')
    await store.artifacts.put('new', Buffer.from('the one that stays'))
    await until(async () => {
      await store.kv.set('n', Date.now())
      return pool(where, 'blobs').length === 1 && (await store.status()).archive?.filesWaiting === 0
    })
    await store.close()
    const copy = await restored(where)
    expect(copy.problems).toEqual([])
    expect(Buffer.from(await copy.store.artifacts.get('new').bytes()).toString()).toBe('the one that stays')
  })

  it('with a damaged or a missing chunk are named; the others are whole', async () => {
    const where = place()
    const store = await archived(where)
    for (const name of ['a', 'b', 'c']) {
      await store.artifacts.put(name, Buffer.from(`content of ${name}`))
      await shipped(store)
    }
    const rows = await store.sql(
      `SELECT v."name", lower(hex(c."file")) "file" FROM "_artifactVersions" v JOIN "_artifactParts" p ON p."content" = v."content" JOIN "_artifactChunks" c ON c."id" = p."chunk" ORDER BY 1`,
    )
    await store.close()
    const [a = '', b = ''] = rows.map(({ file }) => pool(where, 'blobs').find((path) => path.includes(String(file))))
    flipBit(a)
    rmSync(b)
    const copy = await restored(where)
    expect(copy).toMatchObject({
      artifactsWithoutContent: ['a', 'b'],
      missingFiles: [expect.any(String), expect.any(String)],
    })
    for (const file of copy.missingFiles) expect(copy.problems.join()).toContain(file)
    expect((await copy.store.artifacts.verify()).damage.map(({ name, problem }) => [name, problem])).toEqual([
      ['a', 'missing'],
      ['b', 'missing'],
    ])
    expect(Buffer.from(await copy.store.artifacts.get('c').bytes()).toString()).toBe('content of c')
  })

  it('stay where they are while the archive can not be reached, and go on their way later', async () => {
    const where = place()
    await (await archived(where)).close()
    const away = `${where.from}-away`
    renameSync(where.from, away)
    writeFileSync(where.from, 'in the way')
    const store = await openTestStore(where.dir, { archive: { dir: where.from, intervalMs: 20 } })
    onTestFinished(() => store.close())
    await store.artifacts.put('model', Buffer.from('put meanwhile'))
    const between = await moment()
    await store.artifacts.delete('model')
    expect((await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })).isDeferred).toBe(true)
    rmSync(where.from)
    renameSync(away, where.from)
    await until(async () => (await store.status()).archive?.generation != null)
    await shipped(store)
    await store.close()
    const copy = await restored(where, between)
    expect(copy.problems).toEqual([])
    expect(Buffer.from(await copy.store.artifacts.get('model').bytes()).toString()).toBe('put meanwhile')
  })
})

describe('yearly files in an archive', () => {
  it('are there for moments before, between and after the moves', async () => {
    const where = place()
    const store = await archived(where)
    await trade(store, [0, 1, 2, 3])
    const before = await moment()
    await archiveTrades(store, 2)
    const between = await moment()
    await trade(store, [4])
    await archiveTrades(store, 10)
    await shipped(store)
    await store.close()
    for (const [at, count] of [
      [before, 4],
      [between, 4],
      [undefined, 5],
    ] as const) {
      const copy = await restored(where, at)
      expect(copy).toMatchObject({ problems: [], missingFiles: [] })
      expect(await allTrades(copy.store)).toBe(count)
      expect(await copy.store.trades.count({}, { includeArchived: true })).toBe(count)
      expect((await copy.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
      await archiveTrades(copy.store, 100)
      expect(await allTrades(copy.store)).toBe(count)
    }
  })

  it('are not shipped again as long as they do not change, whoever reads them', async () => {
    const where = place()
    const store = await archived(where)
    await trade(store, [0, 1])
    await archiveTrades(store, 10)
    await shipped(store)
    await store.close()
    const copies = pool(where, 'archive')
    for (let round = 0; round < 3; round++) {
      const again = await archived(where)
      expect(await allTrades(again)).toBe(2)
      await again.kv.set('n', round)
      await shipped(again)
      await again.close()
    }
    expect(pool(where, 'archive')).toEqual(copies)
    expect((await restored(where)).problems).toEqual([])
  })

  it('with a damaged newest copy are named, unless an older one has all that the moment counts', async () => {
    const where = place()
    const store = await archived(where)
    await trade(store, [0, 1, 2])
    await archiveTrades(store, 1)
    await shipped(store)
    const between = await moment()
    const older = pool(where, 'archive')
    await archiveTrades(store, 10)
    await shipped(store)
    await store.close()
    for (const path of pool(where, 'archive')) if (!older.includes(path)) flipBit(path)
    const earlier = await restored(where, between)
    expect(earlier).toMatchObject({ problems: [], missingFiles: [] })
    expect(await allTrades(earlier.store)).toBe(3)
    const latest = await restored(where)
    expect(latest.missingFiles).toEqual(['archive/trades-2022.db'])
    expect(latest.problems.join()).toContain('archive/trades-2022.db')
  })

  it('open after a rotation of the data key, from moments before and after it', async () => {
    const where = place()
    const store = await archived(where)
    await trade(store, [0, 1, 2])
    await archiveTrades(store, 10)
    await shipped(store)
    const before = await moment()
    await store.rotateDataKey()
    await store.kv.set('after', 1)
    await until(async () => (await store.status()).archive?.lagBytes === 0)
    await store.close()
    for (const at of [before, undefined]) {
      const copy = await restored(where, at)
      expect(copy.problems).toEqual([])
      expect(await allTrades(copy.store)).toBe(3)
    }
  })
})

describe('a standby', () => {
  it('has artifacts and archived trades without any key, and is whole when it is promoted', async () => {
    const where = place()
    const dir = join(where.root, 'standby')
    const store = await archived(where)
    const standby = await followArchive({ from: where.from, dir, pollMs: 20 })
    onTestFinished(() => standby.close())
    await store.artifacts.put('model', Buffer.from('weights'))
    await trade(store, [0, 1, 2])
    await archiveTrades(store, 2)
    await store.close()
    await standby.caughtUp(20_000)
    await until(async () => (await standby.status()).isCaughtUp)
    expect(filesBelow(join(dir, 'blobs')).map((path) => readFileSync(path).toString('hex'))).toEqual(
      filesBelow(join(where.dir, 'blobs')).map((path) => readFileSync(path).toString('hex')),
    )
    await standby.close()
    const promoted = await openTestStore(dir)
    onTestFinished(() => promoted.close())
    expect(Buffer.from(await promoted.artifacts.get('model').bytes()).toString()).toBe('weights')
    expect(await allTrades(promoted)).toBe(3)
    expect((await promoted.check()).filter(({ severity }) => severity === 'error')).toEqual([])
  })

  it('tells of a chunk that it can not get, takes every commit all the same, and the chunk when it is back', async () => {
    const where = place()
    const store = await archived(where)
    await store.artifacts.put('model', Buffer.from('weights'))
    await store.kv.set('n', 1)
    await shipped(store)
    const segments = (await store.status()).archive?.segments
    await store.close()
    const [chunk = ''] = pool(where, 'blobs')
    flipBit(chunk)
    const dir = join(where.root, 'standby')
    const standby = await followArchive({ from: where.from, dir, pollMs: 20 })
    onTestFinished(() => standby.close())
    await until(async () => (await standby.status()).lastError?.code === 'ARCHIVE_DAMAGED')
    await until(async () => (await standby.status()).segments >= Number(segments))
    expect((await standby.status()).lastError?.message).toContain('blobs/')
    flipBit(chunk)
    await standby.caughtUp(20_000)
    await standby.close()
    const promoted = await openTestStore(dir)
    onTestFinished(() => promoted.close())
    expect((await promoted.artifacts.verify()).damage).toEqual([])
  })

  it('of a store whose data key was rotated goes on, and lets go of what the new generation does not list', async () => {
    const where = place()
    const dir = join(where.root, 'standby')
    const store = await archived(where)
    const standby = await followArchive({ from: where.from, dir, pollMs: 20 })
    onTestFinished(() => standby.close())
    await store.artifacts.put('old', Buffer.from('to be deleted'))
    await store.artifacts.put('model', Buffer.from('weights'))
    await trade(store, [0])
    await archiveTrades(store, 10)
    await shipped(store)
    await standby.caughtUp(20_000)
    await store.artifacts.delete('old')
    const before = (await standby.status()).generation
    await store.rotateDataKey()
    await until(async () => (await standby.status()).generation !== before && (await standby.status()).isCaughtUp)
    await store.close()
    await standby.caughtUp(20_000)
    expect(filesBelow(join(dir, 'blobs'))).toHaveLength(1)
    await standby.close()
    const promoted = await openTestStore(dir)
    onTestFinished(() => promoted.close())
    expect(Buffer.from(await promoted.artifacts.get('model').bytes()).toString()).toBe('weights')
    expect(await allTrades(promoted)).toBe(1)
  })
})

describe('the session cache', () => {
  it('is in no archive: what is restored has an empty one, also for symbols that nobody writes to', async () => {
    const where = place()
    const store = await archived(where)
    const bar = { ts: 1, open: 1, high: 2, low: 1, close: 1.5, volume: 3 }
    await store.sessionCache.storeBars('A', [bar])
    await store.sessionCache.storeBars('B', [bar])
    await store.close()
    const copy = await restored(where)
    expect(copy.problems).toEqual([])
    await copy.store.sessionCache.storeBars('A', [{ ...bar, ts: 2 }])
    expect((await copy.store.sessionCache.getBars('A')).length).toBe(1)
    expect((await copy.store.sessionCache.getBars('B')).length).toBe(0)
    expect((await copy.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
  })
})
