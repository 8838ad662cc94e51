/** A definition may change from one open to the next. What can be derived follows; what would touch documents is refused. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineCollection, z } from '../../src/index.ts'
import type { CollectionSpec } from '../../src/schema/define-collection.ts'
import type { QueryWire } from '../../src/schema/query.ts'
import { queryOnce } from '../../src/worker/driver.ts'
import type { OpenedBackend } from '../../src/worker/sqlcipher-backend.ts'
import { codeOf, failureOf, tempDir } from '../client/fixtures/temp-store.ts'
import { fingerprint, migrationsFolder, openBackend, openDatabase, putAll, runOnce } from './fixtures/backend.ts'

const schema = z.object({
  id: z.string(),
  tag: z.string().optional(),
  rank: z.number().optional(),
  email: z.string().optional(),
})

/** `notes` as first defined, with changes. */
function notes(changes: object = {}): CollectionSpec {
  return defineCollection({ name: 'notes', key: 'id', schema, indexes: ['tag'], ...changes } as never).spec
}

const DOCUMENTS = [
  ['n-1', { id: 'n-1', tag: 'a', rank: 2, email: 'x@example.org' }],
  ['n-2', { id: 'n-2', tag: 'b', rank: 1, email: 'x@example.org' }],
] as const

const template = tempDir(afterAll)

beforeAll(async () => {
  await runOnce(template, { collections: [notes()] }, (opened) => putAll(opened, 'notes', DOCUMENTS))
})

/** A store in which `notes` was defined as above and holds two documents. */
function storeWithNotes(): string {
  const dir = join(tempDir(), 's')
  cpSync(template, dir, { recursive: true })
  return dir
}

async function keysOf({ backend }: OpenedBackend, query: QueryWire, collection = 'notes'): Promise<string[]> {
  const page = await backend.page({ collection, query, cursor: null, maxRows: 100 })
  return (JSON.parse(page.json) as { id: string }[]).map(({ id }) => id)
}

async function indexesOf(dir: string, table = 'notes'): Promise<string[]> {
  const database = await openDatabase(dir, 'state', 'read-only')
  const sql = `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY name`
  const rows = await queryOnce(database, sql, [table])
  return rows.map(({ name }) => String(name))
}

