/** Writes on their way: batches, failures, bounds, and that nothing accepted is lost. */
import { describe, expect, test } from 'vitest'
import { defineCollection, z } from '../../src/index.ts'
import { fill, order, position, trade } from './fixtures/documents.ts'
import { codeOf, failureOf, openSharedStore, openTempStore } from './fixtures/temp-store.ts'

const schema = z.object({ id: z.string(), name: z.string().optional(), n: z.number().optional() })
const plain = defineCollection({ name: 'plain', key: 'id', schema })
const named = defineCollection({ name: 'named', key: 'id', schema, indexes: ['name'], unique: ['name'] })
const bars = defineCollection({ name: 'bars', key: 'id', schema, file: 'market' })
const children = defineCollection({
  name: 'children',
  key: 'id',
  schema,
  hot: true,
  indexes: ['name'],
  references: { name: 'orders' },
})
const collections = { plain, named, children, barRows: bars }

const store = await openSharedStore({ collections })

type Outcome = 'durable' | string
const outcomesOf = async (writes: readonly Promise<unknown>[]): Promise<Outcome[]> =>
  (await Promise.allSettled(writes)).map((each) =>
    each.status === 'fulfilled' ? 'durable' : ((each.reason as { code?: string }).code ?? String(each.reason)),
  )

const texts = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => ({ id: `${prefix}-${n}`, n }))

describe('group commit', () => {
  test('the writes of one turn make one batch', async () => {
    const { batches } = store.stats()
    await Promise.all([
      ...texts('turn', 300).map((each) => store.plain.put(each)),
      ...texts('turn', 300).map((each) => store.named.insert(each)),
      store.positions.put(position('turn')),
      store.transaction((tx) => tx.kv.put({ key: 'turn', value: 1 })),
    ])
    expect(store.stats().batches).toBe(batches + 1)
    expect(store.stats().batchOperationsMax).toBeGreaterThanOrEqual(602)
  })

  test('puts that can only fail together share a promise', async () => {
    const promises = texts('shared', 640).map((each) => store.plain.put(each))
    expect(new Set(promises).size).toBeLessThanOrEqual(10)
    await Promise.all(promises)
    expect(await store.plain.count({ id: { gte: 'shared-', lt: 'shared.' } })).toBe(640)
  })

  test('writes that can fail alone have promises of their own', async () => {
    const promises = [
      store.plain.put({ id: 'own-1' }, { ifVersion: 0 }),
      store.plain.insert({ id: 'own-2' }),
      store.named.put({ id: 'own-3' }),
      store.plain.delete('own-4'),
      store.plain.insertMany([{ id: 'own-5' }]),
    ]
    expect(new Set(promises).size).toBe(promises.length)
    await Promise.all(promises)
  })

  test('a batch is bounded', async () => {
    const small = await openTempStore({ collections, queue: { maxBatchOperations: 10 } })
    await Promise.all(texts('bounded', 95).map((each) => small.named.insert(each)))
    expect(small.stats().batchOperationsMax).toBeLessThanOrEqual(10)
    expect(small.stats().batches).toBeGreaterThanOrEqual(10)
    expect(await small.named.count()).toBe(95)
  })

  test('a transaction larger than a batch is one batch all the same', async () => {
    const small = await openTempStore({ collections, queue: { maxBatchOperations: 10 } })
    await small.plain.insertMany(texts('large', 50))
    expect(small.stats()).toMatchObject({ batches: 1, batchOperationsMax: 50 })
  })

  test('the files have queues of their own', async () => {
    const before = store.stats()
    await store.barRows.put({ id: 'b' })
    expect(store.stats().acceptedOperations).toBe(before.acceptedOperations)
    expect(store.stats().market.acceptedOperations).toBe(before.market.acceptedOperations + 1)
  })
})

