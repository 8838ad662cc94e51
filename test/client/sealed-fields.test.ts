/** Sealed fields: ciphertext in the table, absent everywhere else, opened only by `reveal`, which is recorded. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defineCollection, z } from '../../src/index.ts'
import { queryOnce } from '../../src/worker/driver.ts'
import { openDatabase } from '../worker/fixtures/backend.ts'
import { codeOf, collect, failureOf, openSharedStore, openTempStore } from './fixtures/temp-store.ts'

const SECRET = 'secret-4711'
const BY = { actor: 'auditor', reason: 'test' }

const vault = defineCollection({
  name: 'vault',
  key: 'id',
  schema: z.object({
    id: z.string(),
    label: z.string().optional(),
    pin: z.string().nullish(),
    puk: z.string().nullish(),
    count: z.number().optional(),
  }),
  indexes: ['label'],
  sealed: ['pin', 'puk'],
})
const odd = defineCollection({
  name: 'odd',
  key: 'id',
  schema: z.object({ id: z.string(), pin: z.union([z.number(), z.string(), z.json()]).optional() }),
  sealed: ['pin'],
})
const marketVault = defineCollection({ ...optionsOf('marketVault'), file: 'market' })

function optionsOf<const N extends string>(name: N) {
  return { name, key: 'id', schema: z.object({ id: z.string(), pin: z.string().nullish() }), sealed: ['pin'] } as const
}

const collections = { vault, odd, marketVault }
const store = await openSharedStore({ collections })
const reveal = (key: string) => store.vault.reveal(key, BY)

describe('the sealed value', () => {
  test('is in no document, however it is asked for', async () => {
    await store.vault.insert({ id: 'w', label: 'find me', pin: SECRET })
    const bare = { id: 'w', label: 'find me' }
    expect(await store.vault.get('w')).toEqual(bare)
    expect((await store.vault.entry('w'))?.document).toEqual(bare)
    expect(await store.vault.find({ label: 'find me' })).toEqual([bare])
    expect(await store.vault.list({ where: { id: 'w' } })).toEqual([bare])
    expect(await collect(store.vault.stream({ where: { id: 'w' } }))).toEqual([bare])
    expect(store.sync.vault.get('w')).toEqual(bare)
    expect(store.sync.vault.list({ where: { id: 'w' } })).toEqual([bare])
    expect(await store.collection('vault').get('w')).toEqual(bare)
  })

  test('is in no change event', async () => {
    const events: unknown[] = []
    const stop = store.vault.on('change', (event) => events.push(event))
    await store.vault.put({ id: 'event', label: 'a', pin: SECRET })
    await store.transaction((tx) => tx.vault.put({ id: 'event', label: 'b', puk: SECRET }))
    store.sync.vault.put({ id: 'event', label: 'c', pin: null })
    stop()
    expect(events).toEqual([
      { key: 'event', document: { id: 'event', label: 'a' }, previous: undefined },
      { key: 'event', document: { id: 'event', label: 'b' }, previous: undefined },
      { key: 'event', document: { id: 'event', label: 'c' }, previous: undefined },
    ])
  })

  test('is ciphertext in the table, other for every write', async () => {
    await store.vault.put({ id: 'cipher', pin: SECRET, puk: SECRET })
    const stored = async () => {
      const [row] = await store.sql<{ _doc: string }>(`select _doc from main.vault where _key = 'cipher'`)
      return JSON.parse(row?._doc ?? '{}') as Record<string, string>
    }
    const first = await stored()
    expect(first.pin).toMatch(/^hf1\.[\w-]{16}\.[\w-]+$/)
    expect(first.pin).not.toBe(first.puk)
    await store.vault.put({ id: 'cipher', pin: SECRET })
    expect((await stored()).pin).not.toBe(first.pin)
  })

  test('can not be searched by', async () => {
    expect(await codeOf(() => store.vault.find({ pin: SECRET } as never))).toBe('INVALID_QUERY')
    expect(await codeOf(() => store.vault.list({ orderBy: 'pin' } as never))).toBe('INVALID_QUERY')
  })
})

describe('put', () => {
  test('without the field keeps what is sealed', async () => {
    await store.vault.put({ id: 'keep', pin: SECRET, puk: 'other' })
    await store.vault.put({ id: 'keep', label: 'new' })
    await store.vault.put({ id: 'keep', puk: 'newer' }, { ifVersion: 2 })
    expect(await reveal('keep')).toEqual({ pin: SECRET, puk: 'newer' })
    expect(await store.vault.get('keep')).toEqual({ id: 'keep' })
  })

  test('with undefined keeps it too', async () => {
    await store.vault.put({ id: 'undef', pin: SECRET })
    await store.vault.put({ id: 'undef', pin: undefined })
    expect(await reveal('undef')).toEqual({ pin: SECRET, puk: null })
  })

  test('with null removes it', async () => {
    await store.vault.put({ id: 'null', pin: SECRET })
    await store.vault.put({ id: 'null', pin: null })
    expect(await reveal('null')).toEqual({ pin: null, puk: null })
    expect(await store.vault.get('null')).toEqual({ id: 'null' })
  })

  test('after a delete does not bring it back', async () => {
    await store.vault.put({ id: 'anew', pin: SECRET })
    await store.vault.delete('anew')
    await store.vault.put({ id: 'anew' })
    expect(await reveal('anew')).toEqual({ pin: null, puk: null })
  })

  test('keeps it through a burst of writes in one batch', async () => {
    await Promise.all([
      store.vault.insert({ id: 'burst', pin: 'first' }),
      store.vault.put({ id: 'burst', label: 'b' }),
      store.vault.put({ id: 'burst', puk: 'second' }),
      store.vault.put({ id: 'burst', label: 'c' }),
    ])
    expect(await store.vault.entry('burst')).toMatchObject({ document: { label: 'c' }, version: 4 })
    expect(await reveal('burst')).toEqual({ pin: 'first', puk: 'second' })
  })

  test('keeps it across a restart', async () => {
    const first = await openTempStore({ collections })
    await first.vault.put({ id: 'restart', pin: SECRET })
    await first.close()
    const again = await openTempStore({ dir: first.dir, collections })
    await again.vault.put({ id: 'restart', label: 'later' })
    expect(await again.vault.reveal('restart', BY)).toEqual({ pin: SECRET, puk: null })
  })

  test('of any text: empty, long, of every plane', async () => {
    for (const pin of ['', 'x'.repeat(100_000), 'é\u{1f600}\0"\\', 'hf1.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA']) {
      await store.vault.put({ id: 'any', pin })
      expect((await reveal('any')).pin).toBe(pin)
    }
  })

  test.each([
    ['a number', 4_711],
    ['an object', { pin: SECRET }],
    ['true', true],
    ['half a surrogate pair', `${SECRET}\ud800`],
  ])('of %s is refused: it could not be sealed', async (_, pin) => {
    const others = [store.vault.put({ id: 'beside', label: 'x' }), store.kv.set('beside', 1)]
    const error = await failureOf(store.odd.put({ id: 'bad', pin: pin as string }))
    expect(error).toMatchObject({ code: 'INVALID_DOCUMENT', details: { collection: 'odd' } })
    expect(error.message).not.toContain('4711')
    await Promise.all(others)
    expect(await store.odd.get('bad')).toBeUndefined()
  })
})

describe('reveal', () => {
  test('is recorded before it returns: who, what, why, when', async () => {
    await store.vault.put({ id: 'audit', pin: SECRET })
    const before = Date.now()
    await store.vault.reveal('audit', { actor: 'ada', reason: 'moving funds' })
    const [entry] = await store.sql('select * from _audit order by id desc limit 1')
    expect(entry).toMatchObject({ actor: 'ada', event: 'wallet.revealed' })
    expect(JSON.parse(String(entry?.data))).toEqual({ collection: 'vault', key: 'audit', reason: 'moving funds' })
    expect(Number(entry?.at)).toBeGreaterThanOrEqual(before)
    expect(JSON.stringify(entry)).not.toContain(SECRET)
  })

  test('is recorded each time', async () => {
    await store.vault.put({ id: 'each', pin: SECRET })
    await Promise.all([reveal('each'), reveal('each'), reveal('each')])
    const rows = await store.sql(`select * from _audit where data ->> 'key' = 'each'`)
    expect(rows).toHaveLength(3)
  })

  test('sees what was accepted just before', async () => {
    void store.vault.put({ id: 'just-now', pin: SECRET })
    expect(await reveal('just-now')).toEqual({ pin: SECRET, puk: null })
  })

  test('works in the market file, recorded in the state file', async () => {
    await store.marketVault.put({ id: 'm', pin: SECRET })
    expect(await store.marketVault.reveal('m', BY)).toEqual({ pin: SECRET })
    expect(await store.sql(`select count(*) n from _audit where data ->> 'collection' = 'marketVault'`)).toEqual([
      { n: 1 },
    ])
  })

  test('of a document that is not there is NOT_FOUND, and not recorded', async () => {
    expect(await failureOf(reveal('nobody'))).toMatchObject({ code: 'NOT_FOUND', details: { key: 'nobody' } })
    expect(await store.sql(`select * from _audit where data ->> 'key' = 'nobody'`)).toEqual([])
  })

  test.each([
    ['nobody', { actor: '', reason: 'x' }],
    ['no reason', { actor: 'x', reason: '' }],
    ['nothing', undefined],
    ['what is no text', { actor: () => SECRET, reason: 'x' }],
  ])('by %s is INVALID_ARGUMENT', async (_, options) => {
    expect(await codeOf(store.vault.reveal('audit', options as never))).toBe('INVALID_ARGUMENT')
  })

  test('of a wallet gives its private key', async () => {
    await store.wallets.insert({ address: '0xabc', chain: 'eth', privateKey: SECRET })
    expect(await store.wallets.get('0xabc')).toEqual({ address: '0xabc', chain: 'eth' })
    expect(await store.wallets.reveal('0xabc', BY)).toEqual({ privateKey: SECRET })
  })

  test('beside the owner, where nothing can be recorded, is READ_ONLY', async () => {
    await store.vault.put({ id: 'ro', pin: SECRET })
    const beside = await openTempStore({ dir: store.dir, collections, readOnly: true })
    expect(await beside.vault.get('ro')).toEqual({ id: 'ro' })
    expect(await codeOf(beside.vault.reveal('ro', BY))).toBe('READ_ONLY')
  })
})

describe('ciphertext opens only where it was sealed', () => {
  test.each([
    [
      'another document',
      `UPDATE vault SET _doc = json_set(_doc, '$.pin', (SELECT _doc ->> '$.pin' FROM vault WHERE _key = 'a')) WHERE _key = 'b'`,
    ],
    ['another field', `UPDATE vault SET _doc = json_set(_doc, '$.pin', _doc ->> '$.puk') WHERE _key = 'b'`],
    ['a copy of its document', `UPDATE vault SET _doc = (SELECT _doc FROM vault WHERE _key = 'a') WHERE _key = 'b'`],
    [
      'its place, cut short',
      `UPDATE vault SET _doc = json_set(_doc, '$.pin', substr(_doc ->> '$.pin', 1, 40)) WHERE _key = 'b'`,
    ],
    ['its place, as plain text', `UPDATE vault SET _doc = json_set(_doc, '$.pin', 'plain') WHERE _key = 'b'`],
  ])('not in %s', async (_, sql) => {
    const first = await openTempStore({ collections })
    await first.vault.insertMany([
      { id: 'a', pin: SECRET, puk: 'a-puk' },
      { id: 'b', pin: 'b-pin', puk: 'b-puk' },
    ])
    await first.close()
    const database = await openDatabase(first.dir)
    await queryOnce(database, sql)
    await database.close()
    const again = await openTempStore({ dir: first.dir, collections })
    const error = await failureOf(again.vault.reveal('b', BY))
    expect(error).toMatchObject({ code: 'STORE_CORRUPT', details: { collection: 'vault', field: 'pin' } })
    expect(error.message).not.toContain('4711')
    expect((await again.vault.reveal('a', BY)).pin).toBe(SECRET)
  })
})

test('a store that never defined the collection keeps its fields sealed', async () => {
  const first = await openTempStore({ collections })
  await first.vault.put({ id: 'v', label: 'x', pin: SECRET })
  await first.close()
  const again = await openTempStore({ dir: first.dir })
  const recorded = again.collection('vault')
  expect(await recorded.get('v')).toEqual({ id: 'v', label: 'x' })
  expect(await again.sql('select * from vault')).toMatchObject([{ _doc: '{"id":"v","label":"x"}' }])
  await recorded.put({ id: 'v', label: 'y', pin: 'new' })
  expect(JSON.stringify(await again.sql('select * from main.vault'))).not.toContain('"new"')
  await again.close()
  expect(join(again.dir)).toBe(first.dir)
  const defined = await openTempStore({ dir: first.dir, collections })
  expect(await defined.vault.reveal('v', BY)).toEqual({ pin: 'new', puk: null })
})
