/** Hot collections: what memory shows, from the moment a write is accepted until its transaction has failed or not. */
import { describe, expect, test, vi } from 'vitest'
import { type ChangeEvent, defineCollection, z } from '../../src/index.ts'
import { fill, order, position } from './fixtures/documents.ts'
import { codeOf, failureOf, openSharedStore, openTempStore } from './fixtures/temp-store.ts'

const items = defineCollection({
  name: 'items',
  key: 'id',
  schema: z.object({ id: z.string(), tag: z.string().optional(), n: z.number().optional(), deep: z.json().optional() }),
  indexes: ['tag', 'n'],
  hot: true,
})
const unique = defineCollection({
  name: 'uniques',
  key: 'id',
  schema: z.object({ id: z.string(), name: z.string(), n: z.number().optional() }),
  indexes: ['name'],
  unique: ['name'],
  hot: true,
})

const store = await openSharedStore({ collections: { items, uniques: unique } })

describe('documents given out', () => {
  test('are frozen all the way down', async () => {
    await store.items.put({ id: 'frozen', deep: { list: [{ a: 1 }] } })
    const given = store.items.get('frozen') as unknown as { deep: { list: { a: number }[] } }
    for (const part of [given, given.deep, given.deep.list, given.deep.list[0]])
      expect(Object.isFrozen(part)).toBe(true)
    expect(() => {
      ;(given.deep.list[0] as { a: number }).a = 2
    }).toThrow(TypeError)
  })

  test('are frozen after a restart too', async () => {
    const first = await openTempStore({ collections: { items } })
    await first.items.put({ id: 'frozen', deep: { list: [{ a: 1 }] } })
    await first.close()
    const again = await openTempStore({ dir: first.dir, collections: { items } })
    const given = again.items.get('frozen') as unknown as { deep: { list: object[] } }
    for (const part of [given, given.deep, given.deep.list, given.deep.list[0]])
      expect(Object.isFrozen(part)).toBe(true)
  })

  test('are the store’s own: the caller’s object stays free, and changing it changes nothing', async () => {
    const mine = { id: 'mine', tag: 'a', deep: { list: [{ a: 1 }] } }
    await store.items.put(mine)
    mine.tag = 'b'
    ;(mine.deep.list[0] as { a: number }).a = 2
    mine.deep.list.push({ a: 3 })
    expect(store.items.get('mine')).toEqual({ id: 'mine', tag: 'a', deep: { list: [{ a: 1 }] } })
    expect((await store.items.entry('mine'))?.document).toEqual(store.items.get('mine'))
  })

  test('may be put back as they are', async () => {
    await store.items.put({ id: 'again', deep: { a: [1] } })
    const given = store.items.get('again')
    if (given !== undefined) await store.items.put({ ...given, tag: 'new' })
    expect(store.items.get('again')).toEqual({ id: 'again', deep: { a: [1] }, tag: 'new' })
  })
})

describe('hydration', () => {
  test('has everything in memory before open resolves, however much', async () => {
    const first = await openTempStore({ collections: { items } })
    await first.items.load(Array.from({ length: 2_500 }, (_, n) => ({ id: `i-${n}`, n })))
    await first.close()
    const again = await openTempStore({ dir: first.dir, collections: { items } })
    expect(again.items.size).toBe(2_500)
    expect(again.stats().hotDocuments.items).toBe(2_500)
    expect(again.items.get('i-2499')).toEqual({ id: 'i-2499', n: 2_499 })
    expect(again.items.list({ limit: 3 }).map(({ n }) => n)).toEqual([0, 1, 2])
  })

  test('knows the versions', async () => {
    const first = await openTempStore({ collections: { items } })
    for (const n of [1, 2, 3]) await first.items.put({ id: 'v', n })
    await first.close()
    const again = await openTempStore({ dir: first.dir, collections: { items } })
    expect(await failureOf(again.items.put({ id: 'v' }, { ifVersion: 2 }))).toMatchObject({ details: { actual: 3 } })
    await again.items.put({ id: 'v', n: 4 }, { ifVersion: 3 })
    expect((await again.items.entry('v'))?.version).toBe(4)
  })

  test('brings in open orders, and leaves the others on disk', async () => {
    const first = await openTempStore()
    await first.orders.insertMany([order('a'), order('b', { state: 'filled' }), order('c', { state: 'intent' })])
    await first.close()
    const again = await openTempStore({ dir: first.dir })
    expect(again.orders.size).toBe(2)
    expect(again.orders.peek('b')).toBeUndefined()
    expect(await again.orders.get('b')).toMatchObject({ state: 'filled' })
  })
})