describe('one that fails fails alone', () => {
  const cases: [string, string, (id: string) => Promise<unknown>, (id: string) => Promise<unknown>][] = [
    [
      'an insert of a key that is there',
      'ALREADY_EXISTS',
      (id) => store.plain.put({ id, n: 0 }),
      (id) => store.plain.insert({ id, n: 1 }),
    ],
    [
      'a second value of a unique field',
      'CONSTRAINT',
      (id) => store.named.put({ id, name: id }),
      (id) => store.named.put({ id: `${id}-other`, name: id }),
    ],
    ['a reference to nothing', 'CONSTRAINT', async () => undefined, (id) => store.fills.put(fill(id, `${id}-nothing`))],
    [
      'the delete of what others refer to',
      'CONSTRAINT',
      async (id) => {
        await store.orders.put(order(id))
        await store.fills.put(fill(id, id))
      },
      (id) => store.orders.delete(id),
    ],
    [
      'a put of another version',
      'VERSION_CONFLICT',
      (id) => store.plain.put({ id }),
      (id) => store.plain.put({ id, n: 1 }, { ifVersion: 2 }),
    ],
    [
      'a put of what should not be there',
      'VERSION_CONFLICT',
      (id) => store.plain.put({ id }),
      (id) => store.plain.put({ id, n: 1 }, { ifVersion: 0 }),
    ],
    [
      'a delete of another version',
      'VERSION_CONFLICT',
      (id) => store.plain.put({ id }),
      (id) => store.plain.delete(id, { ifVersion: 5 }),
    ],
    [
      'a transaction that writes a key twice',
      'ALREADY_EXISTS',
      async () => undefined,
      (id) =>
        store.transaction((tx) => {
          tx.positions.put(position(id))
          tx.plain.insert({ id })
          tx.plain.insert({ id })
        }),
    ],
    [
      'insertMany with a key twice',
      'ALREADY_EXISTS',
      async () => undefined,
      (id) => store.plain.insertMany([{ id }, { id }]),
    ],
  ]

  test.each(cases)('%s: %s', async (name, code, prepare, fail) => {
    const id = name.replaceAll(' ', '-')
    await prepare(id)
    const before = store.stats()
    const outcomes = await outcomesOf([
      store.plain.insert({ id: `${id}-1` }),
      store.positions.put(position(`${id}-2`)),
      fail(id),
      store.named.put({ id: `${id}-3` }),
      store.transaction((tx) => tx.orders.insert(order(`${id}-4`))),
    ])
    expect(outcomes).toEqual(['durable', 'durable', code, 'durable', 'durable'])
    expect(await store.plain.get(`${id}-1`)).toBeDefined()
    expect(await store.positions.entry(`${id}-2`)).toBeDefined()
    expect(await store.named.get(`${id}-3`)).toBeDefined()
    expect(await store.orders.get(`${id}-4`)).toBeDefined()
    expect(store.positions.get(id)).toBeUndefined()
    expect(store.stats().failedOperations).toBeGreaterThan(before.failedOperations)
    expect(store.stats().batches).toBe(before.batches + 1)
  })

  test('says which document, which field, and what to do', async () => {
    await store.named.put({ id: 'why-1', name: 'taken' })
    const error = await failureOf(store.named.put({ id: 'why-2', name: 'taken' }))
    expect(error.message).toBe('Another document in "named" already has this "name".')
    expect(error.details).toEqual({ collection: 'named', key: 'why-2', field: 'name' })
    expect(error.cause).toMatchObject({ name: 'DriverError', code: 'CONSTRAINT' })
    const reference = await failureOf(store.fills.put(fill('why-3', 'nothing')))
    expect(reference.message).toContain('orderId')
  })

  test('many that fail among many that do not', async () => {
    await store.plain.insertMany(texts('mix', 50))
    const outcomes = await outcomesOf(texts('mix', 100).map((each) => store.plain.insert(each)))
    expect(outcomes).toEqual([...Array(50).fill('ALREADY_EXISTS'), ...Array(50).fill('durable')])
  })

  // A batch with no other failure checks references at COMMIT and lets this pass: nothing to rely on, batches end anywhere.
  test('what refers to something accepted later in the turn may fail, is taken back, and the later one is kept', async () => {
    await store.plain.put({ id: 'late' })
    const writes = [
      store.children.insert({ id: 'late-c', name: 'late-o' }),
      store.orders.insert(order('late-o')),
      store.plain.insert({ id: 'late' }),
    ]
    const outcomes = outcomesOf(writes)
    expect(store.children.get('late-c')).toBeDefined()
    expect(await outcomes).toEqual(['CONSTRAINT', 'durable', 'ALREADY_EXISTS'])
    expect(store.children.get('late-c')).toBeUndefined()
    expect(await store.children.entry('late-c')).toBeUndefined()
    expect(store.orders.peek('late-o')).toMatchObject(order('late-o'))
    expect(await store.orders.count({ id: 'late-o' })).toBe(1)
  })

  test('a reference is met in the same transaction, in any order, whatever else fails in the turn', async () => {
    await store.plain.put({ id: 'together' })
    const outcomes = await outcomesOf([
      store.transaction((tx) => {
        tx.children.insert({ id: 'together-c', name: 'together-o' })
        tx.orders.insert(order('together-o'))
      }),
      store.plain.insert({ id: 'together' }),
    ])
    expect(outcomes).toEqual(['durable', 'ALREADY_EXISTS'])
    expect(store.children.get('together-c')).toBeDefined()
  })
})

