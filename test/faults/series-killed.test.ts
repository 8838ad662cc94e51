/**
 * Series under a dying worker, a killed process, a full disk and flipped bits: what was acknowledged is there, once and in
 * order, and what is damaged is said to be.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PASSWORD } from '../client/fixtures/temp-store.ts'
import { openDatabase } from '../worker/fixtures/backend.ts'
import { ChildProgram } from './child-program.ts'
import { isStoreError } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { codeOf } from './refusal.ts'
import { barsOf, expectedCloses, expectedTicks, type SeriesKeeperArguments, ticksOf } from './series-batches.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

const LONG_TEST_MS = 1_800_000
const APPEND_POINTS = ['series:append-begun', 'series:append-before-commit', 'series:append-committed'] as const
const COMPACT_POINTS = [
  'series:compact-begun',
  'series:compact-blocks-written',
  'series:compact-before-commit',
] as const
const POINTS = [...APPEND_POINTS, ...COMPACT_POINTS, 'series:delete-before-commit'] as const

/** Both series hold the first batches, `least` of them or more; gives how many. */
async function expectBatches(store: TestStore, least: number): Promise<number> {
  const bars = await store.bars.range('K', '1m')
  let batches = 0
  while (expectedCloses(batches).length < bars.length) batches += 1
  expect(bars.close).toEqual(expectedCloses(batches))
  expect(bars.open).toEqual(bars.ts.map((ts) => ts / 60_000))
  const ticks = await store.ticks.range('K')
  let tickBatches = 0
  while (expectedTicks(tickBatches).ts.length < ticks.length) tickBatches += 1
  expect({ ts: ticks.ts, price: ticks.price }).toEqual(expectedTicks(tickBatches))
  expect(Math.min(batches, tickBatches)).toBeGreaterThanOrEqual(least)
  return Math.min(batches, tickBatches)
}

test.each(POINTS)('the worker dies at %s: nothing is lost, nothing is there twice', {
  timeout: LONG_TEST_MS,
}, async (point) => {
  const random = seededRandom(`series exit ${point}`)
  for (let round = 0; round < shortOrLong(1, 20); round++) {
    const isRare = point === 'series:delete-before-commit'
    const store = await openWithFailpoint(temporaryDirectory(), `${point}=exit@${isRare ? 1 : random.between(1, 4)}`)
    const batches = 16
    const written: Promise<unknown>[] = []
    for (let batch = 0; batch < batches; batch++) {
      written.push(store.bars.append('K', '1m', barsOf(batch)), store.ticks.append('K', ticksOf(batch)))
      if (batch % 4 === 3) await Promise.all(written)
    }
    await Promise.all(written)
    await store.series.compact()
    await expectBatches(store, batches)
    await store.bars.append('K', '1m', barsOf(batches))
    await store.bars.delete('K', '1m', { from: barsOf(batches)[2]?.ts as number })
    expect(await store.bars.range('K', '1m')).toHaveProperty('length', expectedCloses(batches).length)
    expect(store.stats().workerRestarts).toBe(1)
    expect(await store.check()).toEqual([])
    await store.close()
  }
})

test('whoever is killed while appending and compacting loses nothing that was acknowledged', {
  timeout: LONG_TEST_MS,
}, async () => {
  const random = seededRandom('series killed')
  const dir = temporaryDirectory()
  await (await openTestStore(dir)).close()
  const kills = shortOrLong(6, 150)
  let batches = 0
  for (let round = 0; round < kills; round++) {
    const given: SeriesKeeperArguments = { dir, from: batches }
    const point = round % 3 === 2 ? undefined : random.pick([...APPEND_POINTS, ...COMPACT_POINTS])
    const environment: Record<string, string> =
      point === undefined ? {} : { HOLDFAST_FAILPOINT: `${point}=kill@${random.between(1, 12)}` }
    const program = ChildProgram.start('series-keeper', { arguments: given, environment })
    if (point === undefined) {
      await program.line('open')
      await new Promise((resolve) => setTimeout(resolve, random.between(0, 400)))
      program.kill('SIGKILL')
    }
    expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
    const acknowledged = program.lines.findLast((line) => line.startsWith('durable'))
    const store = await openTestStore(dir)
    batches = await expectBatches(store, acknowledged === undefined ? batches : Number(acknowledged.split(' ')[1]) + 1)
    if (round % 4 === 3) expect(await store.check()).toEqual([])
    await store.close()
  }
  reportFigures(`series: ${kills} kills, ${batches} batches`)
})

