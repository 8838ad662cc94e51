/** Closed trades move into yearly files, and reads that ask for them see all as before. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineCollection, restoreStore, type Store, z } from '../../src/index.ts'
import { fill, order, position, trade } from './fixtures/documents.ts'
import { collect, failureOf, openSharedStore, openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

const at = (date: string) => Date.parse(date)

/** A round trip: a trade with two orders, a fill each. */
function roundTrip(id: string, closedAt: number) {
  const positionId = `p-${id}`
  const final = { state: 'filled' as const, positionId }
  return {
    trade: trade(`t-${id}`, { positionId, closedAt, openedAt: closedAt - 1_000 }),
    orders: [order(`in-${id}`, final), order(`out-${id}`, { ...final, side: 'sell' })],
    fills: [
      fill(`f-in-${id}`, `in-${id}`, { filledAt: closedAt - 1_000 }),
      fill(`f-out-${id}`, `out-${id}`, { filledAt: closedAt }),
    ],
  }
}

/** For what only asks, or is refused. */
const shared = await openSharedStore()

async function insert(store: Pick<Store, 'transaction'>, ...trips: ReturnType<typeof roundTrip>[]) {
  await store.transaction((tx) => {
    for (const trip of trips) {
      for (const each of trip.orders) tx.orders.insert(each)
      for (const each of trip.fills) tx.fills.insert(each)
      tx.trades.insert(trip.trade)
    }
  })
}

describe('what moves', () => {
  test('is a closed trade with its orders and fills, into the file of its year', async () => {
    const store = await openTempStore()
    const trips = [
      roundTrip('a', at('2024-12-31T23:59:59.999Z')),
      roundTrip('b', at('2025-01-01')),
      roundTrip('c', at('2026-01-01')),
    ]
    await insert(store, ...trips)
    const result = await store.archiveTrades({ before: '2026-01-01' })
    expect(result).toMatchObject({ trades: 2, orders: 4, fills: 4, kept: {}, dryRun: false })
    expect(result.years).toEqual([
      { year: 2024, file: 'archive/trades-2024.db', trades: 1, orders: 2, fills: 2 },
      { year: 2025, file: 'archive/trades-2025.db', trades: 1, orders: 2, fills: 2 },
    ])
    expect(await store.trades.list()).toEqual([trips[2]?.trade])
    expect(await store.orders.count()).toBe(2)
    expect(await store.fills.count()).toBe(2)
    expect(await store.trades.list({ orderBy: 'closedAt', includeArchived: true })).toEqual(trips.map((t) => t.trade))
  })

  test('is counted and left alone in a dry run', async () => {
    const store = await openTempStore()
    await insert(store, roundTrip('a', at('2024-05-01')))
    const { years, ...result } = await store.archiveTrades({ before: '2026-01-01', dryRun: true })
    expect(result).toMatchObject({ dryRun: true, trades: 1, orders: 2, fills: 2 })
    expect(years).toHaveLength(1)
    expect(await store.trades.count()).toBe(1)
    expect(existsSync(join(store.dir, 'archive'))).toBe(false)
  })

  test('goes on where an earlier run has ended, and does nothing when there is nothing', async () => {
    const store = await openTempStore()
    await insert(store, roundTrip('a', at('2024-05-01')))
    await store.archiveTrades({ before: '2026-01-01' })
    expect(await store.archiveTrades({ before: '2026-01-01' })).toMatchObject({ trades: 0, years: [] })
    await insert(store, roundTrip('b', at('2024-06-01')))
    expect(await store.archiveTrades({ before: '2026-01-01' })).toMatchObject({ trades: 1 })
    expect(await store.trades.count({}, { includeArchived: true })).toBe(2)
  })

  test('takes a trade that names no position by itself', async () => {
    const store = await openTempStore()
    await store.trades.insert(trade('t', { closedAt: at('2024-05-01') }))
    await store.orders.insert(order('o', { state: 'filled' }))
    expect(await store.archiveTrades({ before: '2025-01-01' })).toMatchObject({ trades: 1, orders: 0 })
  })

  test('is kept in files of mode 0600 in a folder of mode 0700', async () => {
    const store = await openTempStore()
    await insert(store, roundTrip('a', at('2024-05-01')))
    await store.archiveTrades({ before: '2025-01-01' })
    const mode = (path: string) => statSync(join(store.dir, path)).mode & 0o777
    expect([mode('archive'), mode('archive/trades-2024.db')]).toEqual([0o700, 0o600])
  })

  test('is recorded in the audit trail', async () => {
    const store = await openTempStore()
    await insert(store, roundTrip('a', at('2024-05-01')))
    await store.archiveTrades({ before: '2025-01-01', actor: 'year-end' })
    const entries = await store.sql<{ actor: string; data: string }>(
      `select actor, data from _audit where event = 'trades.archived' order by id`,
    )
    expect(entries.map(({ actor }) => actor)).toEqual(['year-end', 'year-end'])
    expect(entries.map(({ data }) => JSON.parse(data))).toMatchObject([
      { phase: 'begun', before: '2025-01-01T00:00:00.000Z' },
      { phase: 'ended', trades: 1, orders: 2, fills: 2 },
    ])
  })
})

