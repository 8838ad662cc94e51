/** Maintenance over real files: what it gives back, that commits go on beside it, and when it runs by itself. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/index.ts'
import { queryOnce } from '../../../src/worker/driver.ts'
import { order, trade } from '../../client/fixtures/documents.ts'
import { codeOf, openTempStore, tempDir } from '../../client/fixtures/temp-store.ts'
import { openDatabase } from '../fixtures/backend.ts'

const NOTE = 'x'.repeat(1_000)

async function fillAndEmpty(store: Store, count = 2_000): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `t-${index}`)
  for (const id of ids) void store.trades.put(trade(id, { metadata: { note: NOTE } }))
  for (const id of ids.slice(0, -10)) void store.trades.delete(id)
  await store.flush()
  await store.checkpoint()
}

/** As a store of the version before incremental vacuum was. */
async function withoutIncrementalVacuum(): Promise<string> {
  const store = await openTempStore({ dir: join(tempDir(), 'state'), maintenance: false })
  await store.close()
  const connection = await openDatabase(store.dir)
  await connection.exec('PRAGMA auto_vacuum = NONE; VACUUM')
  await connection.close()
  return store.dir
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(20)
}

describe('maintain', () => {
  test('gives what was deleted back to the file system, and loses nothing', async () => {
    const store = await openTempStore({ maintenance: false })
    await fillAndEmpty(store)
    const before = (await store.status()).files.state
    expect(before.freeBytes).toBeGreaterThan(1_000_000)
    const { files } = await store.maintain()
    expect(files.state).toMatchObject({ freeBytes: 0, needsFullVacuum: false })
    expect(files.state.freedBytes).toBeGreaterThan(1_000_000)
    expect(statSync(join(store.dir, 'state.db')).size).toBe(before.databaseBytes - files.state.freedBytes)
    expect(await store.trades.count()).toBe(10)
    expect(await store.check()).toEqual([])
  })

  test('lets commits through between its steps', async () => {
    const store = await openTempStore({ maintenance: false })
    await fillAndEmpty(store, 4_000)
    let isMaintaining = true
    const maintained = store.maintain().finally(() => {
      isMaintaining = false
    })
    let durable = 0
    while (isMaintaining) {
      await store.orders.put(order(`o-${durable}`))
      durable += 1
    }
    const { files } = await maintained
    expect(files.state.freedBytes).toBeGreaterThan(1_000_000)
    expect(durable).toBeGreaterThan(5)
    expect(await store.orders.count()).toBe(durable)
    expect(await store.check()).toEqual([])
  })

  test('makes blocks of the recent points of every series, and says how many', async () => {
    const store = await openTempStore({ maintenance: false })
    const bars = Array.from({ length: 300 }, (_, i) => ({ ts: i, open: 1, high: 1, low: 1, close: i, volume: 1 }))
    await Promise.all(bars.map((bar) => store.bars.append('A', '1m', [bar])))
    await store.series('equity').append([{ ts: 1, value: 1 }])
    const { series } = await store.maintain()
    expect(series).toMatchObject({ damaged: 0 })
    expect(series.blocksWritten).toBeGreaterThanOrEqual(2)
    expect(await store.series.list()).toMatchObject([{ rows: 0 }, { rows: 0 }])
    expect((await store.bars.range('A', '1m')).close).toEqual(Float64Array.from(bars, ({ close }) => close))
    expect((await store.maintain()).series).toEqual({ blocksWritten: 0, rowsMerged: 0, damaged: 0 })
  })

  test('goes on where a block of a series is damaged, and says that it is', async () => {
    const store = await openTempStore({ maintenance: false })
    const filled = (count: number) => Float64Array.from({ length: count }, (_, i) => i)
    const points = { ts: filled(200), value: filled(200) }
    for (const name of ['a', 'b']) {
      await store.series(name).append(points)
      await store.series(name).compact()
      await store.series(name).append([{ ts: 100, value: -1 }])
    }
    await store.close()
    const connection = await openDatabase(store.dir, 'market')
    await connection.exec('UPDATE "_blocks" SET "data" = x\'00\' WHERE "series" = (SELECT min("id") FROM "_series")')
    await connection.close()
    const again = await openTempStore({ dir: store.dir, maintenance: false })
    expect((await again.maintain()).series).toMatchObject({ blocksWritten: 1, damaged: 1 })
  })

  test('renews statistics for the query planner', async () => {
    const store = await openTempStore({ maintenance: false })
    await store.trades.insertMany(Array.from({ length: 500 }, (_, index) => trade(`t-${index}`)))
    const { files } = await store.maintain()
    expect(files.state.analyzed).toContain('trades')
    expect(await store.sql(`select count(*) > 0 known from sqlite_stat1 where tbl = 'trades'`)).toEqual([{ known: 1 }])
    expect((await store.maintain()).files.state.analyzed).not.toContain('trades')
  })

  test('can be asked for twice at once', async () => {
    const store = await openTempStore({ maintenance: false })
    await fillAndEmpty(store)
    const [first, second] = await Promise.all([store.maintain(), store.maintain()])
    expect(first.files.state.freedBytes).toBeGreaterThan(0)
    expect(second.files.state.freedBytes).toBe(0)
  })

  test('is ended by close, at its next step', async () => {
    const store = await openTempStore({ maintenance: false })
    await fillAndEmpty(store, 4_000)
    const maintained = store.maintain().catch(() => undefined)
    await store.close()
    await maintained
    const again = await openTempStore({ dir: store.dir, maintenance: false })
    expect(await again.trades.count()).toBe(10)
    expect(await again.check()).toEqual([])
  })

  test('is refused on a read-only store, and with what is no option', async () => {
    const owner = await openTempStore({ maintenance: false })
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    expect(await codeOf(reader.maintain())).toBe('READ_ONLY')
    expect(await codeOf(() => owner.maintain({ fullVacuum: 'yes' as unknown as boolean }))).toBe('INVALID_ARGUMENT')
  })
})