describe('order', () => {
  test('a thousand writes of one key are a thousand versions, the last of them last', async () => {
    const writes = Array.from({ length: 1_000 }, (_, n) => store.plain.put({ id: 'counter', n }))
    await Promise.all(writes)
    expect(await store.plain.entry('counter')).toMatchObject({ document: { n: 999 }, version: 1_000 })
  })

  test('insert, put, delete and insert of one key in one turn', async () => {
    await Promise.all([
      store.plain.insert({ id: 'same', n: 1 }),
      store.plain.put({ id: 'same', n: 2 }),
      store.plain.delete('same'),
      store.plain.insert({ id: 'same', n: 3 }),
      store.plain.put({ id: 'same', n: 4 }, { ifVersion: 1 }),
    ])
    expect(await store.plain.entry('same')).toMatchObject({ document: { n: 4 }, version: 2 })
  })

  test('uniqueness is judged write by write', async () => {
    await store.named.put({ id: 'u-a', name: 'u-x' })
    await store.named.put({ id: 'u-c' })
    const outcomes = await outcomesOf([
      store.named.delete('u-c'),
      store.named.insert({ id: 'u-b', name: 'u-x' }),
      store.named.delete('u-a'),
      store.named.insert({ id: 'u-d', name: 'u-x' }),
    ])
    expect(outcomes).toEqual(['durable', 'CONSTRAINT', 'durable', 'durable'])
  })

  test('promises resolve in the order of acceptance', async () => {
    const order: number[] = []
    await Promise.all(texts('resolve', 200).map((each, n) => store.named.insert(each).then(() => order.push(n))))
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  })

  test('every version has its time', async () => {
    await store.plain.put({ id: 'time' })
    const first = await store.plain.entry('time')
    await new Promise((resolve) => setTimeout(resolve, 5))
    await store.plain.put({ id: 'time' })
    const second = await store.plain.entry('time')
    expect(second?.createdAt).toBe(first?.createdAt)
    expect(second?.updatedAt).toBeGreaterThan(first?.updatedAt as number)
  })
})

