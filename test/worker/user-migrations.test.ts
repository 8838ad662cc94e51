/** SQL of the user's own: applied after the built-in migrations, never twice, never half. */
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { queryOnce } from '../../src/worker/driver.ts'
import { SQLITE_MAGIC } from '../../src/worker/keyed-database.ts'
import { codeOf, failureOf, tempDir } from '../client/fixtures/temp-store.ts'
import {
  fingerprint,
  MIGRATIONS_DIR,
  migrationsFolder,
  openBackend,
  openDatabase,
  putAll,
  runOnce,
} from './fixtures/backend.ts'

const MARKER = 'marker-4711'
const NOTES = { '0001_notes.sql': 'CREATE TABLE "notes" ("id" INTEGER PRIMARY KEY, "text" TEXT);' }
const AUTHORS = { ...NOTES, '0002_authors.sql': 'ALTER TABLE "notes" ADD COLUMN "author" TEXT;' }

const template = tempDir(afterAll)

beforeAll(async () => {
  await runOnce(template, { userMigrationsDir: migrationsFolder(NOTES, tempDir(afterAll)) }, (opened) =>
    putAll(opened, 'kv', [['k', { key: 'k', value: MARKER }]]),
  )
})

/** A store that has applied `NOTES`, and holds a document. */
function storeWithNotes(): string {
  const dir = join(tempDir(), 's')
  cpSync(template, dir, { recursive: true })
  return dir
}

async function tablesOf(dir: string): Promise<string[]> {
  const database = await openDatabase(dir, 'state', 'read-only')
  const rows = await queryOnce(database, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
  await database.close()
  return rows.map(({ name }) => String(name))
}

describe('migrations of the user', () => {
  test('are applied after the built-in ones, in order, and recorded', async () => {
    const opened = await openBackend(join(tempDir(), 's'), { userMigrationsDir: migrationsFolder(AUTHORS) })
    expect(opened.result.appliedMigrations).toEqual(['0001_notes', '0002_authors'])
    expect(opened.result.hasUserMigrations).toBe(true)
    expect((await opened.backend.status()).migrations).toEqual([
      ...readdirSync(MIGRATIONS_DIR)
        .filter((name) => name.endsWith('.sql'))
        .sort()
        .map((name, index) => ({ origin: 'holdfast', number: index + 1, name: name.slice(0, -4) })),
      { origin: 'user', number: 1, name: '0001_notes' },
      { origin: 'user', number: 2, name: '0002_authors' },
    ])
  })

  test('are not applied again', async () => {
    const dir = storeWithNotes()
    const opened = await openBackend(dir, { userMigrationsDir: migrationsFolder(NOTES) })
    expect(opened.result.appliedMigrations).toEqual([])
  })

  test('that are new are applied alone', async () => {
    const dir = storeWithNotes()
    const opened = await openBackend(dir, { userMigrationsDir: migrationsFolder(AUTHORS) })
    expect(opened.result.appliedMigrations).toEqual(['0002_authors'])
  })

  test('are the same with the line ends of Windows', async () => {
    const sql = 'CREATE TABLE "notes" ("id" INTEGER PRIMARY KEY);\nCREATE TABLE "more" ("id" INTEGER PRIMARY KEY);\n'
    const dir = join(tempDir(), 's')
    await runOnce(dir, { userMigrationsDir: migrationsFolder({ '0001_notes.sql': sql }) }, () => undefined)
    const opened = await openBackend(dir, {
      userMigrationsDir: migrationsFolder({ '0001_notes.sql': sql.replaceAll('\n', '\r\n') }),
    })
    expect(opened.result.appliedMigrations).toEqual([])
  })

  test('may fill tables of their own from documents', async () => {
    const dir = storeWithNotes()
    const files = { ...NOTES, '0002_fill.sql': `INSERT INTO "notes" ("text") SELECT "_doc" ->> '$.value' FROM "kv";` }
    await runOnce(dir, { userMigrationsDir: migrationsFolder(files) }, () => undefined)
    const database = await openDatabase(dir, 'state', 'read-only')
    expect(await queryOnce(database, 'SELECT "text" FROM "notes"')).toEqual([{ text: MARKER }])
  })
})

describe('refused with nothing changed', () => {
  const refusals: [string, Record<string, string>, string][] = [
    [
      'MIGRATION_CHANGED: an applied file that was edited',
      { '0001_notes.sql': `${NOTES['0001_notes.sql']} ` },
      'MIGRATION_CHANGED',
    ],
    ['STORE_FROM_FUTURE: an applied file that is missing', {}, 'STORE_FROM_FUTURE'],
    [
      'MIGRATION_INVALID: a statement that leaves the transaction',
      { ...NOTES, '0002_x.sql': 'COMMIT' },
      'MIGRATION_INVALID',
    ],
    ['MIGRATION_INVALID: a gap in the numbers', { ...NOTES, '0003_x.sql': '' }, 'MIGRATION_INVALID'],
    ['MIGRATION_CHANGED also when another is new', { ...AUTHORS, '0001_notes.sql': 'SELECT 1' }, 'MIGRATION_CHANGED'],
  ]
  test.each(refusals)('%s', async (_, files, code) => {
    const dir = storeWithNotes()
    const before = fingerprint(dir)
    expect(await codeOf(openBackend(dir, { userMigrationsDir: migrationsFolder(files) }))).toBe(code)
    expect(fingerprint(dir)).toEqual(before)
  })

  test('STORE_FROM_FUTURE: a built-in migration of a newer package', async () => {
    const dir = join(tempDir(), 's')
    const files = builtInFiles()
    const number = Object.keys(files).filter((name) => /^\d/.test(name)).length + 1
    const name = `${String(number).padStart(4, '0')}_newer`
    const newer = migrationsFolder({
      ...files,
      [`${name}.sql`]: 'CREATE TABLE "newer" ("id" INTEGER PRIMARY KEY)',
    })
    await runOnce(dir, { migrationsDir: newer }, () => undefined)
    const before = fingerprint(dir)
    const error = await failureOf(openBackend(dir))
    expect(error).toMatchObject({ code: 'STORE_FROM_FUTURE', details: { migration: name, origin: 'holdfast' } })
    expect(error.message).toContain('Update the holdfast package')
    expect(fingerprint(dir)).toEqual(before)
  })

  test('STORE_FROM_FUTURE in the market file keeps the state file from migrating', async () => {
    const dir = storeWithNotes()
    const market = await openDatabase(dir, 'market')
    await market.exec(`INSERT INTO "_migrations" VALUES ('holdfast', 1000, '1000_newer', 'x', 1)`)
    await market.close()
    const before = fingerprint(dir)
    expect(await codeOf(openBackend(dir, { userMigrationsDir: migrationsFolder(AUTHORS) }))).toBe('STORE_FROM_FUTURE')
    expect(fingerprint(dir)).toEqual(before)
  })
})

function builtInFiles(): Record<string, string> {
  const names = readdirSync(MIGRATIONS_DIR, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.sql'),
  )
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(MIGRATIONS_DIR, name), 'utf8')]))
}