describe('a store from before incremental vacuum', () => {
  test('keeps its free pages and says that a full vacuum is needed', async () => {
    const store = await openTempStore({ dir: await withoutIncrementalVacuum(), maintenance: false })
    await fillAndEmpty(store)
    const { files } = await store.maintain()
    expect(files.state).toMatchObject({ freedBytes: 0, needsFullVacuum: true })
    expect(files.market).toMatchObject({ needsFullVacuum: false })
  })

  test('gives everything back with a full vacuum, and in steps from then on', async () => {
    const store = await openTempStore({ dir: await withoutIncrementalVacuum(), maintenance: false })
    await fillAndEmpty(store)
    const { files } = await store.maintain({ fullVacuum: true })
    expect(files.state).toMatchObject({ freeBytes: 0, needsFullVacuum: false })
    expect(files.state.freedBytes).toBeGreaterThan(1_000_000)
    expect(await store.trades.count()).toBe(10)
    expect(await store.check()).toEqual([])
    await fillAndEmpty(store)
    expect((await store.maintain()).files.state.freeBytes).toBe(0)
  })

  test('commits that come during a full vacuum wait and are kept', async () => {
    const store = await openTempStore({ dir: await withoutIncrementalVacuum(), maintenance: false })
    await fillAndEmpty(store)
    const vacuumed = store.maintain({ fullVacuum: true })
    const writes = Array.from({ length: 100 }, (_, index) => store.orders.put(order(`o-${index}`)))
    await Promise.all([vacuumed, ...writes])
    expect(await store.orders.count()).toBe(100)
  })
})