describe('follows the definition', () => {
  test('a new collection gets a table and its indexes', async () => {
    const dir = storeWithNotes()
    const tasks = defineCollection({ name: 'tasks', key: 'id', schema, indexes: ['rank'] }).spec
    await runOnce(dir, { collections: [notes(), tasks] }, async (opened) => {
      await putAll(opened, 'tasks', DOCUMENTS)
      expect(await keysOf(opened, { orderBy: 'rank' }, 'tasks')).toEqual(['n-2', 'n-1'])
    })
    expect(await indexesOf(dir, 'tasks')).toEqual(['tasks.rank'])
  })

  test('an added index finds documents written before', async () => {
    const opened = await openBackend(storeWithNotes(), { collections: [notes({ indexes: ['tag', 'rank'] })] })
    expect(await keysOf(opened, { where: { rank: { gt: 1 } } })).toEqual(['n-1'])
  })

  test('a field added with its index is found, missing where it was not written', async () => {
    const wider = z.object({ ...schema.shape, at: z.number().optional() })
    const opened = await openBackend(storeWithNotes(), {
      collections: [notes({ schema: wider, indexes: ['tag', 'at'] })],
    })
    await putAll(opened, 'notes', [['n-3', { id: 'n-3', at: 5 }]])
    expect(await keysOf(opened, { where: { at: 5 } })).toEqual(['n-3'])
    expect(await keysOf(opened, { where: { at: null } })).toEqual(['n-1', 'n-2'])
  })

  test('a dropped index is gone, and its documents are not', async () => {
    const dir = storeWithNotes()
    await runOnce(dir, { collections: [notes({ indexes: [] })] }, async (opened) => {
      expect(await codeOf(keysOf(opened, { where: { tag: 'a' } }))).toBe('INVALID_QUERY')
      expect(await keysOf(opened, {})).toEqual(['n-1', 'n-2'])
    })
    expect(await indexesOf(dir)).toEqual([])
  })

  test('an index that was dropped may come back', async () => {
    const dir = storeWithNotes()
    await runOnce(dir, { collections: [notes({ indexes: [] })] }, () => undefined)
    const opened = await openBackend(dir, { collections: [notes()] })
    expect(await keysOf(opened, { where: { tag: 'b' } })).toEqual(['n-2'])
  })

  test('a field dropped from the schema stays in its documents', async () => {
    const narrow = z.object({ id: z.string(), tag: z.string().optional() })
    const { backend } = await openBackend(storeWithNotes(), { collections: [notes({ schema: narrow })] })
    expect(JSON.parse((await backend.get({ collection: 'notes', key: 'n-1' })) as string)).toEqual(DOCUMENTS[0][1])
  })

  test.each([
    ['hot', true],
    ['partly hot', { field: 'tag', in: ['a'] }],
  ])('a cold collection may become %s, and cold again', async (_, hot) => {
    const dir = storeWithNotes()
    await runOnce(dir, { collections: [notes({ hot })] }, async (opened) => {
      await putAll(opened, 'notes', [['n-3', { id: 'n-3', tag: 'a' }]])
      const page = await opened.backend.hydrate({ collection: 'notes', after: 0 })
      const keys = (JSON.parse(page.json) as [number, { id: string }][]).map(([, { id }]) => id)
      expect(keys).toEqual(hot === true ? ['n-1', 'n-2', 'n-3'] : ['n-1', 'n-3'])
    })
    const opened = await openBackend(dir, { collections: [notes()] })
    expect(await keysOf(opened, { where: { tag: 'a' } })).toEqual(['n-1', 'n-3'])
  })

  test('a collection in memory whole has indexes only for its constraints', async () => {
    const dir = storeWithNotes()
    await runOnce(
      dir,
      { collections: [notes({ hot: true, indexes: ['tag', 'rank'], unique: ['rank'] })] },
      () => undefined,
    )
    expect(await indexesOf(dir)).toEqual(['notes.rank'])
  })

  test('uniqueness that is dropped lets equal values in', async () => {
    const dir = join(tempDir(), 's')
    const unique = notes({ unique: ['tag'] })
    await runOnce(dir, { collections: [unique] }, (opened) =>
      putAll(opened, 'notes', [['n-1', { id: 'n-1', tag: 'a' }]]),
    )
    const opened = await openBackend(dir, { collections: [notes()] })
    await putAll(opened, 'notes', [['n-2', { id: 'n-2', tag: 'a' }]])
    expect(await keysOf(opened, { where: { tag: 'a' } })).toEqual(['n-1', 'n-2'])
  })

  test('uniqueness that is added holds from then on', async () => {
    const opened = await openBackend(storeWithNotes(), { collections: [notes({ unique: ['tag'] })] })
    await expect(putAll(opened, 'notes', [['n-3', { id: 'n-3', tag: 'a' }]])).rejects.toThrow('conflict')
  })

  test('a reference on a new field holds from then on', async () => {
    const wider = z.object({ ...schema.shape, orderId: z.string().optional() })
    const spec = notes({ schema: wider, indexes: ['tag', 'orderId'], references: { orderId: 'orders' } })
    const opened = await openBackend(storeWithNotes(), { collections: [spec] })
    await expect(putAll(opened, 'notes', [['n-3', { id: 'n-3', orderId: 'none' }]])).rejects.toThrow('conflict')
  })

  test('a sealed field of a new name may be added', async () => {
    const wider = z.object({ ...schema.shape, pin: z.string().optional() })
    const { backend } = await openBackend(storeWithNotes(), {
      collections: [notes({ schema: wider, sealed: ['pin'] })],
    })
    expect(await backend.reveal({ collection: 'notes', key: 'n-1', actor: 'me', reason: 'test' })).toEqual({
      pin: null,
    })
  })

  test('an open that changes nothing writes nothing but its session', async () => {
    const dir = storeWithNotes()
    const sizes = async () =>
      (await queryOnce(await openDatabase(dir, 'state', 'read-only'), 'PRAGMA schema_version'))[0]
    const before = await sizes()
    await runOnce(dir, { collections: [notes()] }, () => undefined)
    expect(await sizes()).toEqual(before)
  })

  test('collections keep apart whose names and fields run together alike', async () => {
    const fields = z.object({ id: z.string(), b_c: z.string().optional(), c: z.string().optional() })
    const a = defineCollection({ name: 'a', key: 'id', schema: fields, indexes: ['b_c'] }).spec
    const ab = defineCollection({ name: 'a_b', key: 'id', schema: fields, indexes: ['c'] }).spec
    const abc = defineCollection({ name: 'a_b_c', key: 'id', schema: fields }).spec
    const opened = await openBackend(join(tempDir(), 's'), { collections: [a, ab, abc] })
    await putAll(opened, 'a', [['1', { id: '1', b_c: 'x' }]])
    await putAll(opened, 'a_b', [['2', { id: '2', c: 'x' }]])
    expect(await keysOf(opened, { where: { b_c: 'x' } }, 'a')).toEqual(['1'])
    expect(await keysOf(opened, { where: { c: 'x' } }, 'a_b')).toEqual(['2'])
  })

  test.each([
    'order',
    'group',
    'select',
    'index',
    'rowid',
    'KEY',
  ])('words of SQL are names like others: %s', async (word) => {
    const fields = z.object({ id: z.string(), [word]: z.string() }) as unknown as typeof schema
    const spec = defineCollection({ name: word, key: 'id', schema: fields, indexes: [word as 'tag'] }).spec
    const opened = await openBackend(join(tempDir(), 's'), { collections: [spec] })
    await putAll(opened, word, [['1', { id: '1', [word]: 'x' }]])
    expect(await keysOf(opened, { where: { [word]: 'x' }, orderBy: word }, word)).toEqual(['1'])
  })
})