describe('a write that is refused at once changes nothing', () => {
  test.each([
    ['INVALID_DOCUMENT', () => store.items.put({ id: 'refused', n: 'x' } as never)],
    ['VERSION_CONFLICT', () => store.items.put({ id: 'refused' }, { ifVersion: 7 })],
    ['INVALID_ARGUMENT', () => store.items.put({ id: 'refused' }, { ifVersion: -1 })],
    ['INVALID_ARGUMENT', () => store.items.put({ id: 'refused' }, { ifVersion: 1.5 })],
  ])('%s', async (code, write) => {
    const listener = vi.fn()
    const stop = store.items.on('change', listener)
    const before = store.stats().acceptedOperations
    expect(await codeOf(write)).toBe(code)
    stop()
    expect(store.items.get('refused')).toBeUndefined()
    expect(listener).not.toHaveBeenCalled()
    expect(store.stats().acceptedOperations).toBe(before)
  })

  test('ALREADY_EXISTS, before the first insert is durable', async () => {
    const first = store.items.insert({ id: 'twice', n: 1 })
    expect(await codeOf(store.items.insert({ id: 'twice', n: 2 }))).toBe('ALREADY_EXISTS')
    await first
    expect(store.items.get('twice')).toEqual({ id: 'twice', n: 1 })
  })
})

describe('a write whose transaction fails is taken back', () => {
  test('an insert is gone', async () => {
    await store.uniques.put({ id: 'a', name: 'taken-1' })
    const failing = failureOf(store.uniques.insert({ id: 'b', name: 'taken-1' }))
    expect(store.uniques.get('b')).toBeDefined()
    expect(await failing).toMatchObject({
      code: 'CONSTRAINT',
      details: { collection: 'uniques', key: 'b', field: 'name' },
    })
    expect(store.uniques.get('b')).toBeUndefined()
    expect(store.uniques.find({ name: 'taken-1' })).toEqual([{ id: 'a', name: 'taken-1' }])
  })

  test('a put shows what was there before', async () => {
    await store.uniques.put({ id: 'c', name: 'taken-2' })
    await store.uniques.put({ id: 'd', name: 'free-2' })
    expect(await codeOf(store.uniques.put({ id: 'd', name: 'taken-2' }))).toBe('CONSTRAINT')
    expect(store.uniques.get('d')).toEqual({ id: 'd', name: 'free-2' })
    expect(store.uniques.find({ name: 'free-2' })).toHaveLength(1)
    expect((await store.uniques.entry('d'))?.version).toBe(1)
  })

  test('a delete brings the document back', async () => {
    await store.orders.put(order('kept'))
    await store.fills.put(fill('kept-f', 'kept'))
    const failing = codeOf(store.orders.delete('kept'))
    expect(store.orders.peek('kept')).toBeUndefined()
    expect(await failing).toBe('CONSTRAINT')
    expect(store.orders.peek('kept')).toEqual(order('kept'))
  })

  test('what was accepted for the same key later stays', async () => {
    await store.uniques.put({ id: 'e', name: 'taken-3' })
    await store.uniques.put({ id: 'f', name: 'free-3' })
    const failing = codeOf(store.uniques.put({ id: 'f', name: 'taken-3' }))
    const later = store.uniques.put({ id: 'f', name: 'other-3', n: 1 })
    expect(await failing).toBe('CONSTRAINT')
    expect(store.uniques.get('f')).toEqual({ id: 'f', name: 'other-3', n: 1 })
    await later
    expect(await store.uniques.entry('f')).toMatchObject({ document: { name: 'other-3' }, version: 2 })
  })

  test('and when what came later fails too, the state before both is back', async () => {
    await store.uniques.put({ id: 'g', name: 'taken-4' })
    await store.uniques.put({ id: 'h', name: 'free-4' })
    const failing = [
      codeOf(store.uniques.put({ id: 'h', name: 'taken-4' })),
      codeOf(store.uniques.put({ id: 'h', name: 'taken-4', n: 2 })),
    ]
    expect(await Promise.all(failing)).toEqual(['CONSTRAINT', 'CONSTRAINT'])
    expect(store.uniques.get('h')).toEqual({ id: 'h', name: 'free-4' })
  })

  test('a delete accepted later stays', async () => {
    await store.uniques.put({ id: 'i', name: 'taken-5' })
    const failing = codeOf(store.uniques.put({ id: 'j', name: 'taken-5' }))
    const later = store.uniques.delete('j')
    expect(await failing).toBe('CONSTRAINT')
    await later
    expect(store.uniques.get('j')).toBeUndefined()
  })

  test('versions go on from what the database has', async () => {
    await store.uniques.put({ id: 'k', name: 'taken-6' })
    await store.uniques.put({ id: 'l', name: 'free-6' })
    const failing = codeOf(store.uniques.put({ id: 'l', name: 'taken-6' }))
    await store.uniques.put({ id: 'l', name: 'other-6' })
    expect(await failing).toBe('CONSTRAINT')
    expect(await codeOf(store.uniques.put({ id: 'l', name: 'x' }, { ifVersion: 3 }))).toBe('VERSION_CONFLICT')
    await store.uniques.put({ id: 'l', name: 'last-6' }, { ifVersion: 2 })
    expect(store.uniques.get('l')).toEqual({ id: 'l', name: 'last-6' })
  })
})