describe('what stays', () => {
  const before = '2025-01-01'
  const closed = at('2024-05-01')

  test('all of a position while one of its trades, its orders or itself is not done', async () => {
    const store = await openTempStore()
    await insert(store, ...['later', 'unclosed', 'held', 'stop', 'open', 'done'].map((id) => roundTrip(id, closed)))
    await store.trades.insert(trade('later-2', { positionId: 'p-later', closedAt: at('2025-02-01') }))
    await store.trades.insert(trade('unclosed-2', { positionId: 'p-unclosed' }))
    await store.positions.put(position('p-held'))
    await store.positions.put(position('p-other', { stopOrderId: 'out-stop' }))
    await store.orders.put(order('open-2', { positionId: 'p-open', state: 'partially_filled' }))
    const result = await store.archiveTrades({ before })
    expect(result).toMatchObject({ trades: 1, orders: 2, fills: 2 })
    expect(result.kept).toEqual({ laterTrade: 2, openPosition: 2, openOrder: 1 })
    expect(await store.trades.get('t-done')).toBeUndefined()
    expect(await store.trades.count()).toBe(7)
    expect(await store.fills.count()).toBe(10)
    expect(await store.check()).toEqual([])
  })

  test('what a collection of yours refers to', async () => {
    const notes = defineCollection({
      name: 'notes',
      key: 'id',
      schema: z.object({ id: z.string(), tradeId: z.string().optional(), fillId: z.string().optional() }),
      indexes: ['tradeId', 'fillId'],
      references: { tradeId: 'trades', fillId: 'fills' },
    })
    const store = await openTempStore({ collections: { notes } })
    await insert(store, roundTrip('a', closed), roundTrip('b', closed), roundTrip('c', closed))
    await store.notes.put({ id: 'n-1', tradeId: 't-a' })
    await store.notes.put({ id: 'n-2', fillId: 'f-in-b' })
    expect(await store.archiveTrades({ before })).toMatchObject({ trades: 1, kept: { referenced: 2 } })
    expect(await store.trades.get('t-c')).toBeUndefined()
  })

  test('a trade under a key that was archived before, which it hides', async () => {
    const store = await openTempStore()
    await insert(store, roundTrip('a', closed))
    await store.archiveTrades({ before })
    const again = trade('t-a', { positionId: 'p-a', closedAt: closed, pnl: '7' })
    await store.trades.put(again)
    expect(await store.archiveTrades({ before })).toMatchObject({ trades: 0, kept: { alreadyArchived: 1 } })
    expect(await store.trades.list({ includeArchived: true })).toEqual([again])
    expect(await store.trades.count({}, { includeArchived: true })).toBe(1)
    expect(await store.trades.get('t-a', { includeArchived: true })).toEqual(again)
  })

  test('years beyond what can be read together', async () => {
    const store = await openTempStore()
    for (let year = 2010; year < 2022; year++)
      await store.trades.put(trade(`t-${year}`, { closedAt: Date.UTC(year, 5) }))
    const result = await store.archiveTrades({ before })
    expect(result).toMatchObject({ trades: 10, kept: { tooManyYears: 2 } })
    expect(await store.trades.count({}, { includeArchived: true })).toBe(12)
  })
})

