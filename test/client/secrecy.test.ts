/** No value, key or password in an error, whatever goes wrong, and none in a file. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { defineCollection, openStore, z } from '../../src/index.ts'
import { migrationsFolder } from '../worker/fixtures/backend.ts'
import { fill, order, position } from './fixtures/documents.ts'
import { FAST_KDF, openSharedStore, openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

const MARKER = 'marker-4711-marker'

const named = defineCollection({
  name: 'named',
  key: 'id',
  schema: z.object({
    id: z.string(),
    name: z.string().optional(),
    kind: z.enum(['a', 'b']).optional(),
    url: z.url().optional(),
    short: z
      .string()
      .max(5, { error: ({ input }) => `${String(input)} is too long` })
      .optional(),
    even: z.number().optional(),
    parsed: z
      .string()
      .transform((text) => JSON.parse(text) as z.core.util.JSONType)
      .optional(),
    checked: z
      .string()
      .refine(() => false, { error: ({ input }) => `not ${String(input)}` })
      .optional(),
    nested: z.object({ list: z.array(z.number()) }).optional(),
    one: z.union([z.object({ type: z.literal('x') }), z.number()]).optional(),
  }),
  indexes: ['name'],
  unique: ['name'],
})
const strict = defineCollection({ name: 'strict', key: 'id', schema: z.strictObject({ id: z.string() }) })
const sealed = defineCollection({
  name: 'sealed',
  key: 'id',
  schema: z.object({ id: z.string(), pin: z.string().max(5).nullish() }),
  sealed: ['pin'],
})

const collections = { named, strict, sealed }
const userMigrations = migrationsFolder(
  {
    '0001_refuse.sql': `CREATE TRIGGER "refuse" BEFORE INSERT ON "preferences" WHEN new."_key" = 'refused'
      BEGIN SELECT RAISE(ABORT, 'refused by a trigger'); END;`,
  },
  tempDir((work) => void work),
)
const store = await openSharedStore({ collections, migrations: userMigrations })
await store.named.put({ id: 'there', name: MARKER })
await store.orders.put(order('there'))

/** Everything a log could show of what was thrown. */
function everythingOf(error: unknown): string {
  const parts = [inspect(error, { depth: null, showHidden: true, getters: true }), JSON.stringify(error)]
  for (let each = error; each instanceof Error; each = each.cause) parts.push(String(each), each.stack ?? '')
  return parts.join('\n')
}

