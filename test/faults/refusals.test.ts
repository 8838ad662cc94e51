/**
 * Whoever may not or can not open a store is told why and what to do, and has changed no byte of it. Left out of the
 * comparison are `owner.json`, which names whoever took the lock last, as one must before one can know more; SQLite's
 * index of the write-ahead log (`-shm`), which it makes anew with each first connection; and a log that is empty.
 */

import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sqlite from '@journeyapps/sqlcipher'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { canonicalJson, type JsonValue } from '../../src/crypto/canonical-json.ts'
import type { OpenStoreOptions } from '../../src/index.ts'
import type { StoreErrorCode } from '../../src/protocol/store-error.ts'
import { queryOnce } from '../../src/worker/driver.ts'
import { DatabaseUnderDamage, withFlippedByte } from './damaged-files.ts'
import { directoryHashes } from './directory-hashes.ts'
import { seededRandom } from './fault-run.ts'
import { refusalOf } from './refusal.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'

const root = mkdtempSync(join(tmpdir(), 'holdfast-refusals-'))
const templates = { closed: join(root, 'closed'), killed: join(root, 'killed'), other: join(root, 'other') }
const migrations = join(root, 'migrations')

afterAll(() => rmSync(root, { recursive: true, force: true }))

beforeAll(async () => {
  mkdirSync(migrations)
  writeFileSync(join(migrations, '0001_first.sql'), 'CREATE TABLE "marks" ("n" INTEGER) STRICT;\n')
  const store = await openTestStore(templates.closed, { migrations })
  for (let n = 0; n < 40; n++) void store.kv.set(`k-${n}`, n)
  await store.checkpoint()
  for (let n = 0; n < 20; n++) await store.kv.set(`later-${n}`, n)
  for (let n = 0; n < 20; n++) await store.tickRows.put({ id: `t-${n}`, symbol: 'X', at: n, price: '1' })
  // What is on disk while nothing is under way is what a killed process leaves.
  cpSync(templates.closed, templates.killed, { recursive: true })
  await store.close()
  await (await openTestStore(templates.other, { migrations })).close()
})

type TestOptions = Partial<Omit<OpenStoreOptions, 'collections'>>

interface Case {
  readonly name: string
  readonly code: StoreErrorCode
  /** Makes the store one that has to be refused. */
  readonly prepare?: (dir: string) => void | Promise<void>
  readonly options?: TestOptions
  /** Of the store whose owner was killed only: what it is about is in the write-ahead log. */
  readonly killedOnly?: boolean
}

function randomBytes(count: number): Buffer {
  const random = seededRandom('foreign bytes')
  return Buffer.from(Array.from({ length: count }, () => random.below(256)))
}

async function plainDatabase(path: string): Promise<void> {
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    const database = new sqlite.Database(path)
    database.exec('CREATE TABLE "notes" ("text"); INSERT INTO "notes" VALUES (1)', (error) => {
      database.close(() => (error ? reject(error) : resolve()))
    })
  })
}

function damageBothKeyrings(dir: string): void {
  const random = seededRandom('damaged keyrings')
  for (const name of ['keyring.json', 'keyring.backup.json']) {
    const bytes = readFileSync(join(dir, name))
    writeFileSync(join(dir, name), withFlippedByte(bytes, bytes.indexOf('wrapped') + 20, random))
  }
}

function keyringFromTheFuture(dir: string): void {
  const { checksum: _old, ...keyring } = JSON.parse(readFileSync(join(dir, 'keyring.json'), 'utf8')) as {
    readonly [member: string]: JsonValue
  }
  const later = { ...keyring, version: Number(keyring.version) + 1 }
  const checksum = createHash('sha256').update(canonicalJson(later)).digest('hex')
  for (const name of ['keyring.json', 'keyring.backup.json']) {
    writeFileSync(join(dir, name), JSON.stringify({ ...later, checksum }))
  }
}

/** Adds a migration that this version does not know, with the store's own key. */
async function migrationFromTheFuture(dir: string, file: 'state' | 'market'): Promise<void> {
  const database = await DatabaseUnderDamage.of(dir, file)
  await database.withConnection((connection) =>
    queryOnce(connection, `INSERT INTO "_migrations" VALUES ('holdfast', 900, '0900_later', 'x', 1)`),
  )
}