describe('reads with includeArchived', () => {
  test('answer get, find, list, count and stream of all three collections, and the blocking twin', async () => {
    const store = await openTempStore()
    const trip = roundTrip('a', at('2024-05-01'))
    await insert(store, trip)
    await store.archiveTrades({ before: '2025-01-01' })
    const archived = { includeArchived: true }
    expect(await store.trades.get('t-a')).toBeUndefined()
    expect(await store.trades.get('t-a', archived)).toEqual(trip.trade)
    expect(await store.orders.get('in-a', archived)).toEqual(trip.orders[0])
    expect(await store.orders.find({ state: 'filled' }, archived)).toEqual(trip.orders)
    expect(await store.fills.find({ orderId: 'in-a' }, archived)).toEqual([trip.fills[0]])
    expect(await store.fills.count({ orderId: 'in-a' }, archived)).toBe(1)
    expect(await collect(store.fills.stream({ orderBy: 'filledAt', order: 'desc', ...archived }))).toEqual(
      trip.fills.toReversed(),
    )
    expect(store.sync.trades.get('t-a', archived)).toEqual(trip.trade)
    expect(store.sync.orders.list(archived)).toEqual(trip.orders)
    expect(store.sync.fills.count({}, archived)).toBe(2)
    expect(store.sync.fills.count({})).toBe(0)
  })

  test('are refused for what is never archived', async () => {
    const store = shared
    await expect(async () => store.kv.list({ includeArchived: true })).rejects.toMatchObject({ code: 'INVALID_QUERY' })
    expect(await failureOf(store.algorithmMetrics.list({ includeArchived: true }))).toMatchObject({
      code: 'INVALID_QUERY',
    })
    expect(await failureOf(store.users.get('u', { includeArchived: true }))).toMatchObject({ code: 'INVALID_QUERY' })
  })

  test('see everything exactly once while it moves', async () => {
    const store = await openTempStore()
    const trips = Array.from({ length: 150 }, (_, n) => roundTrip(`${n}`, Date.UTC(2023 + (n % 2), 0, 1 + n)))
    await insert(store, ...trips)
    const ids = trips.map(({ trade: { id } }) => id).sort()
    let isMoving = true
    const moving = store.archiveTrades({ before: '2026-01-01' }).finally(() => {
      isMoving = false
    })
    let reads = 0
    while (isMoving) {
      const seen = await collect(
        store.trades.stream({ orderBy: 'closedAt', order: reads % 2 === 0 ? 'asc' : 'desc', includeArchived: true }),
      )
      expect(seen.map(({ id }) => id).sort()).toEqual(ids)
      expect(await store.orders.count({}, { includeArchived: true })).toBe(300)
      reads += 1
    }
    expect(await moving).toMatchObject({ trades: 150 })
    expect(reads).toBeGreaterThan(0)
  })
})

test('what has moved comes back from a backup', async () => {
  const store = await openTempStore()
  const trips = [roundTrip('a', at('2024-05-01')), roundTrip('b', at('2026-05-01'))]
  await insert(store, ...trips)
  await store.archiveTrades({ before: '2025-01-01' })
  const target = join(tempDir(), 'backups')
  await store.backup(target)
  const dir = join(tempDir(), 'restored')
  await restoreStore({ from: target, dir, password: PASSWORD })
  const restored = await openTempStore({ dir })
  expect(await restored.trades.list({ orderBy: 'closedAt', includeArchived: true })).toEqual(trips.map((t) => t.trade))
  expect(await restored.fills.count({}, { includeArchived: true })).toBe(4)
  expect(await restored.trades.count()).toBe(1)
})

