/**
 * The session cache under a killed process, a dying worker, a full disk, cut and flipped files: what was acknowledged is
 * there, what is there is what was stored, and damage is told for its symbol alone.
 */
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { restoreStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { CacheKeeperArguments } from './programs/cache-keeper.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

const LONG_TEST_MS = 1_800_000
const POINTS = [
  'cache:file-made',
  'cache:before-write',
  'cache:written',
  'cache:appended',
  'cache:rewritten',
  'cache:renamed',
  'cache:vouched',
] as const
const SYMBOLS = ['BTC/USDT', 'ETH/USDT', 'XRP/USDT']
const bounds = { syncEveryMs: 0, compactEveryWrites: 5, maxRows: 1_000_000 }

const bar = (ts: number, close = ts * 3) => ({ ts, open: 1, high: ts, low: 0, close, volume: 0.1 })

/** All times from the first to the last that is there, which is at least `acknowledged`. */
async function expectUnbroken(store: TestStore, symbol: string, acknowledged: number, issued: number): Promise<number> {
  const { ts, close, high } = await store.sessionCache.getBars(symbol)
  expect([...ts]).toEqual(Array.from(ts, (_, n) => n))
  expect([...close]).toEqual(Array.from(ts, (_, n) => n * 3))
  expect([...high]).toEqual([...ts])
  expect(ts.length - 1).toBeGreaterThanOrEqual(acknowledged)
  expect(ts.length - 1).toBeLessThanOrEqual(issued)
  return ts.length - 1
}

test(
  'whoever is killed while storing bars loses none that was acknowledged, and nothing before them',
  async () => {
    const random = seededRandom('session cache killed')
    const dir = temporaryDirectory()
    await (await openTestStore(dir)).close()
    let last = SYMBOLS.map(() => -1)
    const kills = shortOrLong(7, 220)
    let acknowledgedBars = 0
    for (let round = 0; round < kills; round++) {
      const from = Math.min(...last) + 1
      const compactEveryWrites = random.pick([3, 20])
      const given: CacheKeeperArguments = { dir, round, symbols: SYMBOLS, from, compactEveryWrites }
      const point = round % 3 === 2 ? undefined : random.pick(POINTS)
      const hit = point === 'cache:file-made' || point === 'cache:vouched' ? 1 : random.between(1, 12)
      const program = ChildProgram.start('cache-keeper', {
        arguments: given,
        environment: point === undefined ? {} : { HOLDFAST_FAILPOINT: `${point}=kill@${hit}` },
      })
      await program.line('open')
      // A file is made once: then that point is never met.
      const timer = setTimeout(() => program.kill('SIGKILL'), point === undefined ? random.between(0, 400) : 2_500)
      expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
      clearTimeout(timer)
      const said = (word: string, index: number) =>
        program.lines
          .map((line) => line.split(' '))
          .filter(([first, symbol]) => first === word && Number(symbol) === index)
          .map(([, , ts]) => Number(ts))
      const store = await openTestStore(dir, { sessionCache: bounds })
      last = await Promise.all(
        SYMBOLS.map(async (symbol, index) => {
          const acknowledged = said('durable', index)
          acknowledgedBars += acknowledged.length
          const most = Math.max(last[index] as number, ...said('issued', index))
          return await expectUnbroken(store, symbol, Math.max(last[index] as number, ...acknowledged), most)
        }),
      )
      // The file goes on behind whatever was torn.
      const [first = ''] = SYMBOLS
      await store.sessionCache.storeBars(first, [bar((last[0] as number) + 1)])
      last[0] = await expectUnbroken(store, first, (last[0] as number) + 1, Number.POSITIVE_INFINITY)
      await store.close()
    }
    reportFigures(`session cache: ${kills} kills, ${acknowledgedBars} bars acknowledged`)
    expect(acknowledgedBars).toBeGreaterThan(0)
  },
  LONG_TEST_MS,
)

test.each(POINTS)(
  'every bar is there once, in its last form, when the worker dies at %s',
  async (name) => {
    const random = seededRandom(`session cache exit ${name}`)
    for (let round = 0; round < shortOrLong(1, 15); round++) {
      const hit = name === 'cache:file-made' || name === 'cache:vouched' ? 1 : random.between(1, 2)
      const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@${hit}`, { sessionCache: bounds })
      const stored: Promise<void>[] = []
      for (let ts = 0; ts < 24; ts++) {
        stored.push(store.sessionCache.storeBars('X', [bar(ts, -1)]), store.sessionCache.storeBars('X', [bar(ts)]))
        if (ts % 2 === 1) await Promise.all(stored)
      }
      await Promise.all(stored)
      if (name === 'cache:vouched') await new Promise((resolve) => setTimeout(resolve, 1_300))
      await expectUnbroken(store, 'X', 23, 23)
      expect(store.stats().workerRestarts).toBe(1)
      await store.close()
    }
  },
  LONG_TEST_MS,
)

/** A store with two symbols, closed in order, and the file of each. */
async function closedStore(): Promise<{ readonly dir: string; readonly paths: ReadonlyMap<string, string> }> {
  const dir = temporaryDirectory()
  const paths = new Map<string, string>()
  const store = await openTestStore(dir, { sessionCache: { ...bounds, compactEveryWrites: 100 } })
  for (const symbol of ['X', 'Y']) {
    const before = new Set(paths.values())
    for (let ts = 0; ts < 8; ts++) await store.sessionCache.storeBars(symbol, [bar(ts)])
    const path = readdirSync(join(dir, 'cache'))
      .map((name) => join(dir, 'cache', name))
      .find((each) => !before.has(each))
    paths.set(symbol, path as string)
  }
  await store.close()
  return { dir, paths }
}

test(
  'a closed store tells of any bit that is flipped and any byte that is missing in a file, for its symbol alone',
  async () => {
    const random = seededRandom('session cache damage')
    const { dir, paths } = await closedStore()
    const path = paths.get('X') as string
    const whole = readFileSync(path)
    const store = await openTestStore(dir)
    for (let n = 0; n < shortOrLong(150, 8_000); n++) {
      const damagedFile = Buffer.from(whole)
      const at = random.between(0, whole.length - 1)
      if (n % 3 === 0) writeFileSync(path, whole.subarray(0, at))
      else {
        damagedFile[at] = (damagedFile[at] as number) ^ (1 << random.between(0, 7))
        writeFileSync(path, damagedFile)
      }
      const error = await store.sessionCache.getBars('X').then(
        () => undefined,
        (reason) => reason,
      )
      expect([error?.code, error?.details.symbol], `byte ${at} of ${whole.length}`).toEqual(['CACHE_DAMAGED', 'X'])
    }
    // Nothing is written into it either, and the other one does not know of it.
    await expect(store.sessionCache.storeBars('X', [bar(8)])).rejects.toMatchObject({ code: 'CACHE_DAMAGED' })
    await store.sessionCache.storeBars('Y', [bar(8)])
    await expectUnbroken(store, 'Y', 8, 8)
    writeFileSync(path, whole)
    await store.sessionCache.storeBars('X', [bar(8)])
    await expectUnbroken(store, 'X', 8, 8)
    writeFileSync(path, whole.subarray(0, 50))
    expect(await store.sessionCache.clear('X')).toBe(1)
    await store.sessionCache.storeBars('X', [bar(0)])
    await expectUnbroken(store, 'X', 0, 0)
    await store.close()
  },
  LONG_TEST_MS,
)

test('files that were put in each other’s place, or back to an earlier state, are told', async () => {
  const { dir, paths } = await closedStore()
  const [x, y] = [paths.get('X') as string, paths.get('Y') as string]
  const [wholeX, wholeY] = [readFileSync(x), readFileSync(y)]
  const store = await openTestStore(dir, { sessionCache: bounds })
  writeFileSync(x, wholeY)
  await expect(store.sessionCache.getBars('X')).rejects.toMatchObject({ code: 'CACHE_DAMAGED' })
  writeFileSync(x, wholeX)
  // More than the bound: rewritten as another generation, which the database knows by the close.
  for (let ts = 8; ts < 10; ts++) await store.sessionCache.storeBars('X', [bar(ts)])
  await store.close()
  writeFileSync(x, wholeX)
  const next = await openTestStore(dir)
  const error = await next.sessionCache.getBars('X').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'CACHE_DAMAGED', message: expect.stringContaining('older state') })
  await next.close()
})

test(
  'a file cut at every byte of what came since the last second loses what was cut, and goes on',
  async () => {
    const dir = temporaryDirectory()
    const keeper: CacheKeeperArguments = { dir, round: 0, symbols: ['X'], from: 0, compactEveryWrites: 1_000 }
    // Killed within the first second: the database vouches for the first record only.
    const program = ChildProgram.start('cache-keeper', {
      arguments: keeper,
      environment: { HOLDFAST_FAILPOINT: 'cache:appended=kill@6' },
    })
    expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
    const [name = ''] = readdirSync(join(dir, 'cache'))
    const path = join(dir, 'cache', name)
    const whole = readFileSync(path)
    const store = await openTestStore(dir, { sessionCache: { ...bounds, compactEveryWrites: 1_000 } })
    const counts: number[] = []
    const all = (await store.sessionCache.getBars('X')).length
    for (let length = whole.length; length > whole.length - 300; length -= shortOrLong(7, 1)) {
      writeFileSync(path, whole.subarray(0, length))
      counts.push(await expectUnbroken(store, 'X', 0, all - 1))
    }
    expect(counts).toEqual([...counts].sort((a, b) => b - a))
    expect(counts.at(-1)).toBeLessThan(counts[0] as number)
    truncateSync(path, whole.length - 3)
    const kept = await expectUnbroken(store, 'X', 0, all - 1)
    await store.sessionCache.storeBars('X', [bar(kept + 1)])
    await expectUnbroken(store, 'X', kept + 1, kept + 1)
    await store.close()
    const next = await openTestStore(dir)
    await expectUnbroken(next, 'X', kept + 1, kept + 1)
    await next.close()
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  'on a full disk bars are refused, none that was acknowledged is lost, and it goes on when there is room',
  async () => {
    const disk = new SmallDisk(12 * 1_048_576)
    const store = await openTestStore(`${disk.dir}/store`, { sessionCache: bounds })
    let last = -1
    const codes = new Set<string>()
    const storeNext = async (count: number) => {
      for (let n = 0; n < count; n++) {
        await store.sessionCache.storeBars('X', [bar(last + 1)]).then(
          () => {
            last += 1
          },
          (error) => codes.add(error.code),
        )
      }
    }
    await storeNext(12)
    disk.fill()
    await storeNext(600)
    expect([...codes]).toEqual(['DISK_FULL'])
    await expectUnbroken(store, 'X', last, last + 1)
    disk.free()
    const before = last
    await storeNext(12)
    expect(last).toBe(before + 12)
    await expectUnbroken(store, 'X', last, last)
    await store.close()
    const next = await openTestStore(`${disk.dir}/store`)
    await expectUnbroken(next, 'X', last, last)
    await next.close()
  },
  LONG_TEST_MS,
)

test(
  'symbols that are cleared while a backup is made come back as they were or empty, never damaged',
  async () => {
    const random = seededRandom('session cache cleared during backup')
    const store = await openTestStore(temporaryDirectory(), { sessionCache: bounds })
    const symbols = Array.from({ length: 24 }, (_, i) => `S${i}`)
    // So that there is something to copy before the cache.
    await store.series('noise').append(Array.from({ length: 40_000 }, (_, ts) => ({ ts, value: random.bits() })))
    let cameEmpty = 0
    for (let round = 0; round < shortOrLong(4, 40); round++) {
      await Promise.all(symbols.map((symbol) => store.sessionCache.storeBars(symbol, [bar(round)])))
      const target = join(temporaryDirectory(), 'backup')
      const backup = store.backup(target)
      for (const symbol of symbols) {
        await store.sessionCache.clear(symbol)
        // Another file, which the backup may have no row of.
        if (random.chance(0.3)) await store.sessionCache.storeBars(symbol, [bar(round + 1)])
      }
      await backup
      const restored = join(temporaryDirectory(), 'restored')
      await restoreStore({ from: target, dir: restored, password: PASSWORD })
      const copy = await openTestStore(restored)
      for (const symbol of symbols) {
        const { ts } = await copy.sessionCache.getBars(symbol)
        expect(ts.length).toBeLessThanOrEqual(1)
        if (ts.length === 0) cameEmpty += 1
        await copy.sessionCache.storeBars(symbol, [bar(99)])
        expect((await copy.sessionCache.getBars(symbol)).ts.at(-1)).toBe(bar(99).ts)
      }
      expect(await copy.check()).toEqual([])
      await copy.close()
    }
    expect(cameEmpty).toBeGreaterThan(0)
    await store.close()
  },
  LONG_TEST_MS,
)

test(
  'a backup made while bars are stored restores every symbol without a gap, at least to where it was begun',
  async () => {
    const random = seededRandom('session cache backup')
    const dir = temporaryDirectory()
    const store = await openTestStore(dir, { sessionCache: bounds })
    let isDone = false
    const durable = new Map(SYMBOLS.map((symbol) => [symbol, -1]))
    const storing = Promise.allSettled(
      SYMBOLS.map(async (symbol) => {
        while (!isDone) {
          const next = (durable.get(symbol) as number) + 1
          await store.sessionCache.storeBars(symbol, [bar(next)])
          durable.set(symbol, next)
        }
      }),
    )
    for (let round = 0; round < shortOrLong(3, 40); round++) {
      await new Promise((resolve) => setTimeout(resolve, random.between(20, 1_200)))
      const target = join(temporaryDirectory(), 'backup')
      const restored = join(temporaryDirectory(), 'restored')
      const begun = new Map(durable)
      await store.backup(target)
      await restoreStore({ from: target, dir: restored, password: PASSWORD })
      const copy = await openTestStore(restored)
      for (const symbol of SYMBOLS) {
        await expectUnbroken(copy, symbol, begun.get(symbol) as number, Number.POSITIVE_INFINITY)
        await copy.sessionCache.storeBars(symbol, [bar(0)])
      }
      await copy.close()
    }
    isDone = true
    expect((await storing).map(({ status }) => status)).toEqual(SYMBOLS.map(() => 'fulfilled'))
    await store.close()
  },
  LONG_TEST_MS,
)