describe('MIGRATION_FAILED', () => {
  test.each([
    ['a statement that is wrong', 'CREATE TABLE "half" ("id" INTEGER PRIMARY KEY); SELECT nonsense FROM nowhere;'],
    ['a constraint', `CREATE TABLE "half" ("x" TEXT UNIQUE); INSERT INTO "half" VALUES ('${MARKER}'), ('${MARKER}');`],
    [
      'rows that refer to nothing',
      `CREATE TABLE "half" ("k" TEXT REFERENCES "kv"("_key") DEFERRABLE INITIALLY DEFERRED); INSERT INTO "half" VALUES ('${MARKER}');`,
    ],
  ])('%s: the file is rolled back whole, those before it stay', async (_, sql) => {
    const dir = storeWithNotes()
    const files = {
      ...AUTHORS,
      '0003_broken.sql': sql,
      '0004_never.sql': 'CREATE TABLE "never" ("id" INTEGER PRIMARY KEY)',
    }
    const error = await failureOf(openBackend(dir, { userMigrationsDir: migrationsFolder(files) }))
    expect(error).toMatchObject({ code: 'MIGRATION_FAILED', details: { migration: '0003_broken' } })
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain(MARKER)
    const tables = await tablesOf(dir)
    expect(tables).toContain('notes')
    expect(tables).not.toContain('half')
    expect(tables).not.toContain('never')
    await runOnce(dir, { userMigrationsDir: migrationsFolder(AUTHORS) }, async ({ backend, result }) => {
      expect(result.appliedMigrations).toEqual([])
      expect(await backend.get({ collection: 'kv', key: 'k' })).toContain(MARKER)
    })
  })
})