test('a trade that is written to while it is about to move is never lost', async () => {
  const store = await openTempStore()
  const trips = Array.from({ length: 100 }, (_, n) => roundTrip(`${n}`, Date.UTC(2023, 0, 1 + n)))
  await insert(store, ...trips)
  const moving = store.archiveTrades({ before: '2026-01-01' })
  const writes = trips.map(async ({ trade: document }, n) => {
    await new Promise((resolve) => setTimeout(resolve, n % 20))
    await store.trades.put({ ...document, strategy: 'written again' })
  })
  await Promise.all([moving, ...writes])
  const all = await store.trades.list({ includeArchived: true })
  expect(all.map(({ id }) => id).sort()).toEqual(trips.map((trip) => trip.trade.id).sort())
  expect(all.filter(({ strategy }) => strategy !== 'written again')).toEqual([])
})

test.each([
  ['tomorrow'],
  ['2026-01-01T10:00:00'],
  [Number.NaN],
  [-1],
  [1.5],
  [null as unknown as number],
])('before: %s is refused', async (before) => {
  expect(await failureOf(shared.archiveTrades({ before }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('any trades, any cuts, any order: what is read is what was written', async () => {
  const trip = fc.record({
    day: fc.integer({ min: 0, max: 2_000 }),
    position: fc.integer({ min: 0, max: 6 }),
    isOpen: fc.boolean(),
    pnl: fc.constantFrom('1', '-2', null),
    isDeleted: fc.boolean(),
  })
  const run = fc.record({ trips: fc.array(trip, { maxLength: 12 }), cut: fc.integer({ min: 0, max: 2_200 }) })
  const start = Date.UTC(2020, 0)
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 4 }), async (runs) => {
      const store = await openTempStore()
      try {
        const model = new Map<string, unknown>()
        let n = 0
        for (const { trips, cut } of runs) {
          for (const { day, position: p, isOpen, pnl, isDeleted } of trips) {
            n += 1
            const id = `t-${String(n).padStart(3, '0')}`
            const closedAt = isOpen ? null : start + day * 86_400_000
            const document = trade(id, { positionId: `p-${p}`, closedAt, pnl })
            const placed = order(`o-${n}`, { positionId: `p-${p}`, state: 'filled' })
            await store.transaction((tx) => {
              tx.trades.insert(document)
              tx.orders.insert(placed)
              tx.fills.insert(fill(`f-${n}`, `o-${n}`))
            })
            model.set(id, document)
            if (isDeleted && (await store.trades.get(id)) !== undefined) {
              await store.trades.delete(id)
              model.delete(id)
            }
          }
          await store.archiveTrades({ before: start + cut * 86_400_000 })
          const all = await store.trades.list({ includeArchived: true })
          expect(new Map(all.map((each) => [each.id, each]))).toEqual(model)
          expect(all).toHaveLength(model.size)
          expect(await store.orders.count({}, { includeArchived: true })).toBe(n)
          expect(await store.fills.count({}, { includeArchived: true })).toBe(n)
          for (const direction of ['asc', 'desc'] as const) {
            const closedAts = (
              await store.trades.list({ orderBy: 'closedAt', order: direction, includeArchived: true })
            ).map((each) => each.closedAt ?? -1)
            const sorted = closedAts.toSorted((a, b) => (direction === 'asc' ? a - b : b - a))
            expect(closedAts).toEqual(sorted)
          }
        }
        expect(await store.check()).toEqual([])
      } finally {
        await store.close()
      }
    }),
    { numRuns: 6 },
  )
})