function pendingMigration(dir: string): string {
  const folder = join(dir, '..', 'migrations-later')
  cpSync(migrations, folder, { recursive: true })
  writeFileSync(join(folder, '0002_later.sql'), 'DELETE FROM "kv";\n')
  return folder
}

function changedMigration(dir: string): string {
  const folder = join(dir, '..', 'migrations-changed')
  cpSync(migrations, folder, { recursive: true })
  writeFileSync(join(folder, '0001_first.sql'), 'CREATE TABLE "other" ("n" INTEGER) STRICT;\n')
  return folder
}

const CASES: readonly Case[] = [
  { name: 'a wrong password', code: 'WRONG_PASSWORD', options: { password: 'not the password of it' } },
  { name: 'two damaged copies of the keyring', code: 'KEYRING_CORRUPT', prepare: damageBothKeyrings },
  {
    name: 'a lost keyring',
    code: 'KEYRING_CORRUPT',
    prepare: (dir) => {
      for (const name of ['keyring.json', 'keyring.backup.json']) rmSync(join(dir, name))
    },
  },
  { name: 'a keyring from the future', code: 'STORE_FROM_FUTURE', prepare: keyringFromTheFuture },
  { name: 'a lost state.db', code: 'STORE_CORRUPT', prepare: (dir) => rmSync(join(dir, 'state.db')) },
  { name: 'a lost market.db', code: 'STORE_CORRUPT', prepare: (dir) => rmSync(join(dir, 'market.db')) },
  { name: 'an empty state.db', code: 'STORE_CORRUPT', prepare: (dir) => truncateSync(join(dir, 'state.db')) },
  { name: 'an empty market.db', code: 'STORE_CORRUPT', prepare: (dir) => truncateSync(join(dir, 'market.db')) },
  { name: 'half a state.db', code: 'STORE_CORRUPT', prepare: (dir) => truncateSync(join(dir, 'state.db'), 40_960) },
  {
    name: 'foreign bytes as state.db',
    code: 'STORE_CORRUPT',
    prepare: (dir) => writeFileSync(join(dir, 'state.db'), randomBytes(20_480)),
  },
  {
    name: 'the state.db of another store',
    code: 'STORE_CORRUPT',
    prepare: (dir) => cpSync(join(templates.other, 'state.db'), join(dir, 'state.db')),
  },
  {
    name: 'the market.db of the same store as state.db',
    code: 'STORE_CORRUPT',
    prepare: (dir) => cpSync(join(dir, 'market.db'), join(dir, 'state.db')),
  },
  { name: 'an unencrypted state.db', code: 'NOT_A_STORE', prepare: (dir) => plainDatabase(join(dir, 'state.db')) },
  {
    name: 'a migration of state.db from the future',
    code: 'STORE_FROM_FUTURE',
    prepare: (dir) => migrationFromTheFuture(dir, 'state'),
  },
  {
    name: 'a migration of market.db from the future',
    code: 'STORE_FROM_FUTURE',
    prepare: (dir) => migrationFromTheFuture(dir, 'market'),
  },
]

const EMPTY_HASH = createHash('sha256').digest('hex')

/** The inbox of the audit trail gets a note of each wrong password; `owner.json` is for people. */
function files(dir: string): Record<string, string> {
  const isCompared = ([name, hash]: readonly [string, string]) =>
    name !== 'owner.json' &&
    !name.startsWith('audit-inbox') &&
    !name.endsWith('-shm') &&
    !(name.endsWith('-wal') && hash.endsWith(EMPTY_HASH))
  return Object.fromEntries(Object.entries(directoryHashes(dir)).filter(isCompared))
}

async function expectRefusedUntouched(dir: string, code: StoreErrorCode, options: TestOptions): Promise<void> {
  const before = files(dir)
  const refusal = await refusalOf(openTestStore(dir, options).then((store) => store.close()))
  expect(refusal?.code).toBe(code)
  expect(files(dir)).toEqual(before)
}

