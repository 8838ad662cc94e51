/** The public face as the contract promises it: every call of its example, and what it does. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as holdfast from '../../src/index.ts'
import { defineCollection, StoreError, z } from '../../src/index.ts'
import { fill, order, position, trade } from '../client/fixtures/documents.ts'
import { collect, failureOf, openSharedStore, openTempStore, tempDir } from '../client/fixtures/temp-store.ts'
import { migrationsFolder } from '../worker/fixtures/backend.ts'

const watchlist = defineCollection({
  name: 'watchlist',
  key: 'symbol',
  schema: z.object({ symbol: z.string(), tag: z.string() }),
  indexes: ['tag'],
  hot: true,
})

const store = await openSharedStore({ collections: { watchlist } })

describe('the package', () => {
  test('gives out what the contract imports', () => {
    expect(holdfast).toMatchObject({
      openStore: expect.any(Function),
      defineCollection: expect.any(Function),
      reconcile: expect.any(Function),
      StoreError: expect.any(Function),
      z: expect.any(Object),
    })
  })

  test('gives out the zod that definitions are made with', () => {
    expect(holdfast.z.object).toBe(z.object)
    expect(z.object({}) instanceof z.ZodObject).toBe(true)
  })

  test('lists its codes, the contract’s among them', () => {
    expect(holdfast.STORE_ERROR_CODES).toEqual(
      expect.arrayContaining([
        'WRONG_PASSWORD',
        'PASSWORD_MISSING',
        'PASSWORD_TOO_WEAK',
        'STORE_LOCKED',
        'NOT_A_STORE',
        'STORE_CORRUPT',
        'KEYRING_CORRUPT',
        'STORE_FROM_FUTURE',
        'MIGRATION_FAILED',
        'MIGRATION_CHANGED',
        'INVALID_DOCUMENT',
        'ALREADY_EXISTS',
        'VERSION_CONFLICT',
        'CONSTRAINT',
        'QUEUE_FULL',
        'DISK_FULL',
        'WORKER_LOST',
        'STORE_CLOSED',
      ]),
    )
  })
})

describe('openStore', () => {
  test('makes the directory, for its owner alone', () => {
    expect(statSync(store.dir).mode & 0o777).toBe(0o700)
    expect(store.created).toBe(true)
  })

  test('says where the store is and which it is', () => {
    expect(store.dir.startsWith('/')).toBe(true)
    expect(store.storeId).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('gives the built-in collections and the own ones as properties', () => {
    for (const name of [...Object.keys(holdfast.builtInCollections), 'watchlist']) {
      expect(store).toHaveProperty(name)
      expect(store.sync).toHaveProperty(name)
    }
    expect(store.collectionNames).toEqual([...Object.keys(holdfast.builtInCollections), 'watchlist'])
  })

  test('applies the user’s own SQL after the built-in', async () => {
    const folder = migrationsFolder({ '0001_view.sql': 'CREATE VIEW "open_orders" AS SELECT "_key" FROM "orders"' })
    const migrated = await openTempStore({ migrations: folder })
    expect(migrated.appliedMigrations).toEqual(['0001_view'])
    expect(await migrated.sql('select * from open_orders')).toEqual([])
  })

  test('takes durability: normal', async () => {
    const quick = await openTempStore({ durability: 'normal' })
    await quick.kv.put({ key: 'k', value: 1 })
    expect(quick.kv.value('k')).toBe(1)
  })

  test('with create: false makes nothing', async () => {
    const dir = join(tempDir(), 'nowhere')
    expect(await failureOf(openTempStore({ dir, create: false }))).toMatchObject({ code: 'STORE_NOT_FOUND' })
  })
})

describe('writes', () => {
  test('put is accepted now and durable when it resolves', async () => {
    const durable = store.positions.put(position('put-1'))
    expect(store.positions.get('put-1')).toEqual(position('put-1'))
    expect(durable).toBeInstanceOf(Promise)
    expect(await durable).toBeUndefined()
    expect((await store.positions.entry('put-1'))?.version).toBe(1)
  })

  test('insert rejects with ALREADY_EXISTS when the key is there', async () => {
    await store.orders.insert(order('ins-1'))
    const error = await failureOf(store.orders.insert(order('ins-1', { quantity: '9' })))
    expect(error).toBeInstanceOf(StoreError)
    expect(error.code).toBe('ALREADY_EXISTS')
    expect(await store.orders.get('ins-1')).toEqual(order('ins-1'))
  })

  test('put with ifVersion rejects with VERSION_CONFLICT', async () => {
    await store.orders.put(order('ver-1'))
    await store.orders.put(order('ver-1', { quantity: '2' }), { ifVersion: 1 })
    const error = await failureOf(store.orders.put(order('ver-1', { quantity: '3' }), { ifVersion: 1 }))
    expect(error).toMatchObject({ code: 'VERSION_CONFLICT', details: { expected: 1, actual: 2 } })
    expect(await store.orders.get('ver-1')).toMatchObject({ quantity: '2' })
  })

  test('insertMany writes all', async () => {
    await store.orders.put(order('many-o'))
    await store.fills.insertMany([fill('many-1', 'many-o'), fill('many-2', 'many-o')])
    expect(await store.fills.count({ orderId: 'many-o' })).toBe(2)
  })

  test('load writes any number and says how many', async () => {
    const documents = Array.from({ length: 600 }, (_, n) => trade(`load-${n}`, { symbol: 'LOAD' }))
    expect(await store.trades.load(documents)).toBe(600)
    expect(await store.trades.count({ symbol: 'LOAD' })).toBe(600)
  })

  test('delete removes, and one that is not there is no error', async () => {
    await store.kv.put({ key: 'gone', value: 1 })
    await store.kv.delete('gone')
    await store.kv.delete('gone')
    expect(store.kv.get('gone')).toBeUndefined()
  })

  test('a transaction is whole', async () => {
    const result = await store.transaction((tx) => {
      tx.orders.put(order('tx-o', { state: 'filled' }))
      tx.fills.insert(fill('tx-f', 'tx-o'))
      tx.positions.put(position('tx-p'))
      return 'done'
    })
    expect(result).toBe('done')
    expect(await store.fills.get('tx-f')).toEqual(fill('tx-f', 'tx-o'))
    expect(store.positions.get('tx-p')).toEqual(position('tx-p'))
  })

  test('a transaction is absent', async () => {
    const code = await failureOf(
      store.transaction((tx) => {
        tx.positions.put(position('half'))
        tx.fills.insert(fill('half-f', 'no-such-order'))
      }),
    )
    expect(code).toMatchObject({ code: 'CONSTRAINT' })
    expect(store.positions.get('half')).toBeUndefined()
    expect(await store.positions.entry('half')).toBeUndefined()
  })
})

describe('reads', () => {
  test('hot get is synchronous, from memory', async () => {
    await store.positions.put(position('BTC-1'))
    expect(store.positions.get('BTC-1')).toEqual(position('BTC-1'))
    expect(await store.positions.get('BTC-1')).toEqual(position('BTC-1'))
  })

  test('find by indexed fields', async () => {
    await store.orders.put(order('find-1', { positionId: 'FIND', state: 'open' }))
    await store.orders.put(order('find-2', { positionId: 'FIND', state: 'filled' }))
    expect(store.orders.find({ state: 'open', positionId: 'FIND' })).toEqual([
      order('find-1', { positionId: 'FIND', state: 'open' }),
    ])
    expect(await store.orders.find({ state: 'filled', positionId: 'FIND' })).toHaveLength(1)
  })

  test('list of a cold collection filters, orders and bounds', async () => {
    await store.orders.put(order('list-o'))
    const fills = [3, 1, 2].map((n) => fill(`list-${n}`, 'list-o', { filledAt: n }))
    await store.fills.insertMany(fills)
    const found = await store.fills.list({ where: { orderId: 'list-o' }, orderBy: 'filledAt', limit: 2 })
    expect(found.map(({ id }) => id)).toEqual(['list-1', 'list-2'])
  })

  test('stream gives one document after the other', async () => {
    await store.trades.load(Array.from({ length: 250 }, (_, n) => trade(`stream-${n}`, { symbol: 'STREAM' })))
    const streamed = await collect(store.trades.stream({ where: { symbol: 'STREAM' } }))
    expect(streamed.map(({ id }) => id)).toEqual(Array.from({ length: 250 }, (_, n) => `stream-${n}`))
  })

  test('the blocking twin returns what the other promises', async () => {
    await store.orders.put(order('sync-o'))
    store.sync.fills.insert(fill('f-1', 'sync-o'))
    expect(store.sync.fills.get('f-1')).toEqual(await store.fills.get('f-1'))
  })

  test('sql sees fields as columns', async () => {
    await store.orders.put(order('sql-1', { symbol: 'SQL/A', state: 'filled' }))
    await store.orders.put(order('sql-2', { symbol: 'SQL/A', state: 'filled' }))
    const rows = await store.sql(
      `select symbol, count(*) n from orders where state = ? and symbol like 'SQL%' group by 1`,
      ['filled'],
    )
    expect(rows).toEqual([{ symbol: 'SQL/A', n: 2 }])
  })

  test('entry gives version and times', async () => {
    const before = Date.now()
    await store.kv.put({ key: 'entry', value: 1 })
    await store.kv.put({ key: 'entry', value: 2 })
    const entry = await store.kv.entry('entry')
    expect(entry).toMatchObject({ document: { key: 'entry', value: 2 }, version: 2 })
    expect(entry?.createdAt).toBeGreaterThanOrEqual(before)
    expect(entry?.updatedAt).toBeGreaterThanOrEqual(entry?.createdAt as number)
  })
})

describe('the store', () => {
  test('flush resolves when everything accepted is durable', async () => {
    for (let n = 0; n < 50; n++) void store.kv.put({ key: `flush-${n}`, value: n })
    await store.flush()
    expect(store.stats().depth).toBe(0)
    expect(await store.sql(`select count(*) n from kv where key like 'flush-%'`)).toEqual([{ n: 50 }])
  })

  test('stats tell depth, bytes, age, batches and latencies', async () => {
    await store.kv.put({ key: 'stats', value: 1 })
    const stats = store.stats()
    expect(stats).toMatchObject({ depth: 0, bytes: 0, oldestAgeMs: 0, workerRestarts: 0 })
    expect(stats.acceptedOperations).toBe(stats.durableOperations + stats.failedOperations)
    expect(stats.batches).toBeGreaterThan(0)
    expect(stats.latency.p50Ms).toBeGreaterThan(0)
    expect(stats.latency.p99Ms).toBeGreaterThanOrEqual(stats.latency.p50Ms)
    expect(stats.latency.maxMs).toBeGreaterThanOrEqual(stats.latency.p999Ms)
    expect(stats.hotDocuments.kv).toBe(store.kv.size)
    expect(stats.market.acceptedOperations).toBe(0)
  })

  test('status adds what the worker knows', async () => {
    const status = await store.status()
    expect(status).toMatchObject({ dir: store.dir, storeId: store.storeId, readsWaiting: 0 })
    expect(status.files.state.databaseBytes).toBeGreaterThan(0)
    const own = readdirSync('migrations').filter((name) => name.endsWith('.sql'))
    expect(status.migrations.map(({ name }) => `${name}.sql`)).toEqual(own.sort())
  })

  test('check finds nothing wrong', async () => {
    expect(await store.check()).toEqual([])
  })

  test('checkpoint empties the write-ahead log', async () => {
    await store.kv.put({ key: 'checkpoint', value: 1 })
    await store.checkpoint()
    expect((await store.status()).files.state.walBytes).toBe(0)
  })

  test('change events tell what was accepted', async () => {
    const events: object[] = []
    const stop = store.positions.on('change', (event) => events.push(event))
    store.positions.put(position('event'))
    expect(events).toEqual([{ key: 'event', document: position('event'), previous: undefined }])
    stop()
    await store.positions.delete('event')
    expect(events).toHaveLength(1)
  })

  test('close makes everything durable, and the store can be opened again', async () => {
    const first = await openTempStore()
    void first.positions.put(position('BTC-1'))
    await first.close()
    const second = await openTempStore({ dir: first.dir })
    expect(second.created).toBe(false)
    expect(second.storeId).toBe(first.storeId)
    expect(second.positions.get('BTC-1')).toEqual(position('BTC-1'))
  })

  test('await using closes it', async () => {
    const dir = join(tempDir(), 's')
    {
      await using scoped = await openTempStore({ dir })
      void scoped.kv.set('k', 'v')
    }
    const again = await openTempStore({ dir })
    expect(again.kv.value('k')).toBe('v')
  })
})

describe('every built-in collection', () => {
  test.each([
    ['positions', 'p', position('p')],
    ['orders', 'o', order('o')],
    ['trades', 't', trade('t')],
    ['kv', 'k', { key: 'k', value: { any: ['json', 1, null, true] } }],
    ['preferences', 'k', { key: 'k', value: 'dark' }],
    ['flags', 'k', { key: 'k', value: true, description: 'why' }],
    ['users', 'u', { id: 'u', name: 'Ada' }],
    ['wallets', '0x', { address: '0x', chain: 'eth' }],
    ['algorithmMetrics', 'm', { id: 'm', algorithm: 'trend', recordedAt: 1, metrics: { sharpe: '1.50' } }],
    ['recoveryMetrics', 'r', { id: 'r', startedAt: 1, durationMs: 2, outcome: 'clean', counts: { orders: 1 } }],
  ] as const)('%s: put, get, list, count, stream, delete', async (name, key, document) => {
    const collection = store.collection(name)
    await collection.put(document)
    expect(await collection.get(key)).toEqual(document)
    expect(await collection.list()).toContainEqual(document)
    expect(await collect(collection.stream())).toContainEqual(document)
    const count = await collection.count()
    await collection.delete(key)
    expect(await collection.get(key)).toBeUndefined()
    expect(await collection.count()).toBe(count - 1)
  })
})

test('prices keep every digit', async () => {
  const exact = { entryPrice: '0.10000000', quantity: '123456789012345678901234567890.000000000000000001' }
  await store.trades.put(trade('digits', exact))
  expect(await store.trades.get('digits')).toMatchObject(exact)
})

test('nothing a store writes can be read in its files', async () => {
  const own = await openTempStore()
  await own.kv.put({ key: 'MARKERKEY', value: 'MARKERVALUE' })
  await own.close()
  for (const name of ['state.db', 'market.db', 'keyring.json', 'lock', 'owner.json']) {
    expect(readFileSync(join(own.dir, name), 'latin1')).not.toMatch(/MARKER(KEY|VALUE)/)
  }
})
