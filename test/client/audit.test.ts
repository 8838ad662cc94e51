import { describe, expect, test } from 'vitest'
import { type AppendedAuditEntry, openStore } from '../../src/index.ts'
import { order, position } from './fixtures/documents.ts'
import { codeOf, collect, failureOf, openSharedStore, openTempStore, PASSWORD } from './fixtures/temp-store.ts'

const store = await openSharedStore()
const ENTRY = { actor: 'ada', event: 'orders.approved' } as const

async function ofCause(causationId: string) {
  return (await store.audit.list()).filter((entry) => entry.causationId === causationId)
}

describe('an entry by itself', () => {
  test('is in the trail when its promise resolves: who, what, why, when', async () => {
    const before = Date.now()
    await store.audit.append({ ...ENTRY, data: { b: [1, null, 'x'], a: { deep: true } }, causationId: 'alone-1' })
    const [entry] = await ofCause('alone-1')
    expect(entry).toMatchObject({ ...ENTRY, data: { a: { deep: true }, b: [1, null, 'x'] }, note: null })
    expect(entry?.at).toBeGreaterThanOrEqual(before)
    expect(entry?.at).toBeLessThanOrEqual(Date.now())
  })

  test('has no data and no cause unless given', async () => {
    await store.audit.append({ actor: 'bare', event: 'my.event' })
    expect(await store.audit.list({ actor: 'bare' })).toMatchObject([{ data: {}, causationId: null }])
  })

  test('follows the one before: number, MAC and order of acceptance', async () => {
    const all = Array.from({ length: 300 }, (_, n) => store.audit.append({ actor: `n-${n}`, event: 'many.one' }))
    await Promise.all(all)
    const entries = await store.audit.list()
    expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => index + 1))
    expect(entries.slice(1).map(({ previous }) => previous)).toEqual(entries.slice(0, -1).map(({ mac }) => mac))
    const many = entries.filter(({ event }) => event === 'many.one')
    expect(many.map(({ actor }) => actor)).toEqual(Array.from({ length: 300 }, (_, n) => `n-${n}`))
  })

  test('keeps every character', async () => {
    const actor = 'ünïcödé 🙂 "\'`;--'
    await store.audit.append({ actor, event: 'odd.text', data: { text: '\u0000\ud800\u2028' } })
    expect(await store.audit.list({ event: 'odd.text' })).toMatchObject([
      { actor, data: { text: '\u0000\ud800\u2028' } },
    ])
    expect(await store.audit.verify()).toMatchObject({ ok: true })
  })

  test.each([
    ['no entry', undefined],
    ['no actor', { event: 'a.b' }],
    ['an actor without a name', { actor: '', event: 'a.b' }],
    ['an actor with a line break', { actor: 'a\nb', event: 'a.b' }],
    ['an actor that is half a character', { actor: '\ud800', event: 'a.b' }],
    ['an event without a namespace', { actor: 'a', event: 'approved' }],
    ['a built-in event', { actor: 'a', event: 'wallet.revealed' }],
    ['an event in a reserved namespace', { actor: 'a', event: 'audit.something' }],
    ['a field nobody knows', { ...ENTRY, password: 'x' }],
    ['data that is a list', { ...ENTRY, data: [1] }],
    ['data that is a date', { ...ENTRY, data: { at: new Date() } }],
    ['a number JSON has no word for', { ...ENTRY, data: { n: Number.NaN } }],
    ['a bigint', { ...ENTRY, data: { n: 1n } }],
    ['data nested too deep', { ...ENTRY, data: JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`) }],
    ['data without end', { ...ENTRY, data: circular() }],
    ['data that is too large', { ...ENTRY, data: { text: 'x'.repeat(16 * 1024) } }],
    ['a cause that is a number', { ...ENTRY, causationId: 7 }],
  ])('with %s is INVALID_DOCUMENT', async (_, entry) => {
    const { entries } = (await store.status()).audit
    expect(await codeOf(store.audit.append(entry as never))).toBe('INVALID_DOCUMENT')
    expect(await codeOf(store.audit.note(entry as never))).toBe('INVALID_DOCUMENT')
    expect(await codeOf(store.transaction((tx) => tx.audit.append(entry as never)))).toBe('INVALID_DOCUMENT')
    expect((await store.status()).audit.entries).toBe(entries)
  })

  test('that is refused is not quoted', async () => {
    const secret = '4711-secret'
    const error = await failureOf(
      store.audit.append({
        actor: `${secret}\n`,
        event: secret,
        data: { [secret]: () => secret },
        [secret]: 1,
      } as never),
    )
    expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toContain(secret)
  })

  test('is a copy: what the caller changes later is not in it', async () => {
    const data = { n: 1 }
    const durable = store.audit.append({ actor: 'copy', event: 'a.b', data })
    data.n = 2
    await durable
    expect(await store.audit.list({ actor: 'copy' })).toMatchObject([{ data: { n: 1 } }])
  })
})

describe('an entry in a transaction', () => {
  test('is there with what it explains', async () => {
    await store.transaction((tx) => {
      tx.orders.insert(order('t-1'))
      tx.audit.append({ ...ENTRY, causationId: 't-1' })
    })
    expect(await store.orders.get('t-1')).toBeDefined()
    expect(await ofCause('t-1')).toHaveLength(1)
  })

  test('is not there when the change is refused, whatever shares its batch', async () => {
    await store.orders.insert(order('taken'))
    const results = await Promise.allSettled([
      store.audit.append({ ...ENTRY, causationId: 'r-before' }),
      store.transaction((tx) => {
        tx.audit.append({ ...ENTRY, causationId: 'r-refused' })
        tx.positions.put(position('r-p'))
        tx.orders.insert(order('taken'))
      }),
      store.positions.put(position('r-beside')),
      store.audit.append({ ...ENTRY, causationId: 'r-after' }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(await ofCause('r-refused')).toEqual([])
    expect(store.positions.get('r-p')).toBeUndefined()
    expect(await ofCause('r-before')).toHaveLength(1)
    expect(await ofCause('r-after')).toHaveLength(1)
    expect(await store.audit.verify()).toMatchObject({ ok: true })
  })

  test('that throws is not there', async () => {
    await expect(
      store.transaction((tx) => {
        tx.audit.append({ ...ENTRY, causationId: 'thrown' })
        throw new RangeError('no')
      }),
    ).rejects.toThrow(RangeError)
    expect(await ofCause('thrown')).toEqual([])
  })

  test('may explain a deletion', async () => {
    await store.positions.put(position('gone'))
    await store.transaction((tx) => {
      tx.positions.delete('gone')
      tx.audit.append({ ...ENTRY, causationId: 'gone' })
    })
    expect(store.positions.get('gone')).toBeUndefined()
    expect(await ofCause('gone')).toHaveLength(1)
  })

  test('after its end is refused', async () => {
    let append: (() => void) | undefined
    await store.transaction((tx) => {
      append = () => tx.audit.append(ENTRY)
    })
    expect(await codeOf(() => append?.())).toBe('INVALID_ARGUMENT')
  })
})

describe('the queue', () => {
  test('counts entries: past its bounds an entry is refused and so is what it explains', async () => {
    const small = await openTempStore({ queue: { maxQueueOperations: 4 } })
    const results = await Promise.allSettled([
      small.audit.append(ENTRY),
      small.audit.append(ENTRY),
      small.transaction((tx) => {
        tx.positions.put(position('full'))
        tx.audit.append(ENTRY)
      }),
      small.transaction((tx) => {
        tx.positions.put(position('over'))
        tx.audit.append(ENTRY)
      }),
      small.audit.append(ENTRY),
    ])
    expect(results.map((each) => (each.status === 'rejected' ? each.reason.code : 'ok'))).toEqual([
      'ok',
      'ok',
      'ok',
      'QUEUE_FULL',
      'QUEUE_FULL',
    ])
    expect(small.positions.get('over')).toBeUndefined()
    expect(await small.audit.list({ event: ENTRY.event })).toHaveLength(3)
  })

  test('counts their bytes', async () => {
    const small = await openTempStore({ queue: { maxQueueBytes: 20_000 } })
    const large = { ...ENTRY, data: { text: 'x'.repeat(15_000) } }
    const first = small.audit.append(large)
    expect(await codeOf(small.audit.append(large))).toBe('QUEUE_FULL')
    await first
  })
})

describe('reading', () => {
  test('sees what was accepted just before', async () => {
    void store.audit.append({ ...ENTRY, actor: 'just-now' })
    expect(await store.audit.list({ actor: 'just-now' })).toHaveLength(1)
  })

  test('goes by actor, event, namespace and time', async () => {
    const read = await openTempStore()
    for (const [actor, event] of [
      ['a', 'x.one'],
      ['b', 'x.two'],
      ['a', 'y.one'],
    ] as const) {
      await read.audit.append({ actor, event })
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    const own = (await read.audit.list()).filter(({ actor }) => actor !== 'holdfast')
    const [first, second, third] = own
    expect(await read.audit.list({ actor: 'a' })).toEqual([first, third])
    expect(await read.audit.list({ event: 'x.one' })).toEqual([first])
    expect(await read.audit.list({ event: 'x.*' })).toEqual([first, second])
    expect(await read.audit.list({ event: 'x.%' })).toEqual([])
    expect(await read.audit.list({ from: second?.at, event: 'x.*' })).toEqual([second])
    expect(await read.audit.list({ from: first?.at, to: third?.at, actor: 'a' })).toEqual([first])
  })

  test('goes by place and number, either way, and in pages', async () => {
    const all = await store.audit.list()
    expect(all.length).toBeGreaterThan(300)
    expect(await store.audit.list({ limit: 3 })).toEqual(all.slice(0, 3))
    expect(await store.audit.list({ order: 'desc', limit: 250 })).toEqual(all.slice(-250).reverse())
    expect(await store.audit.list({ afterId: 10, limit: 5 })).toEqual(all.slice(10, 15))
    expect(await store.audit.list({ afterId: 10, order: 'desc' })).toEqual(all.slice(0, 9).reverse())
    expect(await store.audit.list({ limit: 0 })).toEqual([])
    expect(await collect(store.audit.stream({}))).toEqual(all)
  })

  test.each([
    [{ limit: -1 }],
    [{ afterId: 1.5 }],
    [{ order: 'up' }],
    [{ actor: 7 }],
    [{ where: 'x' }],
    [null],
  ])('by %j is INVALID_ARGUMENT', async (query) => {
    expect(await codeOf(store.audit.list(query as never))).toBe('INVALID_ARGUMENT')
  })
})

describe('listeners', () => {
  test('hear of what this process appends, once it is durable, in order, and until they are taken off', async () => {
    const heard: AppendedAuditEntry[] = []
    const off = store.audit.on('append', (entry) => heard.push(entry))
    await Promise.all([
      store.audit.append({ ...ENTRY, causationId: 'h-1' }),
      store.transaction((tx) => {
        tx.audit.append({ ...ENTRY, causationId: 'h-2' })
        tx.audit.append({ ...ENTRY, causationId: 'h-3' })
      }),
    ])
    off()
    await store.audit.append({ ...ENTRY, causationId: 'h-4' })
    expect(heard.map(({ causationId }) => causationId)).toEqual(['h-1', 'h-2', 'h-3'])
    expect(heard[0]).toMatchObject(ENTRY)
  })

  test('hear nothing of what was refused', async () => {
    const heard: AppendedAuditEntry[] = []
    const off = store.audit.on('append', (entry) => heard.push(entry))
    await store.orders.insert(order('heard'))
    const refused = store.transaction((tx) => {
      tx.audit.append(ENTRY)
      tx.orders.insert(order('heard'))
    })
    expect(await codeOf(refused)).toBe('ALREADY_EXISTS')
    off()
    expect(heard).toEqual([])
  })
})

describe('a read-only store', () => {
  test('reads, verifies and leaves notes, which the owner takes in', async () => {
    const owner = await openTempStore()
    await owner.audit.append({ ...ENTRY, actor: 'owner' })
    const beside = await openStore({ dir: owner.dir, password: PASSWORD, readOnly: true })
    try {
      expect(await beside.audit.list({ actor: 'owner' })).toHaveLength(1)
      expect(await beside.audit.verify()).toMatchObject({ ok: true })
      expect(await codeOf(beside.audit.append(ENTRY))).toBe('READ_ONLY')
      await beside.audit.note({ ...ENTRY, actor: 'beside', data: { n: 1 }, causationId: 'c' })
      await expect
        .poll(() => owner.audit.list({ actor: 'beside' }), { timeout: 20_000 })
        .toMatchObject([
          { event: ENTRY.event, data: { n: 1 }, causationId: 'c', note: expect.stringMatching(/^[0-9a-f]{32}$/) },
        ])
      await expect.poll(async () => (await owner.status()).audit.waitingNotes, { timeout: 20_000 }).toBe(0)
      expect(await owner.audit.verify()).toMatchObject({ ok: true })
    } finally {
      await beside.close()
    }
  })
})

test('a closed store takes and tells nothing', async () => {
  const closed = await openTempStore()
  await closed.close()
  for (const work of [
    closed.audit.append(ENTRY),
    closed.audit.note(ENTRY),
    closed.audit.list(),
    closed.audit.verify(),
  ]) {
    expect(await codeOf(work)).toBe('STORE_CLOSED')
  }
})

function circular(): object {
  const data: Record<string, unknown> = {}
  data.self = data
  return data
}
