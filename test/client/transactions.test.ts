import { describe, expect, test, vi } from 'vitest'
import { defineCollection, type TransactionScope, z } from '../../src/index.ts'
import { fill, order, position } from './fixtures/documents.ts'
import { codeOf, failureOf, openSharedStore } from './fixtures/temp-store.ts'

const schema = z.object({ id: z.string(), n: z.number().optional() })
const collections = {
  hot: defineCollection({ name: 'hot', key: 'id', schema, hot: true }),
  cold: defineCollection({ name: 'cold', key: 'id', schema }),
  market: defineCollection({ name: 'market', key: 'id', schema, file: 'market' }),
}

const store = await openSharedStore({ collections })
type Scope = Parameters<Parameters<typeof store.transaction>[0]>[0]

/** Nothing of a transaction that wrote these keys is there, in memory or on disk. */
async function expectAbsent(...ids: string[]): Promise<void> {
  for (const id of ids) {
    expect(store.hot.get(id)).toBeUndefined()
    expect(await store.hot.entry(id)).toBeUndefined()
    expect(await store.cold.get(id)).toBeUndefined()
  }
}

describe('a transaction', () => {
  test('is whole, across collections', async () => {
    await store.transaction((tx) => {
      tx.orders.insert(order('w-o'))
      tx.fills.insertMany([fill('w-f1', 'w-o'), fill('w-f2', 'w-o')])
      tx.positions.put(position('w-p'))
      tx.orders.put(order('w-o', { state: 'filled' }))
    })
    expect(await store.orders.entry('w-o')).toMatchObject({ document: { state: 'filled' }, version: 2 })
    expect(await store.fills.count({ orderId: 'w-o' })).toBe(2)
    expect(store.positions.get('w-p')).toEqual(position('w-p'))
  })

  test('sets values under keys, and sees them', async () => {
    await store.kv.set('w-old', 1)
    await store.transaction((tx) => {
      expect(tx.kv.value('w-old')).toBe(1)
      tx.kv.set('w-old', [2])
      tx.flags.set('w-flag', true)
      tx.positions.put(position('w-kv'))
      expect(tx.kv.value('w-old')).toEqual([2])
      tx.kv.delete('w-old')
      expect(tx.kv.value('w-old')).toBeUndefined()
      tx.kv.set('w-old', { deep: 'x' })
    })
    expect(store.kv.value('w-old')).toEqual({ deep: 'x' })
    expect(await store.flags.entry('w-flag')).toMatchObject({ document: { key: 'w-flag', value: true } })
  })

  test('that sets what is no JSON writes nothing at all', async () => {
    const failed = store.transaction((tx) => {
      tx.kv.set('w-bad', 1)
      tx.kv.set('w-worse', Number.NaN)
    })
    expect(await codeOf(failed)).toBe('INVALID_DOCUMENT')
    expect(store.kv.value('w-bad')).toBeUndefined()
  })

  test('shows in memory at once', async () => {
    const durable = store.transaction((tx) => tx.hot.put({ id: 'now', n: 1 }))
    expect(store.hot.get('now')).toEqual({ id: 'now', n: 1 })
    await durable
  })

  test('resolves to what its callback returns', async () => {
    expect(await store.transaction((tx) => [tx.hot.get('none'), 7])).toEqual([undefined, 7])
  })

  test('that writes nothing resolves', async () => {
    expect(await store.transaction(() => 'nothing')).toBe('nothing')
  })

  test('may write children before their parents', async () => {
    await store.transaction((tx) => {
      tx.fills.insert(fill('cp-f', 'cp-o'))
      tx.orders.insert(order('cp-o'))
    })
    expect(await store.fills.get('cp-f')).toBeDefined()
  })

  test('may delete parents with their children', async () => {
    await store.transaction((tx) => {
      tx.orders.insert(order('dp-o'))
      tx.fills.insert(fill('dp-f', 'dp-o'))
    })
    await store.transaction((tx) => {
      tx.orders.delete('dp-o')
      tx.fills.delete('dp-f')
    })
    expect(await store.orders.get('dp-o')).toBeUndefined()
  })

  test('is judged write by write: a version counts its own writes', async () => {
    await store.transaction((tx) => {
      tx.cold.insert({ id: 'steps', n: 1 })
      tx.cold.put({ id: 'steps', n: 2 }, { ifVersion: 1 })
      tx.cold.put({ id: 'steps', n: 3 }, { ifVersion: 2 })
    })
    expect(await store.cold.entry('steps')).toMatchObject({ document: { n: 3 }, version: 3 })
  })

  test('takes up to 10,000 operations', async () => {
    const many = (count: number) => (tx: Scope) => {
      for (let n = 0; n < count; n++) tx.cold.put({ id: `many-${n}` })
    }
    expect(await codeOf(store.transaction(many(10_001)))).toBe('INVALID_ARGUMENT')
    expect(await store.cold.get('many-0')).toBeUndefined()
    await store.transaction(many(10_000))
    expect(await store.cold.get('many-9999')).toBeDefined()
  })
})