describe('bounds', () => {
  test('past them put rejects with QUEUE_FULL, and changes nothing', async () => {
    const small = await openTempStore({ queue: { maxQueueOperations: 10 } })
    const accepted = Array.from({ length: 10 }, (_, n) => small.kv.set(`k-${n}`, n))
    const error = await failureOf(small.kv.put({ key: 'k-10', value: 10 }))
    expect(error).toMatchObject({ code: 'QUEUE_FULL', details: { depth: 10 } })
    expect(error.message).toContain('store.ready()')
    expect(small.kv.get('k-10')).toBeUndefined()
    await small.ready()
    await small.kv.put({ key: 'k-10', value: 10 })
    await Promise.all(accepted)
    expect(await small.sql('select count(*) n from kv')).toEqual([{ n: 11 }])
  })

  test('bytes are bounded as well', async () => {
    const small = await openTempStore({ queue: { maxQueueBytes: 10_000 } })
    const accepted = [small.kv.set('a', 'x'.repeat(5_000)), small.kv.set('b', 'x'.repeat(3_000))]
    expect(await codeOf(small.kv.put({ key: 'c', value: 'x'.repeat(5_000) }))).toBe('QUEUE_FULL')
    await small.ready()
    await small.kv.set('c', 'x'.repeat(5_000))
    await Promise.all(accepted)
  })

  test('a transaction is taken whole or refused whole', async () => {
    const small = await openTempStore({ queue: { maxQueueOperations: 10 } })
    const pending = Array.from({ length: 6 }, (_, n) => small.kv.set(`k-${n}`, n))
    const refused = small.transaction((tx) => {
      for (let n = 0; n < 5; n++) tx.preferences.put({ key: `p-${n}`, value: n })
    })
    expect(await codeOf(refused)).toBe('QUEUE_FULL')
    expect(small.preferences.size).toBe(0)
    await Promise.all(pending)
  })

  test('what could never fit is INVALID_ARGUMENT: there is nothing to wait for', async () => {
    const small = await openTempStore({ collections, queue: { maxQueueOperations: 10, maxQueueBytes: 10_000 } })
    expect(await codeOf(small.plain.insertMany(texts('never', 11)))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(small.kv.set('never', 'x'.repeat(10_000)))).toBe('INVALID_ARGUMENT')
    expect(small.kv.size).toBe(0)
  })

  test('ready resolves at once when there is room', async () => {
    await store.ready()
  })

  test('depth, bytes and age can be read while writes wait', async () => {
    const durable = store.plain.put({ id: 'gauge', name: 'x'.repeat(1_000) })
    const { depth, bytes, oldestAgeMs } = store.stats()
    expect(depth).toBe(1)
    expect(bytes).toBeGreaterThan(1_000)
    expect(oldestAgeMs).toBeGreaterThanOrEqual(0)
    await durable
    expect(store.stats()).toMatchObject({ depth: 0, bytes: 0, oldestAgeMs: 0 })
  })
})