test.skipIf(!canMount)(
  'a full disk is said, keeps what was there, and holds nobody up once there is room',
  async () => {
    const disk = new SmallDisk(6 * 1_048_576)
    const store = await openTestStore(join(disk.dir, 'store'), { maintenance: false })
    await store.bars.append('K', '1m', barsOf(0))
    await store.ticks.append('K', ticksOf(0))
    disk.fill()
    const codes = new Set<string>()
    for (let batch = 1; batch < 200 && codes.size === 0; batch++) {
      await store.bars.append('F', '1m', noisyBars(batch)).catch((error) => codes.add(error.code))
    }
    expect([...codes]).toEqual(['DISK_FULL'])
    const full = await store.bars.range('F', '1m')
    expect(full.length % 500).toBe(0)
    disk.free()
    await store.bars.append('K', '1m', barsOf(1))
    await store.ticks.append('K', ticksOf(1))
    await expectBatches(store, 2)
    await store.bars.append('F', '1m', noisyBars(1_000))
    expect((await store.bars.range('F', '1m')).length).toBe(full.length + 500)
    await store.close()
  },
)

/** Bars that no encoding makes small. */
function noisyBars(batch: number) {
  const column = () => Float64Array.from({ length: 500 }, () => Math.random())
  const ts = Float64Array.from({ length: 500 }, (_, index) => (batch * 500 + index) * 60_000)
  return { ts, open: column(), high: column(), low: column(), close: column(), volume: column() }
}

test('a flipped bit in the file is refused or without effect, never another value', {
  timeout: LONG_TEST_MS,
}, async () => {
  const random = seededRandom('series bits')
  const dir = temporaryDirectory()
  const store = await openTestStore(dir)
  for (let batch = 0; batch < 10; batch++) await store.bars.append('K', '1m', barsOf(batch))
  await store.series.compact()
  await store.bars.append('K', '1m', barsOf(10))
  await store.close()
  const expected = expectedCloses(11)
  const original = readFileSync(join(dir, 'market.db'))
  let refused = 0
  for (let round = 0; round < shortOrLong(12, 400); round++) {
    const damagedDir = join(temporaryDirectory(), 'copy')
    cpSync(dir, damagedDir, { recursive: true })
    const bytes = Buffer.from(original)
    const at = random.between(0, bytes.length - 1)
    bytes[at] = (bytes[at] as number) ^ (1 << random.between(0, 7))
    writeFileSync(join(damagedDir, 'market.db'), bytes)
    try {
      const damaged = await openTestStore(damagedDir, { maintenance: false })
      try {
        expect((await damaged.bars.range('K', '1m')).close).toEqual(expected)
      } finally {
        await damaged.close().catch(() => undefined)
      }
    } catch (error) {
      if (!isStoreError(error)) throw error
      expect(['STORE_CORRUPT', 'NOT_A_STORE']).toContain(error.code)
      refused += 1
    }
  }
  expect(refused).toBeGreaterThan(0)
})

test.each([
  ['data', `substr("data", 1, length("data") - 3)`],
  ['data', `CAST(substr("data", 1, 40) || x'ff' || substr("data", 42) AS BLOB)`],
  ['count', '"count" - 1'],
  ['toTs', '"toTs" + 1'],
])('a block whose %s was changed to %s is named by what reads it, and found by check', async (column, changed) => {
  const dir = temporaryDirectory()
  const store = await openTestStore(dir, { password: PASSWORD })
  await store.bars.append('K', '1m', barsOf(4))
  await store.bars.append('sound', '1m', barsOf(4))
  await store.close()
  const market = await openDatabase(dir, 'market')
  await market.exec(`UPDATE "_blocks" SET "${column}" = ${changed} WHERE "series" = 1`)
  await market.close()
  const damaged = await openTestStore(dir, { password: PASSWORD, maintenance: false })
  const read = damaged.bars.range('K', '1m').then((bars) => ({ close: bars.close }))
  // A byte in the middle may be one that decodes to other values: those are what the statistics tell.
  if (changed.includes("x'ff'")) await read.catch((error) => expect(error.code).toBe('STORE_CORRUPT'))
  else expect(await codeOf(read)).toBe('STORE_CORRUPT')
  expect(await damaged.check()).toMatchObject([
    { code: 'SERIES_DAMAGED', severity: 'error', subject: 'series bars K 1m' },
  ])
  expect((await damaged.bars.range('sound', '1m')).length).toBe(barsOf(4).length)
  await damaged.close()
})