describe('reads inside', () => {
  test('see its own writes, and what was in memory before', async () => {
    await store.hot.put({ id: 'r-1', n: 1 })
    await store.transaction((tx) => {
      expect(tx.hot.get('r-1')).toEqual({ id: 'r-1', n: 1 })
      tx.hot.put({ id: 'r-1', n: 2 })
      tx.hot.put({ id: 'r-2' })
      expect(tx.hot.get('r-1')).toEqual({ id: 'r-1', n: 2 })
      expect(tx.hot.get('r-2')).toEqual({ id: 'r-2' })
      tx.hot.delete('r-1')
      expect(tx.hot.get('r-1')).toBeUndefined()
      expect(store.hot.get('r-1')).toEqual({ id: 'r-1', n: 1 })
    })
  })

  test('of open orders see one that the transaction closes no longer', async () => {
    await store.orders.put(order('r-o'))
    await store.transaction((tx) => {
      expect(tx.orders.get('r-o')).toEqual(order('r-o'))
      tx.orders.put(order('r-o', { state: 'filled' }))
      expect(tx.orders.get('r-o')).toBeUndefined()
    })
  })
})

describe('is absent, whole,', () => {
  test.each([
    [
      'when a constraint refuses a part',
      'CONSTRAINT',
      (tx: Scope) => {
        tx.hot.put({ id: 'abs-1' })
        tx.cold.put({ id: 'abs-1' })
        tx.fills.put(fill('abs-1', 'nothing'))
      },
    ],
    [
      'when a document is there already, on disk',
      'ALREADY_EXISTS',
      (tx: Scope) => {
        tx.hot.put({ id: 'abs-2' })
        tx.cold.insert({ id: 'there' })
        tx.cold.put({ id: 'abs-2' })
      },
    ],
    [
      'when a document is there already, in memory',
      'ALREADY_EXISTS',
      (tx: Scope) => {
        tx.cold.put({ id: 'abs-3' })
        tx.hot.insert({ id: 'there' })
      },
    ],
    [
      'when a version is another, on disk',
      'VERSION_CONFLICT',
      (tx: Scope) => {
        tx.hot.put({ id: 'abs-4' })
        tx.cold.put({ id: 'there' }, { ifVersion: 9 })
      },
    ],
    [
      'when a version is another, in memory',
      'VERSION_CONFLICT',
      (tx: Scope) => {
        tx.cold.put({ id: 'abs-5' })
        tx.hot.delete('there', { ifVersion: 9 })
      },
    ],
    [
      'when a document is invalid',
      'INVALID_DOCUMENT',
      (tx: Scope) => {
        tx.hot.put({ id: 'abs-6' })
        tx.cold.put({ id: 5 } as never)
      },
    ],
    [
      'when it writes to two files',
      'INVALID_ARGUMENT',
      (tx: Scope) => {
        tx.hot.put({ id: 'abs-7' })
        tx.market.put({ id: 'abs-7' })
      },
    ],
  ])('%s: %s', async (_, code, callback) => {
    await store.hot.put({ id: 'there' })
    await store.cold.put({ id: 'there' })
    expect(await codeOf(store.transaction(callback))).toBe(code)
    await expectAbsent('abs-1', 'abs-2', 'abs-3', 'abs-4', 'abs-5', 'abs-6', 'abs-7')
    expect(store.stats().depth).toBe(0)
  })

  test('when its callback throws, with what it throws', async () => {
    const listener = vi.fn()
    const stop = store.hot.on('change', listener)
    const mine = new Error('changed my mind')
    const failing = store.transaction((tx) => {
      tx.hot.put({ id: 'throw' })
      tx.cold.put({ id: 'throw' })
      throw mine
    })
    await expect(failing).rejects.toBe(mine)
    stop()
    expect(listener).not.toHaveBeenCalled()
    await expectAbsent('throw')
  })

  test('when its callback is asynchronous', async () => {
    const error = await failureOf(
      store.transaction(async (tx) => {
        tx.hot.put({ id: 'async' })
        await Promise.resolve()
        tx.cold.put({ id: 'async' })
      }),
    )
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain('synchronous')
    await expectAbsent('async')
  })

  test('when its callback is asynchronous and fails, without an unhandled rejection', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const failing = store.transaction(async () => {
      throw new Error('later')
    })
    expect(await codeOf(failing)).toBe('INVALID_ARGUMENT')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('and takes memory back to what it was', async () => {
    await store.hot.put({ id: 'back', n: 1 })
    const failing = codeOf(
      store.transaction((tx) => {
        tx.hot.put({ id: 'back', n: 2 })
        tx.hot.put({ id: 'back', n: 3 })
        tx.hot.put({ id: 'back-2' })
        tx.fills.put(fill('back', 'nothing'))
      }),
    )
    expect(store.hot.get('back')).toEqual({ id: 'back', n: 3 })
    expect(await failing).toBe('CONSTRAINT')
    expect(store.hot.get('back')).toEqual({ id: 'back', n: 1 })
    expect(store.hot.get('back-2')).toBeUndefined()
  })
})

test('its collections are of no use after it', async () => {
  let escaped: Scope | undefined
  await store.transaction((tx) => {
    escaped = tx
  })
  const tx = escaped as Scope
  for (const use of [
    () => tx.hot.put({ id: 'late' }),
    () => tx.cold.insert({ id: 'late' }),
    () => tx.cold.insertMany([{ id: 'late' }]),
    () => tx.hot.delete('late'),
  ]) {
    expect(await codeOf(use)).toBe('INVALID_ARGUMENT')
  }
  await expectAbsent('late')
})

test('many at once keep to themselves', async () => {
  const transfers = Array.from({ length: 100 }, (_, n) =>
    store.transaction((tx) => {
      const balance = tx.hot.get('balance')?.n ?? 0
      tx.hot.put({ id: 'balance', n: balance + 1 })
      tx.cold.put({ id: `transfer-${n}`, n: balance })
    }),
  )
  await Promise.all(transfers)
  expect(store.hot.get('balance')?.n).toBe(100)
  expect((await store.hot.entry('balance'))?.version).toBe(100)
  const balances = (await store.cold.list({ where: { id: { gte: 'transfer-', lt: 'transfer.' } } })).map(({ n }) => n)
  expect(balances).toEqual(Array.from({ length: 100 }, (_, n) => n))
})

test('a scope has every collection of the store, and the audit trail', async () => {
  const names: string[] = []
  await store.transaction((tx: TransactionScope<typeof collections>) => {
    names.push(...Object.keys(tx))
  })
  expect(names.sort()).toEqual(['audit', ...store.collectionNames].sort())
})
