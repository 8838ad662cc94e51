/**
 * A full disk, at every step of a store's life: it is said (`DISK_FULL`), nothing acknowledged is lost, what shows in
 * memory is what is on disk, and all goes on once there is room again.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CheckFinding } from '../../src/index.ts'
import { carryOut } from './carry-out.ts'
import { differences, ExpectedContent } from './expected-content.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { mirrorDifferences, storedContent } from './stored-content.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'
import { type Step, workload } from './workload.ts'

const MEGABYTE = 1_048_576
const LONG_TEST_MS = 600_000

if (!canMount) console.log(`full disk: ${WITHOUT_MOUNT}`)

/** The steps that were acknowledged, in order, and the codes of those that were refused. */
async function write(store: TestStore, steps: readonly Step[]): Promise<{ durable: Step[]; codes: Set<string> }> {
  const codes = new Set<string>()
  const settled: Promise<Step | undefined>[] = []
  for (const step of steps) {
    const outcome = carryOut(store, step).then(
      () => step,
      (error: { readonly code: string }) => {
        if (step.outcome === 'durable') codes.add(error.code)
        return undefined
      },
    )
    settled.push(outcome)
    if (settled.length % 50 === 0) await Promise.all(settled)
  }
  const durable = (await Promise.all(settled)).filter((step) => step !== undefined)
  return { durable, codes }
}

function expectedAfter(steps: readonly Step[], file: 'state' | 'market'): ExpectedContent {
  const expected = new ExpectedContent()
  for (const step of steps) if (step.file === file) expected.apply(step.writes)
  return expected
}

async function expectContent(store: TestStore, steps: readonly Step[]): Promise<void> {
  for (const file of ['state', 'market'] as const) {
    const content = await storedContent(store, file)
    expect(differences(expectedAfter(steps, file).documents, content)).toEqual([])
  }
  expect(await mirrorDifferences(store)).toEqual([])
}

/** The disk stays small when the file that filled it is gone, and check says so. */
async function findingsBesidesSpace(store: {
  check(): Promise<readonly CheckFinding[]>
}): Promise<readonly CheckFinding[]> {
  return (await store.check()).filter(({ code }) => code !== 'DISK_NEARLY_FULL')
}

test.skipIf(!canMount)(
  'writes are refused while the disk is full, and go on when it is not',
  async () => {
    const random = seededRandom('disk full')
    let throughWhileFull = 0
    for (let round = 0; round < shortOrLong(1, 15); round++) {
      const disk = new SmallDisk(6 * MEGABYTE)
      const dir = join(disk.dir, 'store')
      const store = await openTestStore(dir)
      const steps = workload({ seed: `${seed}/disk full`, round, guarded: false })
      const next = (count: number) => Array.from({ length: count }, () => steps.next().value as Step)

      const before = await write(store, next(200))
      expect(before.codes).toEqual(new Set())
      disk.fill(random.between(0, 40) * 4_096)
      const during = await write(store, next(1_500))
      expect(during.codes.has('DISK_FULL')).toBe(true)
      await expectContent(store, [...before.durable, ...during.durable])

      disk.free()
      const after = await write(store, next(200))
      expect(after.codes.has('DISK_FULL')).toBe(false)
      const all = [...before.durable, ...during.durable, ...after.durable]
      await expectContent(store, all)
      await store.close()
      const reopened = await openTestStore(dir)
      await expectContent(reopened, all)
      expect(await findingsBesidesSpace(reopened)).toEqual([])
      await reopened.close()
      throughWhileFull += during.durable.length
    }
    reportFigures(`full disk: ${throughWhileFull} steps got through while it was full`)
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)('a store on a full disk closes, and opens again with all that was acknowledged', async () => {
  const disk = new SmallDisk(6 * MEGABYTE)
  const dir = join(disk.dir, 'store')
  const store = await openTestStore(dir)
  for (let n = 0; n < 100; n++) await store.kv.set(`k-${n}`, n)
  disk.fill()
  await store.close()
  disk.free()
  const reopened = await openTestStore(dir)
  expect(reopened.kv.size).toBe(100)
  await reopened.close()
})

test.skipIf(!canMount)('opening on a full disk says so, and works in the same process once there is room', async () => {
  const disk = new SmallDisk(6 * MEGABYTE)
  const dir = join(disk.dir, 'store')
  const store = await openTestStore(dir)
  await store.kv.set('a', 1)
  await store.close()
  disk.fill()
  expect(await codeOf(openTestStore(dir))).toBe('DISK_FULL')
  expect(await codeOf(openTestStore(dir))).toBe('DISK_FULL')
  disk.free()
  const reopened = await openTestStore(dir)
  expect(reopened.kv.value('a')).toBe(1)
  await reopened.close()
})

test.skipIf(!canMount)(
  'a store that has no room to be created leaves nothing in the way of creating it later',
  async () => {
    const random = seededRandom('create on a full disk')
    const disk = new SmallDisk(6 * MEGABYTE)
    const dir = join(disk.dir, 'store')
    const rooms = [0, 1, 4, 16, ...Array.from({ length: shortOrLong(2, 40) }, () => random.between(0, 60))]
    for (const blocks of rooms) {
      disk.fill(blocks * 4_096)
      const code = await codeOf(openTestStore(dir).then((store) => store.close()))
      expect(['DISK_FULL', undefined], `with ${blocks} blocks`).toContain(code)
      disk.free()
      if (code === undefined) break
    }
    const store = await openTestStore(dir)
    await store.kv.set('a', 1)
    expect(await findingsBesidesSpace(store)).toEqual([])
    await store.close()
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)('a migration that has no room changes nothing, and happens once there is', async () => {
  const disk = new SmallDisk(8 * MEGABYTE)
  const dir = join(disk.dir, 'store')
  const migrations = join(disk.dir, 'migrations')
  mkdirSync(migrations)
  writeFileSync(join(migrations, '0001_first.sql'), 'CREATE TABLE "marks" ("n" INTEGER) STRICT;\n')
  const store = await openTestStore(dir, { migrations })
  for (let n = 0; n < 500; n++) void store.kv.set(`k-${n}`, 'x'.repeat(1_000))
  await store.close()
  const sql = `UPDATE "kv" SET "_doc" = json_set("_doc", '$.value', 'y');\n`
  writeFileSync(join(migrations, '0002_second.sql'), sql)

  // Room for nothing, for part of the copy, and for the copy but not for the migration.
  for (const bytes of [0, 300_000, 1_000_000]) {
    disk.fill(bytes)
    expect(await codeOf(openTestStore(dir, { migrations })), `with ${bytes} bytes`).toBe('DISK_FULL')
    disk.free()
    expect(readdirSync(dir).filter((name) => name.includes('.partial'))).toEqual([])
  }
  const migrated = await openTestStore(dir, { migrations })
  expect(migrated.appliedMigrations).toEqual(['0002_second'])
  expect(new Set(migrated.kv.list().map(({ value }) => value))).toEqual(new Set(['y']))
  expect(await findingsBesidesSpace(migrated)).toEqual([])
  await migrated.close()
})