describe('the copy made before migrating', () => {
  test('holds the version before, opens under the same key, and is ciphertext for the owner alone', async () => {
    const dir = storeWithNotes()
    await runOnce(dir, { userMigrationsDir: migrationsFolder(AUTHORS) }, () => undefined)
    const path = join(dir, 'state.db.before-user-0002')
    const bytes = readFileSync(path)
    expect(bytes.subarray(0, 16).equals(SQLITE_MAGIC)).toBe(false)
    expect(bytes.includes(MARKER)).toBe(false)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const copy = await openDatabase(dir, 'state', 'read-only', path)
    expect(await queryOnce(copy, 'PRAGMA cipher_integrity_check')).toEqual([])
    expect(await queryOnce(copy, 'SELECT "_key" FROM "kv"')).toEqual([{ _key: 'k' }])
    const columns = await queryOnce(copy, 'PRAGMA table_info("notes")')
    expect(columns.map(({ name }) => name)).not.toContain('author')
  })

  test('is there when the migration fails', async () => {
    const dir = storeWithNotes()
    await codeOf(openBackend(dir, { userMigrationsDir: migrationsFolder({ ...NOTES, '0002_x.sql': 'nonsense' }) }))
    expect(readdirSync(dir)).toContain('state.db.before-user-0002')
  })

  test('leaves nothing partial behind', async () => {
    const dir = storeWithNotes()
    await runOnce(dir, { userMigrationsDir: migrationsFolder(AUTHORS) }, () => undefined)
    expect(readdirSync(dir).filter((name) => name.endsWith('.partial'))).toEqual([])
  })

  test('is not made of a store that is new and holds nothing', async () => {
    const dir = join(tempDir(), 's')
    await runOnce(dir, { userMigrationsDir: migrationsFolder(NOTES) }, () => undefined)
    expect(readdirSync(dir).filter((name) => name.includes('before'))).toEqual([])
  })
})

describe('without applying', () => {
  test.each([
    'refuse',
    'rehearse',
  ] as const)('%s: MIGRATION_PENDING names what is to be done, and changes nothing', async (migrate) => {
    const dir = storeWithNotes()
    const before = fingerprint(dir)
    const error = await failureOf(openBackend(dir, { userMigrationsDir: migrationsFolder(AUTHORS), migrate }))
    expect(error).toMatchObject({ code: 'MIGRATION_PENDING', details: { pending: ['0002_authors'] } })
    expect(fingerprint(dir)).toEqual(before)
  })

  test.each([
    { migrate: 'refuse' },
    { migrate: 'rehearse' },
    { readOnly: true },
  ] as const)('%j: what is pending in every file is named at once', async (changes) => {
    const dir = storeWithNotes()
    const files = builtInFiles()
    const number = Object.keys(files).filter((name) => name.startsWith('market/')).length + 1
    const newer = `${String(number).padStart(4, '0')}_newer`
    const migrationsDir = migrationsFolder({
      ...files,
      [`market/${newer}.sql`]: 'CREATE TABLE "newer" ("id" INTEGER PRIMARY KEY)',
    })
    const request = { migrationsDir, userMigrationsDir: migrationsFolder(AUTHORS), ...changes }
    const error = await failureOf(openBackend(dir, request))
    expect(error).toMatchObject({ code: 'MIGRATION_PENDING', details: { pending: ['0002_authors', newer] } })
  })

  test('rehearse finds a migration that would fail, and changes nothing', async () => {
    const dir = storeWithNotes()
    const before = fingerprint(dir)
    const files = { ...AUTHORS, '0003_broken.sql': 'INSERT INTO nowhere VALUES (1)' }
    const error = await failureOf(openBackend(dir, { userMigrationsDir: migrationsFolder(files), migrate: 'rehearse' }))
    expect(error).toMatchObject({ code: 'MIGRATION_FAILED', details: { migration: '0003_broken' } })
    expect(fingerprint(dir)).toEqual(before)
  })

  test.each(['refuse', 'rehearse'] as const)('%s: opens when there is nothing to do', async (migrate) => {
    const dir = storeWithNotes()
    const opened = await openBackend(dir, { userMigrationsDir: migrationsFolder(NOTES), migrate })
    expect(await opened.backend.count({ collection: 'kv', where: {} })).toBe(1)
  })

  test('a reader beside the owner does not migrate', async () => {
    const dir = storeWithNotes()
    const options = { userMigrationsDir: migrationsFolder(AUTHORS), readOnly: true }
    expect(await codeOf(openBackend(dir, options))).toBe('MIGRATION_PENDING')
  })
})