describe('the schedule', () => {
  test('runs by itself when no commit has come for a while', async () => {
    const store = await openTempStore({ maintenance: { everyMs: 100, idleMs: 20 } })
    await fillAndEmpty(store)
    await until(async () => (await store.status()).files.state.freeBytes === 0)
    await until(async () => (await store.status()).maintenance.lastRun?.error === null)
    const { maintenance, growth } = await store.status()
    expect(maintenance.schedule).toEqual({ everyMs: 100, idleMs: 20 })
    expect(growth.measured?.collections.map(({ name }) => name)).toContain('trades')
  })

  test('runs in a store that is never idle, too, and commits go on', async () => {
    const store = await openTempStore({ maintenance: { everyMs: 100, idleMs: 60_000 } })
    await fillAndEmpty(store)
    let isBusy = true
    const writing = (async () => {
      for (let index = 0; isBusy; index++) await store.orders.put(order(`o-${index % 50}`))
    })()
    await until(async () => (await store.status()).files.state.freeBytes === 0)
    isBusy = false
    await writing
    expect(await store.check()).toEqual([])
  })

  test('is off with maintenance: false, and on by default', async () => {
    const off = await openTempStore({ maintenance: false })
    expect((await off.status()).maintenance).toEqual({ schedule: null, isRunning: false, lastRun: null })
    const on = await openTempStore()
    expect((await on.status()).maintenance.schedule).toEqual({ everyMs: 3_600_000, idleMs: 2_000 })
  })

  test.each([
    { everyMs: 0 },
    { idleMs: -1 },
    { everyMs: 2 ** 31 },
    { every: 1 },
    true,
  ])('refuses %j', async (maintenance) => {
    expect(await codeOf(openTempStore({ maintenance: maintenance as never }))).toBe('INVALID_ARGUMENT')
  })
})

describe('samples of the sizes', () => {
  test('are one a day, and no more than 400', async () => {
    const store = await openTempStore({ maintenance: false })
    await store.maintain()
    await store.maintain()
    expect(await store.sql('select count(*) n from _growth')).toEqual([{ n: 1 }])
    await store.close()
    const connection = await openDatabase(store.dir)
    await queryOnce(
      connection,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500)
       INSERT INTO "_growth" SELECT "day" - i, "at" - i * 86400000, "sizes" FROM "_growth", n`,
    )
    await connection.close()
    const again = await openTempStore({ dir: store.dir, maintenance: false })
    await again.maintain()
    expect(await again.sql('select count(*) n, max(day) - min(day) days from _growth')).toEqual([{ n: 400, days: 399 }])
  })

  test('add up to what the files hold', async () => {
    const store = await openTempStore({ maintenance: false })
    await store.trades.insertMany(Array.from({ length: 500 }, (_, index) => trade(`t-${index}`)))
    await store.checkpoint()
    const { files, collections } = await store.sizes()
    const sum = collections.filter(({ file }) => file === 'state').reduce((total, { bytes }) => total + bytes, 0)
    // The schema has a page of its own; with incremental vacuum there is a page that maps the others.
    expect(files.state - sum).toBeLessThanOrEqual(16 * 4_096)
    expect(collections[0]?.name).toBe('trades')
  })

  test('are those of before in a store whose last sample is from another day', async () => {
    const store = await openTempStore({ maintenance: false })
    await store.maintain()
    await store.close()
    const connection = await openDatabase(store.dir)
    await connection.exec(`UPDATE "_growth" SET "day" = "day" - 10, "at" = "at" - 864000000`)
    await connection.close()
    const again = await openTempStore({ dir: store.dir, maintenance: false })
    await again.trades.insertMany(
      Array.from({ length: 2_000 }, (_, index) => trade(`t-${index}`, { metadata: { note: NOTE } })),
    )
    await again.maintain()
    const { growth, disk } = await again.status()
    expect(growth.bytesPerDay).toBeGreaterThan(200_000)
    expect(growth.collectionBytesPerDay.trades).toBeGreaterThan(200_000)
    expect(growth.daysUntilDiskFull).toBeCloseTo(disk.freeBytes / (growth.bytesPerDay as number), -2)
  })
})