describe('change events', () => {
  /** The events of `work`, and of what it leaves pending. */
  async function eventsOf(work: () => unknown): Promise<ChangeEvent<unknown>[]> {
    const events: ChangeEvent<unknown>[] = []
    const stops = [store.uniques, store.items].map((collection) =>
      collection.on('change', (event) => events.push(event)),
    )
    await Promise.resolve(work()).catch(() => undefined)
    await store.flush()
    for (const stop of stops) stop()
    return events
  }

  test('tell document and previous of a put, an update and a delete', async () => {
    const one = { id: 'ev-1', tag: 'a' }
    const two = { id: 'ev-1', tag: 'b' }
    const events = await eventsOf(() => {
      void store.items.put(one)
      void store.items.put(two)
      void store.items.delete('ev-1')
    })
    expect(events).toEqual([
      { key: 'ev-1', document: one, previous: undefined },
      { key: 'ev-1', document: two, previous: one },
      { key: 'ev-1', document: undefined, previous: two },
    ])
  })

  test('come before the call returns', async () => {
    const listener = vi.fn()
    const stop = store.items.on('change', listener)
    const durable = store.items.put({ id: 'ev-2' })
    expect(listener).toHaveBeenCalledTimes(1)
    stop()
    await durable
  })

  test('tell of a write that is taken back', async () => {
    await store.uniques.put({ id: 'ev-3', name: 'taken-ev' })
    await store.uniques.put({ id: 'ev-4', name: 'free-ev' })
    const failed = { id: 'ev-4', name: 'taken-ev' }
    const events = await eventsOf(() => store.uniques.put(failed))
    expect(events).toEqual([
      { key: 'ev-4', document: failed, previous: { id: 'ev-4', name: 'free-ev' } },
      { key: 'ev-4', document: { id: 'ev-4', name: 'free-ev' }, previous: failed },
    ])
  })

  test('say nothing of a write that is taken back behind a later one', async () => {
    await store.uniques.put({ id: 'ev-5', name: 'taken-ev5' })
    const events = await eventsOf(() => {
      store.uniques.put({ id: 'ev-6', name: 'taken-ev5' }).catch(() => undefined)
      void store.uniques.put({ id: 'ev-6', name: 'free-ev5' })
    })
    expect(events.map(({ document }) => (document as { name: string }).name)).toEqual(['taken-ev5', 'free-ev5'])
  })

  test('come one for each operation of a transaction, in order', async () => {
    const events = await eventsOf(() =>
      store.transaction((tx) => {
        tx.items.put({ id: 'ev-7' })
        tx.items.put({ id: 'ev-8' })
        tx.items.delete('ev-7')
      }),
    )
    expect(events.map(({ key, document }) => [key, document !== undefined])).toEqual([
      ['ev-7', true],
      ['ev-8', true],
      ['ev-7', false],
    ])
  })

  test('tell cold collections’ writes too, without what was there before', async () => {
    const events: unknown[] = []
    const stop = store.fills.on('change', (event) => events.push(event))
    await store.orders.put(order('ev-o'))
    await store.fills.put(fill('ev-f', 'ev-o'))
    await store.fills.delete('ev-f')
    stop()
    expect(events).toEqual([
      { key: 'ev-f', document: fill('ev-f', 'ev-o'), previous: undefined },
      { key: 'ev-f', document: undefined, previous: undefined },
    ])
  })

  test('a listener that throws stops neither the write nor the other listeners; its error is uncaught', async () => {
    const uncaught: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    const listener = vi.fn()
    const stops = [
      store.items.on('change', () => {
        throw new Error('from a listener')
      }),
      store.items.on('change', listener),
    ]
    try {
      await store.items.put({ id: 'thrown' })
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      for (const stop of stops) stop()
      process.removeAllListeners('uncaughtException')
      for (const other of others) process.on('uncaughtException', other)
    }
    expect(store.items.get('thrown')).toEqual({ id: 'thrown' })
    expect(listener).toHaveBeenCalledTimes(1)
    expect(uncaught).toMatchObject([{ message: 'from a listener' }])
  })

  test('a listener may write', async () => {
    const stop = store.items.on('change', ({ key }) => {
      if (key === 'cause') void store.items.put({ id: 'effect' })
    })
    await store.items.put({ id: 'cause' })
    stop()
    await store.flush()
    expect(store.items.get('effect')).toEqual({ id: 'effect' })
  })

  test('end for a listener that was taken off, once', async () => {
    const listener = vi.fn()
    const stop = store.items.on('change', listener)
    stop()
    stop()
    await store.items.put({ id: 'unheard' })
    expect(listener).not.toHaveBeenCalled()
  })
})

