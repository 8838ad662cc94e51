import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readMigrations } from '../../src/worker/migration-files.ts'
import { codeOf, failureOf, tempDir } from '../client/fixtures/temp-store.ts'
import { migrationsFolder } from './fixtures/backend.ts'

describe('a folder of migrations', () => {
  test('is read in the order of the numbers', async () => {
    const folder = migrationsFolder({ '0002_b.sql': 'SELECT 2', '0001_a.sql': 'SELECT 1', '0003_c-d_e.sql': '' })
    expect((await readMigrations(folder)).map(({ number, name }) => [number, name])).toEqual([
      [1, '0001_a'],
      [2, '0002_b'],
      [3, '0003_c-d_e'],
    ])
  })

  test('may hold other files', async () => {
    const folder = migrationsFolder({ '0001_a.sql': '', 'README.md': 'x', 'market/0001_b.sql': '' })
    expect(await readMigrations(folder)).toHaveLength(1)
  })

  test('may be empty', async () => {
    expect(await readMigrations(tempDir())).toEqual([])
  })

  test('that is missing is MIGRATION_INVALID', async () => {
    const error = await failureOf(readMigrations(join(tempDir(), 'nope')))
    expect(error).toMatchObject({ code: 'MIGRATION_INVALID', cause: { code: 'ENOENT' } })
  })

  test.each([
    ['a number of three digits', '001_a.sql'],
    ['no name', '0001.sql'],
    ['capital letters', '0001_Init.sql'],
    ['a blank', '0001_a b.sql'],
    ['number zero', '0000_a.sql'],
    ['a gap at the start', '0002_a.sql'],
  ])('refuses %s', async (_, name) => {
    const error = await failureOf(readMigrations(migrationsFolder({ [name]: '' })))
    expect(error).toMatchObject({ code: 'MIGRATION_INVALID', details: { file: name } })
  })

  test.each([
    ['a gap', { '0001_a.sql': '', '0003_c.sql': '' }],
    ['a number twice', { '0001_a.sql': '', '0001_b.sql': '' }],
  ])('refuses %s', async (_, files) => {
    expect(await codeOf(readMigrations(migrationsFolder(files)))).toBe('MIGRATION_INVALID')
  })
})

describe('the checksum', () => {
  const checksumOf = async (sql: string) => (await readMigrations(migrationsFolder({ '0001_a.sql': sql })))[0]?.checksum

  test('is the SHA-256 of the file', async () => {
    expect(await checksumOf('SELECT 1;\n')).toBe('b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd')
  })

  test('is the same with the line ends of Windows', async () => {
    expect(await checksumOf('SELECT 1;\r\n-- two\r\n')).toBe(await checksumOf('SELECT 1;\n-- two\n'))
  })

  test.each([
    'SELECT 1;\n-- two',
    'SELECT 1;\n\n-- two\n',
    'select 1;\n-- two\n',
  ])('differs for any other change', async (sql) => {
    expect(await checksumOf(sql)).not.toBe(await checksumOf('SELECT 1;\n-- two\n'))
  })
})

describe('statements that would leave the transaction or the database', () => {
  test.each([
    'BEGIN',
    'COMMIT',
    'END',
    'ROLLBACK',
    'SAVEPOINT x',
    'RELEASE x',
    "ATTACH 'other.db' AS other",
    'DETACH other',
    'VACUUM',
    'PRAGMA foreign_keys = OFF',
    '/* sly */ commit',
    'CREATE TABLE a (x);\n  cOmMiT;\nCREATE TABLE b (x)',
    'CREATE TRIGGER t AFTER INSERT ON kv BEGIN SELECT 1; END; COMMIT',
    'EXPLAIN PRAGMA foreign_keys = OFF',
  ])('are refused before anything is opened: %s', async (sql) => {
    expect(await codeOf(readMigrations(migrationsFolder({ '0001_a.sql': sql })))).toBe('MIGRATION_INVALID')
  })

  test.each([
    "INSERT INTO notes VALUES ('; COMMIT;')",
    '-- COMMIT;\nCREATE TABLE a (x)',
    'CREATE TRIGGER t AFTER INSERT ON kv BEGIN SELECT CASE WHEN 1 THEN 2 END; END',
    'CREATE TABLE "commit" ("begin", "end")',
    'CREATE TABLE a (x); CREATE INDEX b ON a (x); CREATE VIEW c AS SELECT 1; DROP VIEW c; ALTER TABLE a RENAME TO d',
  ])('are not seen where there are none: %s', async (sql) => {
    expect(await readMigrations(migrationsFolder({ '0001_a.sql': sql }))).toHaveLength(1)
  })
})