describe('load', () => {
  test('of 5,000 documents keeps the queue within its bounds, and the order', async () => {
    const small = await openTempStore({ collections, queue: { maxQueueOperations: 1_000 } })
    let deepest = 0
    const documents = function* () {
      for (const each of texts('load', 5_000)) {
        deepest = Math.max(deepest, small.stats().depth)
        yield each
      }
    }
    expect(await small.plain.load(documents())).toBe(5_000)
    expect(deepest).toBeLessThanOrEqual(1_000)
    const stored = await small.plain.list()
    expect(stored.map(({ n }) => n)).toEqual(Array.from({ length: 5_000 }, (_, n) => n))
  })

  test('lets urgent writes pass', async () => {
    let isLoading = true
    const loading = store.barRows.load(texts('pass', 5_000)).then(() => {
      isLoading = false
    })
    await store.positions.put(position('urgent'))
    expect(isLoading).toBe(true)
    await loading
  })

  test('puts: what is there is replaced', async () => {
    await store.plain.load(texts('again', 300))
    await store.plain.load(texts('again', 300))
    expect((await store.plain.entry('again-299'))?.version).toBe(2)
  })

  test('takes an async source', async () => {
    const source = async function* () {
      for (const each of texts('async', 600)) {
        if (each.n % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
        yield each
      }
    }
    expect(await store.plain.load(source())).toBe(600)
  })

  test('of documents that are large beside the queue goes on piece by piece', async () => {
    const small = await openTempStore({ collections, queue: { maxQueueBytes: 100_000 } })
    const documents = Array.from({ length: 60 }, (_, n) => ({ id: `big-${n}`, name: 'x'.repeat(20_000) }))
    expect(await small.plain.load(documents)).toBe(60)
    expect(await small.plain.count()).toBe(60)
  })

  test('several at once share a small queue', async () => {
    const small = await openTempStore({ collections, queue: { maxQueueOperations: 100 } })
    const loads = ['a', 'b', 'c', 'd', 'e', 'f'].map((prefix) => small.plain.load(texts(prefix, 300)))
    expect(await Promise.all(loads)).toEqual(Array(6).fill(300))
    expect(await small.plain.count()).toBe(1_800)
  })

  test('that fails rejects with the reason, and closes its source', async () => {
    await store.named.put({ id: 'load-taken', name: 'load-name' })
    let closed = false
    const source = function* () {
      try {
        for (const each of texts('load-fails', 5_000)) yield each.n === 300 ? { ...each, name: 'load-name' } : each
      } finally {
        closed = true
      }
    }
    expect(await codeOf(store.named.load(source()))).toBe('CONSTRAINT')
    expect(closed).toBe(true)
    expect(await store.named.get('load-fails-0')).toBeDefined()
    expect(await store.named.get('load-fails-260')).toBeUndefined()
  })

  test('that fails in its last piece rejects too', async () => {
    await store.named.put({ id: 'last-taken', name: 'last-name' })
    const documents = [...texts('last', 10), { id: 'last-bad', name: 'last-name' }]
    expect(await codeOf(store.named.load(documents))).toBe('CONSTRAINT')
  })

  test('of an invalid document rejects, with what came before it written or not, piece by piece', async () => {
    const documents = [...texts('invalid', 300), { id: '' }, ...texts('behind', 10)]
    expect(await codeOf(store.plain.load(documents))).toBe('INVALID_DOCUMENT')
    expect(await store.plain.get('behind-0')).toBeUndefined()
  })

  test('passes on what its source throws', async () => {
    const source = function* () {
      yield { id: 'source' }
      throw new Error('out of paper')
    }
    await expect(store.plain.load(source())).rejects.toThrow('out of paper')
  })

  test('of nothing is nothing', async () => {
    expect(await store.plain.load([])).toBe(0)
  })
})

describe('insertMany', () => {
  test('writes all', async () => {
    await store.plain.insertMany(texts('im', 3_000))
    expect(await store.plain.count({ id: { gte: 'im-', lt: 'im.' } })).toBe(3_000)
  })

  test.each([
    ['one is there already', 'ALREADY_EXISTS', [{ id: 'imf-1' }, { id: 'im-5' }]],
    ['one is invalid', 'INVALID_DOCUMENT', [{ id: 'imf-1' }, { id: '' }]],
    ['there are more than 10,000', 'INVALID_ARGUMENT', texts('imf', 10_001)],
  ])('writes none when %s', async (_, code, documents) => {
    expect(await codeOf(store.plain.insertMany(documents))).toBe(code)
    expect(await store.plain.count({ id: { gte: 'imf-', lt: 'imf.' } })).toBe(0)
  })

  test('of nothing is nothing', async () => {
    await store.plain.insertMany([])
  })
})

describe('flush', () => {
  test('waits for all that was accepted, in both files, failed ones too', async () => {
    await store.plain.put({ id: 'flush' })
    let settled = 0
    const count = () => {
      settled += 1
    }
    void store.barRows.put({ id: 'flush' }).then(count)
    void store.plain.insert({ id: 'flush' }).catch(count)
    void store.trades.put(trade('flush')).then(count)
    await store.flush()
    expect(settled).toBe(3)
  })

  test('resolves at once when nothing is pending', async () => {
    await store.flush()
    await store.flush()
  })
})

test('nothing that was accepted is lost when the store closes', async () => {
  const first = await openTempStore({ collections })
  for (const each of texts('lost', 3_000)) void first.plain.put(each)
  for (const each of texts('lost', 1_000)) void first.named.insert(each)
  for (const each of texts('lost', 1_000)) void first.barRows.put(each)
  await first.close()
  expect(first.stats()).toMatchObject({ depth: 0, durableOperations: 4_000, failedOperations: 0 })
  const again = await openTempStore({ dir: first.dir, collections })
  expect(await Promise.all([again.plain.count(), again.named.count(), again.barRows.count()])).toEqual([
    3_000, 1_000, 1_000,
  ])
})