describe('orders are hot while they are open', () => {
  test('a terminal order leaves memory, and get is a promise of it', async () => {
    void store.orders.put(order('p-1'))
    expect(store.orders.get('p-1')).toEqual(order('p-1'))
    const size = store.orders.size
    void store.orders.put(order('p-1', { state: 'filled' }))
    expect(store.orders.size).toBe(size - 1)
    expect(store.orders.peek('p-1')).toBeUndefined()
    const found = store.orders.get('p-1')
    expect(found).toBeInstanceOf(Promise)
    expect(await found).toEqual(order('p-1', { state: 'filled' }))
  })

  test('an order that is unknown is a promise of nothing: it may be on disk', async () => {
    const found = store.orders.get('p-none')
    expect(found).toBeInstanceOf(Promise)
    expect(await found).toBeUndefined()
  })

  test('an order may come back into memory', async () => {
    await store.orders.put(order('p-2', { state: 'canceled' }))
    await store.orders.put(order('p-2', { state: 'open' }))
    expect(store.orders.peek('p-2')).toEqual(order('p-2'))
    expect((await store.orders.entry('p-2'))?.version).toBe(2)
  })

  test.each([
    ['a hot state', { state: 'open' as const }, true],
    ['several hot states', { state: { in: ['open' as const, 'intent' as const] } }, true],
    ['a terminal state', { state: 'filled' as const }, false],
    ['a mix of states', { state: { in: ['open' as const, 'filled' as const] } }, false],
    ['every state but one', { state: { ne: 'filled' as const } }, false],
    ['no state', {}, false],
  ])('find by %s is answered from memory only when memory has all of it', async (_, where, isSync) => {
    const positionId = `P-${JSON.stringify(where)}`
    await store.orders.put(order(`${positionId}-a`, { positionId }))
    await store.orders.put(order(`${positionId}-b`, { positionId, state: 'filled' }))
    const found = store.orders.find({ ...where, positionId } as { positionId: string })
    expect(found instanceof Promise).toBe(!isSync)
    const expected = (await store.sql(`select _key k, state from orders where positionId = ? order by k`, [positionId]))
      .filter(({ state }) => {
        const condition = (where as { state?: string | { in?: string[]; ne?: string } }).state
        if (condition === undefined) return true
        if (typeof condition === 'string') return state === condition
        return condition.in?.includes(String(state)) ?? state !== condition.ne
      })
      .map(({ k }) => k)
    expect((await found).map(({ id }) => id)).toEqual(expected)
  })

  test('list and count see them all, with what was just accepted', async () => {
    const positionId = 'P-list'
    void store.orders.put(order('l-1', { positionId }))
    void store.orders.put(order('l-2', { positionId, state: 'filled' }))
    expect((await store.orders.list({ where: { positionId } })).map(({ id }) => id)).toEqual(['l-1', 'l-2'])
    expect(await store.orders.count({ positionId })).toBe(2)
  })

  test('events tell of an order that leaves memory', async () => {
    await store.orders.put(order('p-3'))
    const events: unknown[] = []
    const stop = store.orders.on('change', (event) => events.push(event))
    await store.orders.put(order('p-3', { state: 'filled' }))
    stop()
    expect(events).toEqual([{ key: 'p-3', document: undefined, previous: order('p-3') }])
  })
})

describe('keys and values', () => {
  test('set and value are put and get of the value', async () => {
    await store.kv.set('cursor', { page: 3 })
    expect(store.kv.value('cursor')).toEqual({ page: 3 })
    expect(store.kv.get('cursor')).toEqual({ key: 'cursor', value: { page: 3 } })
    expect(store.kv.value('none')).toBeUndefined()
  })

  test('null, false, 0 and the empty text are values', async () => {
    for (const value of [null, false, 0, '']) {
      await store.kv.set('empty', value)
      expect(store.kv.value('empty')).toBe(value)
    }
  })
})

test('size counts the documents in memory', async () => {
  const before = store.positions.size
  void store.positions.put(position('size-1'))
  void store.positions.put(position('size-2'))
  void store.positions.delete('size-1')
  expect(store.positions.size).toBe(before + 1)
  await store.flush()
})