async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('an error quotes nothing of', () => {
  const put = (document: object) => () => store.named.put({ id: 'x', ...document } as never)
  const failing: [string, () => unknown][] = [
    ['a value of the wrong type', put({ even: MARKER })],
    ['a value that is none of several', put({ kind: MARKER })],
    ['a text of the wrong form', put({ url: MARKER })],
    ['a text that is too long, with a message of its author', put({ short: MARKER })],
    ['a text that a check refuses, with a message of its author', put({ checked: MARKER })],
    ['a text that a transform can not take', put({ parsed: MARKER })],
    ['a value in an array', put({ nested: { list: [1, MARKER] } })],
    ['a value that fits no part of a union', put({ one: { type: MARKER } })],
    ['a key', () => store.named.put({ id: `${MARKER}\0` })],
    ['a key that is too long', () => store.named.put({ id: MARKER.repeat(100) })],
    ['a value that is no JSON', () => store.kv.set('x', (() => MARKER) as never)],
    ['an unknown field', () => store.strict.put({ id: 'x', extra: MARKER } as never)],
    ['a document that is a text', () => store.kv.put(MARKER as never)],
    ['a document that is there already', () => store.named.insert({ id: 'there', name: MARKER })],
    ['a value that another document has', () => store.named.put({ id: 'other', name: MARKER })],
    [
      'a value that another document has, in a transaction',
      () => store.transaction((tx) => tx.named.put({ id: 'other', name: MARKER })),
    ],
    ['a value that another document has, blocking', () => store.sync.named.put({ id: 'other', name: MARKER })],
    ['a reference', () => store.fills.put(fill('f', MARKER))],
    ['a document at another version', () => store.named.put({ id: 'there', name: MARKER }, { ifVersion: 9 })],
    ['a document that a trigger refuses', () => store.preferences.put({ key: 'refused', value: MARKER })],
    ['a sealed value', () => store.sealed.put({ id: 'x', pin: MARKER })],
    ['a sealed value that is no text', () => store.sealed.put({ id: 'x', pin: [MARKER] } as never)],
    ['a private key', () => store.wallets.put({ address: 'x', privateKey: { MARKER } } as never)],
    ['a condition', () => store.named.find({ name: { in: [{ MARKER }] } } as never)],
    ['a condition on no index', () => store.named.find({ kind: MARKER } as never)],
    ['a statement', () => store.sql(`select * from named where name = '${MARKER}' and and`)],
    ['a statement with a value in double quotes', () => store.sql(`select * from named where "${MARKER}" = `)],
    ['a statement that is no text', () => store.sql({ text: MARKER } as never)],
    ['a parameter', () => store.sql('select ?', [{ MARKER } as never])],
    ['a parameter that is a function', () => store.sql('select ?', [(() => MARKER) as never])],
    ['a result that is too large', () => store.sql('select ? union all select 2', [MARKER], { maxRows: 1 })],
    ['a password that is wrong', () => openTempStore({ dir: store.dir, readOnly: true, password: MARKER })],
    ['a password that is too weak', () => openTempStore({ password: MARKER.slice(0, 11) })],
    ['a password that is no password', () => openTempStore({ password: { MARKER } as never })],
    ['an option', () => openTempStore({ durability: MARKER as never })],
    ['a collection', () => openTempStore({ collections: { own: { MARKER } as never } })],
    [
      'a migration that fails',
      () =>
        openTempStore({ migrations: migrationsFolder({ '0001_x.sql': `INSERT INTO nowhere VALUES ('${MARKER}')` }) }),
    ],
    [
      'a migration that raises',
      () =>
        openTempStore({
          migrations: migrationsFolder({
            '0001_x.sql': `CREATE TABLE t (x CHECK (x <> '${MARKER}')); INSERT INTO t VALUES ('${MARKER}')`,
          }),
        }),
    ],
    ['a load', () => store.named.load([{ id: 'l-1' }, { id: 'l-2', name: MARKER }])],
    [
      'an insertMany',
      () =>
        store.named.insertMany([
          { id: 'm-1', name: MARKER },
          { id: 'm-2', name: MARKER },
        ]),
    ],
  ]

  test.each(failing)('%s', async (_, work) => {
    const error = await thrownBy(work)
    const everything = everythingOf(error)
    expect(everything).not.toContain(MARKER)
    expect(everything).not.toContain(MARKER.slice(0, 11))
    expect(error).toMatchObject({ name: 'StoreError', code: expect.any(String) })
  })
})

test('inspecting the store shows neither documents nor the password', async () => {
  await store.positions.put(position(MARKER))
  const shown = inspect(store, { depth: 12, showHidden: true })
  expect(shown).not.toContain(MARKER)
  expect(shown).not.toContain(PASSWORD)
  expect(JSON.stringify(store)).not.toContain(MARKER)
})

test('no file of the store holds a value, while it is open or after', async () => {
  const own = await openTempStore({ collections })
  const contentOf = () =>
    readdirSync(own.dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)))
  await own.kv.set(MARKER, { [MARKER]: MARKER })
  await own.named.load(Array.from({ length: 500 }, (_, n) => ({ id: `${MARKER}-${n}`, name: `${MARKER}-${n}` })))
  await own.sealed.put({ id: MARKER, pin: 'pin' })
  await own.sealed.reveal(MARKER, { actor: MARKER, reason: MARKER })
  await own.sql(`select * from named where name = '${MARKER}' order by name`)
  await own.named.put({ id: 'dup', name: `${MARKER}-1` }).catch(() => undefined)
  for (const content of contentOf()) expect(content.includes(MARKER)).toBe(false)
  await own.close()
  for (const content of contentOf()) {
    expect(content.includes(MARKER)).toBe(false)
    expect(content.includes(PASSWORD)).toBe(false)
  }
})

test('what the password source held is not changed', async () => {
  const password = new TextEncoder().encode(PASSWORD)
  const own = await openStore({ dir: join(tempDir(), 's'), password, kdf: FAST_KDF })
  await own.close()
  expect(new TextDecoder().decode(password)).toBe(PASSWORD)
})