describe('INVALID_COLLECTION, with nothing changed', () => {
  const sealing = z.object({ ...schema.shape, tag: z.string().optional() })

  test.each([
    ['another key', notes({ key: 'tag', schema: z.object({ id: z.string(), tag: z.string() }) })],
    ['a name that differs in case', notes({ name: 'Notes' })],
    ['a stored field that is to be sealed', notes({ indexes: [], schema: sealing, sealed: ['email'] })],
    ['a reference on a field that is a column already', notes({ references: { tag: 'orders' } })],
    ['uniqueness that documents already break', notes({ indexes: ['tag', 'email'], unique: ['email'] })],
    ['another file', notes({ file: 'market' })],
  ])('%s', async (_, spec) => {
    const dir = storeWithNotes()
    const before = fingerprint(dir)
    const error = await failureOf(openBackend(dir, { collections: [spec] }))
    expect(error).toMatchObject({ code: 'INVALID_COLLECTION', details: { collection: spec.name } })
    expect(error.message).not.toContain('x@example.org')
    expect(fingerprint(dir)).toEqual(before)
  })

  test('a reference on a new field whose documents already refer to nothing', async () => {
    const dir = join(tempDir(), 's')
    await runOnce(dir, { collections: [notes()] }, (opened) =>
      putAll(opened, 'notes', [['n-1', { id: 'n-1', orderId: 'none' }]]),
    )
    const wider = z.object({ ...schema.shape, orderId: z.string().optional() })
    const spec = notes({ schema: wider, indexes: ['tag', 'orderId'], references: { orderId: 'orders' } })
    expect(await codeOf(openBackend(dir, { collections: [spec] }))).toBe('INVALID_COLLECTION')
  })

  test('a field that is no longer sealed', async () => {
    const dir = join(tempDir(), 's')
    await runOnce(dir, { collections: [notes({ sealed: ['email'] })] }, () => undefined)
    const before = fingerprint(dir)
    expect(await codeOf(openBackend(dir, { collections: [notes()] }))).toBe('INVALID_COLLECTION')
    expect(fingerprint(dir)).toEqual(before)
  })

  test('the name of a table that a migration made', async () => {
    const dir = join(tempDir(), 's')
    const userMigrationsDir = migrationsFolder({ '0001_notes.sql': 'CREATE TABLE "notes" ("id" INTEGER PRIMARY KEY)' })
    await runOnce(dir, { userMigrationsDir }, () => undefined)
    const before = fingerprint(dir)
    expect(await codeOf(openBackend(dir, { userMigrationsDir, collections: [notes()] }))).toBe('INVALID_COLLECTION')
    expect(fingerprint(dir)).toEqual(before)
  })

  test('one of several leaves the others as they were, also in the other file', async () => {
    const dir = storeWithNotes()
    const bars = defineCollection({ name: 'bars', key: 'id', schema, file: 'market' }).spec
    await runOnce(dir, { collections: [notes(), bars] }, () => undefined)
    const before = fingerprint(dir)
    const otherKey = z.object({ id: z.string(), tag: z.string() })
    const refused = defineCollection({ name: 'bars', key: 'tag', schema: otherKey, file: 'market' }).spec
    const collections = [notes({ indexes: ['tag', 'rank'] }), refused]
    expect(await codeOf(openBackend(dir, { collections }))).toBe('INVALID_COLLECTION')
    expect(fingerprint(dir)).toEqual(before)
  })
})

describe('what is recorded', () => {
  test('is given to whoever opens without the definition', async () => {
    const { result } = await openBackend(storeWithNotes())
    expect(result.collections.find(({ name }) => name === 'notes')).toEqual(notes())
  })

  test('follows the last definition', async () => {
    const dir = storeWithNotes()
    const changed = notes({ indexes: ['rank'], hot: true })
    await runOnce(dir, { collections: [changed] }, () => undefined)
    const { result } = await openBackend(dir)
    expect(result.collections.find(({ name }) => name === 'notes')).toEqual(changed)
  })
})