test.each(CASES)('$name is refused ($code), and no byte is changed', async ({ code, prepare, options }) => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates.closed, dir, { recursive: true })
  await prepare?.(dir)
  await expectRefusedUntouched(dir, code, { migrations, ...options })
})

test.each(CASES)('the same after the owner was killed: $name', async ({ code, prepare, options }) => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates.killed, dir, { recursive: true })
  await prepare?.(dir)
  await expectRefusedUntouched(dir, code, { migrations, ...options })
})

test.each([
  'closed',
  'killed',
] as const)('migrations that may not or can not be applied change nothing (%s store)', async (template) => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates[template], dir, { recursive: true })
  const later = pendingMigration(dir)
  await expectRefusedUntouched(dir, 'MIGRATION_PENDING', { migrations: later, migrate: 'refuse' })
  await expectRefusedUntouched(dir, 'MIGRATION_PENDING', { migrations: later, migrate: 'rehearse' })
  await expectRefusedUntouched(dir, 'MIGRATION_CHANGED', { migrations: changedMigration(dir) })
  await expectRefusedUntouched(dir, 'MIGRATION_INVALID', { migrations: join(dir, 'no such folder') })
})

test('a log that is damaged in the middle is refused, and no byte is changed', async () => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates.killed, dir, { recursive: true })
  const path = join(dir, 'state.db-wal')
  writeFileSync(path, withFlippedByte(readFileSync(path), 3_000, seededRandom('damaged log')))
  await expectRefusedUntouched(dir, 'STORE_CORRUPT', { migrations })
  await expectRefusedUntouched(dir, 'WRONG_PASSWORD', {
    migrations,
    password: 'not the password of it',
    durability: 'normal',
  })
  await expectRefusedUntouched(dir, 'STORE_CORRUPT', { migrations })
})

test('a directory with other files in it is refused, and no byte is changed', async () => {
  const dir = temporaryDirectory()
  writeFileSync(join(dir, 'notes.txt'), 'mine')
  await expectRefusedUntouched(dir, 'NOT_A_STORE', {})
})

test('a store that may not be created is not, and leaves nothing', async () => {
  const parent = temporaryDirectory()
  await expectRefusedUntouched(parent, 'STORE_NOT_FOUND', { create: false })
  const before = files(parent)
  expect((await refusalOf(openTestStore(join(parent, 'store'), { create: false })))?.code).toBe('STORE_NOT_FOUND')
  expect((await refusalOf(openTestStore(join(parent, 'store'), { password: 'short' })))?.code).toBe('PASSWORD_TOO_WEAK')
  expect(files(parent)).toEqual(before)
})

test.each([
  ['keyring.json', 'lost'],
  ['keyring.backup.json', 'lost'],
  ['keyring.json', 'damaged'],
  ['keyring.backup.json', 'damaged'],
] as const)('with %s %s the store opens, and the copy is put right', async (name, how) => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates.closed, dir, { recursive: true })
  const right = readFileSync(join(dir, name), 'utf8')
  if (how === 'lost') rmSync(join(dir, name))
  else writeFileSync(join(dir, name), right.replace('"wrapped"', '"Wrapped"'))
  const store = await openTestStore(dir, { migrations })
  expect(store.restoredKeyringCopies).toEqual([name])
  expect(store.kv.size).toBe(60)
  await store.close()
  expect(JSON.parse(readFileSync(join(dir, name), 'utf8'))).toEqual(JSON.parse(right))
  if (how === 'damaged') expect(readFileSync(join(dir, `${name}.damaged-1`), 'utf8')).toContain('"Wrapped"')
})

// But for the empty -wal and the -shm that a read-only connection to a closed store makes and can't remove.
test('looking beside changes no byte', async () => {
  const dir = join(temporaryDirectory(), 'store')
  cpSync(templates.closed, dir, { recursive: true })
  const before = files(dir)
  const store = await openTestStore(dir, { migrations, readOnly: true })
  expect(store.kv.size).toBe(60)
  await store.close()
  expect(files(dir)).toEqual(before)
})
