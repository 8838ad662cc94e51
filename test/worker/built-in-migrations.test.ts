/** The migrations of the package: what they make, and what becomes of the rows of the version before each. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/protocol/audit.ts'
import { builtInCollections } from '../../src/schema/built-in-collections.ts'
import { type Connection, queryOnce } from '../../src/worker/driver.ts'
import { readMigrations } from '../../src/worker/migration-files.ts'
import type { OpenedBackend } from '../../src/worker/sqlcipher-backend.ts'
import { sqlcipherDriver } from '../../src/worker/sqlcipher-driver.ts'
import { columnFields, createIndexSql, createTableSql } from '../../src/worker/table-sql.ts'
import { fill, order, position, trade } from '../client/fixtures/documents.ts'
import { failureOf, tempDir } from '../client/fixtures/temp-store.ts'
import { fingerprint, MIGRATIONS_DIR, openDatabase, runOnce } from './fixtures/backend.ts'
import { insertDocuments, olderStore } from './fixtures/older-store.ts'

const specs = Object.values(builtInCollections).map((definition) => definition.spec)

async function inMemory(sql: readonly string[]): Promise<Connection> {
  const connection = await sqlcipherDriver.open(':memory:', { mode: 'create', busyTimeoutMs: 0 })
  // The ledger is there before the first migration is.
  await connection.exec('CREATE TABLE "_migrations" ("origin", "number", "name", "checksum", "appliedAt")')
  for (const each of sql) await connection.exec(each)
  return connection
}

async function schemaOf(connection: Connection): Promise<object[]> {
  return await queryOnce(
    connection,
    `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE substr(tbl_name, 1, 1) <> '_' ORDER BY type, name`,
  )
}

test('each migration has a test below: add one with the next', async () => {
  expect((await readMigrations(MIGRATIONS_DIR)).map(({ name }) => name)).toEqual([
    '0001_collections',
    '0002_indexes',
    '0003_yearly_files',
    '0004_audit_chain',
    '0005_growth',
    '0006_skills',
    '0007_artifacts',
    '0008_session_cache',
    '0009_keyring_record',
  ])
  expect((await readMigrations(join(MIGRATIONS_DIR, 'market'))).map(({ name }) => name)).toEqual([
    '0001_session',
    '0002_series',
    '0003_series_rules',
  ])
})

test('together they make what the definitions of the built-in collections ask for', async () => {
  const migrated = await inMemory((await readMigrations(MIGRATIONS_DIR)).map(({ sql }) => sql))
  const derived = await inMemory([
    ...specs.map(createTableSql),
    ...specs.flatMap((spec) => columnFields(spec).map((field) => createIndexSql(spec, field))),
  ])
  expect(await schemaOf(migrated)).toEqual(await schemaOf(derived))
})

test('they make no table that the store does not know', async () => {
  const migrated = await inMemory((await readMigrations(MIGRATIONS_DIR)).map(({ sql }) => sql))
  const rows = await queryOnce(
    migrated,
    `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite%'`,
  )
  const own = [
    '_audit',
    '_auditWaiting',
    '_collections',
    '_growth',
    '_keyring',
    '_migrations',
    '_session',
    '_yearlyFiles',
  ]
  own.push('_artifactChunks', '_artifactContents', '_artifactLineage', '_artifactParts', '_artifactTags')
  own.push('_artifactVersions', '_artifacts')
  own.push('_skills', '_skillVersions', '_skillDependencies', '_skillTags', '_skillPerformance', '_skillSearch')
  own.push('_sessionCache')
  expect(rows.map(({ name }) => name).sort()).toEqual([...own, ...specs.map(({ name }) => name)].sort())
})

describe('0001_collections', () => {
  test('turns an empty store into one that takes documents', async () => {
    const dir = await olderStore(1, (state) => insertDocuments(state, 'positions', [['p', position('p')]]))
    const database = await openDatabase(dir, 'state', 'read-only')
    expect(await queryOnce(database, 'SELECT "_doc" FROM "positions"')).toEqual([
      { _doc: JSON.stringify(position('p')) },
    ])
  })

  test('makes an audit trail that nobody changes', async () => {
    const dir = await olderStore(1, async () => undefined)
    const database = await openDatabase(dir)
    await database.exec(`INSERT INTO "_audit" ("at", "actor", "event", "data") VALUES (1, 'a', 'e', '{}')`)
    await expect(database.exec(`UPDATE "_audit" SET "actor" = 'b'`)).rejects.toMatchObject({ code: 'CONSTRAINT' })
    await expect(database.exec(`DELETE FROM "_audit"`)).rejects.toMatchObject({ code: 'CONSTRAINT' })
    expect(await queryOnce(database, 'SELECT "actor" FROM "_audit"')).toEqual([{ actor: 'a' }])
  })
})

describe('0002_indexes', () => {
  test('keeps the documents of the version before, and finds them by its indexes', async () => {
    const dir = await olderStore(1, async (state) => {
      await insertDocuments(state, 'orders', [
        ['o-1', order('o-1', { clientOrderId: 'c-1' })],
        ['o-2', order('o-2', { clientOrderId: 'c-2', state: 'filled' })],
      ])
      await insertDocuments(state, 'fills', [['f-1', fill('f-1', 'o-2')]])
    })
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations[0]).toBe('0002_indexes')
      const page = await opened.backend.page({
        collection: 'orders',
        query: { where: { state: 'filled' } },
        cursor: null,
        maxRows: 10,
      })
      expect(JSON.parse(page.json)).toEqual([order('o-2', { clientOrderId: 'c-2', state: 'filled' })])
      expect(await opened.backend.count({ collection: 'fills', where: { orderId: 'o-2' } })).toBe(1)
      const plan = await opened.backend.sql({
        sql: `EXPLAIN QUERY PLAN SELECT * FROM orders WHERE state = 'filled'`,
        parameters: [],
        file: 'state',
        maxRows: 100,
      })
      expect(JSON.stringify(plan)).toContain('orders.state')
    })
  })

  test('stops, and leaves the version before in order, where documents already break a unique index', async () => {
    const dir = await olderStore(1, (state) =>
      insertDocuments(state, 'users', [
        ['u-1', { id: 'u-1', email: 'a@example.org' }],
        ['u-2', { id: 'u-2', email: 'a@example.org' }],
      ]),
    )
    const error = await failureOf(runOnce(dir, {}, () => undefined))
    expect(error).toMatchObject({ code: 'MIGRATION_FAILED', details: { migration: '0002_indexes' } })
    const database = await openDatabase(dir, 'state', 'read-only')
    expect(await queryOnce(database, 'SELECT "_key" FROM "users"')).toEqual([{ _key: 'u-1' }, { _key: 'u-2' }])
    expect(await queryOnce(database, 'SELECT "number" FROM "_migrations"')).toEqual([{ number: 1 }])
  })

  test('is preceded by a copy of the version before', async () => {
    const dir = await olderStore(1, (state) => insertDocuments(state, 'positions', [['p', position('p')]]))
    await runOnce(dir, {}, () => undefined)
    const copy = await openDatabase(dir, 'state', 'read-only', join(dir, 'state.db.before-0002'))
    expect(await queryOnce(copy, 'SELECT "_key" FROM "positions"')).toEqual([{ _key: 'p' }])
    expect(await queryOnce(copy, `SELECT count(*) AS n FROM sqlite_schema WHERE name = 'orders.state'`)).toEqual([
      { n: 0 },
    ])
  })
})

describe('0003_yearly_files', () => {
  test('keeps the documents of the version before, and knows of no yearly file', async () => {
    const dir = await olderStore(2, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0003_yearly_files')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
    })
    const database = await openDatabase(dir)
    expect(await queryOnce(database, 'SELECT * FROM "_yearlyFiles"')).toEqual([])
  })
})

describe('0004_audit_chain', () => {
  const OLD = `INSERT INTO "_audit" ("at", "actor", "event", "data") VALUES`
  const trailOf = async (opened: OpenedBackend) => {
    const { json } = await opened.backend.auditPage({ filter: {}, order: 'asc', afterId: null, maxRows: 10_000 })
    return JSON.parse(json) as AuditEntry[]
  }

  const storeOfVersion3 = (entries: number) =>
    olderStore(3, async (state) => {
      await state.exec('BEGIN')
      for (let n = 1; n <= entries; n++) await state.exec(`${OLD} (${n}, 'actor ${n}', 'reveal', '{"b":1,"a":"x"}')`)
      await state.exec('COMMIT')
    })

  test('carries the entries of the version before into the chain, and says how many', async () => {
    const dir = await storeOfVersion3(700)
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0004_audit_chain')
      const trail = await trailOf(opened)
      const carried = trail.slice(0, 700)
      expect(carried.map(({ id, at, actor }) => [id, at, actor])).toEqual(
        carried.map((_, index) => [index + 1, index + 1, `actor ${index + 1}`]),
      )
      expect(carried[0]).toMatchObject({ event: 'reveal', data: { a: 'x', b: 1 }, sequence: 0 })
      const later = opened.result.appliedMigrations.slice(1)
      expect(trail.slice(700).map(({ event, data }) => [event, data])).toEqual([
        ['migration.applied', { file: 'state', name: '0004_audit_chain', origin: 'holdfast' }],
        ...later.map((name) => ['migration.applied', { file: 'state', name, origin: 'holdfast' }]),
        ['audit.carried-over', { entries: 700 }],
        ['store.opened', { pid: process.pid }],
      ])
      expect(await opened.backend.auditVerify({ head: null })).toMatchObject({ ok: true, entries: trail.length })
    })
    await runOnce(dir, {}, async (opened) => {
      expect((await trailOf(opened)).map(({ event }) => event).slice(-2)).toEqual(['store.closed', 'store.opened'])
      expect(await opened.backend.auditVerify({ head: null })).toMatchObject({ ok: true })
    })
  })

  test('has nothing to say of a trail that was empty', async () => {
    const dir = await storeOfVersion3(0)
    await runOnce(dir, {}, async (opened) => {
      expect([...new Set((await trailOf(opened)).map(({ event }) => event))]).toEqual([
        'migration.applied',
        'store.opened',
      ])
    })
  })

  test.each([
    ['an update', `UPDATE "_audit" SET "actor" = 'b'`],
    ['a deletion', `DELETE FROM "_audit" WHERE "id" = 2`],
    ['a replacement', `REPLACE INTO "_audit" SELECT * FROM "_audit" WHERE "id" = 1`],
    [
      'an update by conflict',
      `INSERT INTO "_audit" SELECT * FROM "_audit" WHERE "id" = 1 ON CONFLICT ("id") DO UPDATE SET "actor" = 'b'`,
    ],
    [
      'an entry out of its order',
      `INSERT INTO "_audit" SELECT 99, "at", "actor", "event", "data", null, null, 0, "previous", "mac" FROM "_audit" WHERE "id" = 1`,
    ],
    [
      'an entry before the first',
      `INSERT INTO "_audit" SELECT 0, "at", "actor", "event", "data", null, null, 0, "previous", "mac" FROM "_audit" WHERE "id" = 1`,
    ],
    [
      'an entry without a number',
      `INSERT INTO "_audit" SELECT null, "at", "actor", "event", "data", null, null, 0, "previous", "mac" FROM "_audit" WHERE "id" = 1`,
    ],
  ])('refuses %s', async (_, sql) => {
    const dir = join(tempDir(), 's')
    await runOnce(dir, {}, () => undefined)
    const database = await openDatabase(dir)
    const all = 'SELECT * FROM "_audit" ORDER BY "id"'
    const before = await queryOnce(database, all)
    await expect(database.exec(sql)).rejects.toMatchObject({ code: 'CONSTRAINT' })
    expect(await queryOnce(database, all)).toEqual(before)
  })
})

describe('0005_growth', () => {
  test('keeps the documents of the version before, and has no sample', async () => {
    const dir = await olderStore(4, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0005_growth')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
    })
    const database = await openDatabase(dir)
    expect(await queryOnce(database, 'SELECT * FROM "_growth"')).toEqual([])
  })
})

describe('0006_skills', () => {
  test('keeps the documents of the version before, and takes skills that search finds', async () => {
    const dir = await olderStore(5, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0006_skills')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
    })
    const database = await openDatabase(dir)
    await database.exec(`
      INSERT INTO "_skills" ("id", "name", "version", "createdAt", "updatedAt") VALUES (7, 'fade', 1, 1, 1);
      INSERT INTO "_skillVersions" VALUES (7, 1, 'text', 1, x'00', x'00', '[]', NULL, 3, 'about', '{}', '', 'how');
      INSERT INTO "_skillSearch" ("_skillSearch") VALUES ('rebuild')`)
    const search = `SELECT "rowid" FROM "_skillSearch" WHERE "_skillSearch" MATCH 'about'`
    expect(await queryOnce(database, search)).toEqual([{ rowid: 7 }])
  })
})

describe('0007_artifacts', () => {
  test('keeps the documents of the version before, and has no artifact', async () => {
    const dir = await olderStore(6, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0007_artifacts')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
      const everything = { prefix: '', tag: null, after: null, limit: 10 }
      expect(await opened.backend.artifacts.artifactList(everything)).toEqual([])
    })
  })

  test('has no chunk go that some content is made of', async () => {
    const state = await inMemory((await readMigrations(MIGRATIONS_DIR)).map(({ sql }) => sql))
    await state.exec(`
      PRAGMA foreign_keys = ON;
      INSERT INTO "_artifactChunks" VALUES (1, zeroblob(32), zeroblob(16), 0, zeroblob(60), 5, 0);
      INSERT INTO "_artifactContents" VALUES (1, 'u', 0, 5);
      INSERT INTO "_artifactParts" VALUES (1, 0, 1);`)
    await expect(state.exec('DELETE FROM "_artifactChunks"')).rejects.toMatchObject({ code: 'CONSTRAINT' })
  })
})

describe('0008_session_cache', () => {
  test('keeps the documents of the version before, and has nothing cached', async () => {
    const dir = await olderStore(7, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0008_session_cache')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
      expect(await opened.backend.sessionCache.cacheList()).toEqual([])
    })
  })
})

describe('0009_keyring_record', () => {
  test('keeps the documents of the version before, and has the keyring on record from its first open', async () => {
    const dir = await olderStore(8, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]))
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0009_keyring_record')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
      const sql = 'select generation from main."_keyring"'
      const rows = await opened.backend.sql({ sql, parameters: [], file: 'state', maxRows: 1 })
      expect(rows).toEqual([{ generation: 1 }])
    })
  })
})

describe('market/0001_session', () => {
  test('makes the file of bulk data ready for collections', async () => {
    const dir = join(tempDir(), 's')
    await runOnce(dir, {}, () => undefined)
    const market = await openDatabase(dir, 'market', 'read-only')
    const rows = await queryOnce(market, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['_collections', '_migrations', '_session']))
  })
})

describe('market/0002_series', () => {
  test('makes tables for series, and loses no document of a store from before', async () => {
    const dir = await olderStore(5, (state) => insertDocuments(state, 'trades', [['t', trade('t')]]), 1)
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0002_series')
      expect(await opened.backend.get({ collection: 'trades', key: 't' })).toBe(JSON.stringify(trade('t')))
      expect(await opened.backend.series.seriesList({ kind: null })).toEqual([])
    })
    const market = await openDatabase(dir, 'market', 'read-only')
    const rows = await queryOnce(market, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['_blocks', '_points', '_series']))
  })
})

describe('market/0003_series_rules', () => {
  test('makes the table of rules, and keeps the series of a store from before', async () => {
    const dir = await olderStore(8, async () => undefined, 2)
    await runOnce(dir, {}, async (opened) => {
      expect(opened.result.appliedMigrations).toContain('0003_series_rules')
      expect(await opened.backend.seriesRules.seriesRuleList({})).toEqual([])
    })
  })
})

test('an open that has nothing to migrate changes no file but the session and the audit trail', async () => {
  const dir = join(tempDir(), 's')
  await runOnce(dir, {}, () => undefined)
  const before = fingerprint(dir)
  await runOnce(dir, {}, ({ result }) => expect(result.appliedMigrations).toEqual([]))
  const after = fingerprint(dir)
  const changed = Object.keys(after).filter((path) => after[path] !== before[path])
  expect(changed).toEqual([join(dir, 'audit-head.json'), join(dir, 'state.db')])
})

test('the files are plain text with the line ends they were written with', async () => {
  for (const { name } of await readMigrations(MIGRATIONS_DIR)) {
    expect(readFileSync(join(MIGRATIONS_DIR, `${name}.sql`), 'utf8')).not.toContain('\r')
  }
})
