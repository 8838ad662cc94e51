/** Opening: every refusal says which it is and what to do, and has changed nothing. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { defineCollection, openStore, type StoreError, z } from '../../src/index.ts'
import { sqlcipherDriver } from '../../src/worker/sqlcipher-driver.ts'
import { fingerprint, migrationsFolder } from '../worker/fixtures/backend.ts'
import { position } from './fixtures/documents.ts'
import {
  codeOf,
  FAST_KDF,
  failureOf,
  openSharedStore,
  openTempStore,
  PASSWORD,
  tempDir,
} from './fixtures/temp-store.ts'

const PAGE_BYTES = 4_096
const DAMAGED_PAGES = 12

const template = await openSharedStore()
await template.positions.put(position('BTC-1'))
await template.close()

/** A directory of its own with a whole store that holds one position. */
function storeCopy(): string {
  const dir = join(tempDir(), 's')
  cpSync(template.dir, dir, { recursive: true })
  return dir
}

const overwrite = (path: string, at: number, bytes: Uint8Array) => {
  const content = readFileSync(path)
  content.set(bytes, at)
  writeFileSync(path, content)
}

describe('a refusal changes nothing', () => {
  const schema = z.object({ id: z.string(), tag: z.string() })
  const cases: [string, string, (dir: string) => unknown, string?][] = [
    ['another password', 'WRONG_PASSWORD', () => ({ password: 'another password, just as long' })],
    ['no password', 'PASSWORD_MISSING', () => ({ password: '' })],
    [
      'other files where a store is to be',
      'NOT_A_STORE',
      (dir) => {
        rmSync(dir, { recursive: true })
        mkdirSync(dir)
        writeFileSync(join(dir, 'thesis.txt'), 'mine')
      },
    ],
    [
      'keyrings of another program',
      'NOT_A_STORE',
      (dir) => {
        for (const name of ['keyring.json', 'keyring.backup.json']) writeFileSync(join(dir, name), '{"keys":[]}')
      },
    ],
    [
      'a database that is not encrypted',
      'NOT_A_STORE',
      async (dir) => {
        rmSync(join(dir, 'state.db'))
        const plain = await sqlcipherDriver.open(join(dir, 'state.db'), { mode: 'create', busyTimeoutMs: 0 })
        await plain.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
        await plain.close()
      },
    ],
    ['a database that is missing', 'STORE_CORRUPT', (dir) => rmSync(join(dir, 'state.db'))],
    ['the other database missing', 'STORE_CORRUPT', (dir) => rmSync(join(dir, 'market.db'))],
    ['a database that is empty', 'STORE_CORRUPT', (dir) => truncateSync(join(dir, 'state.db'))],
    ['a database cut short in its first page', 'STORE_CORRUPT', (dir) => truncateSync(join(dir, 'state.db'), 1_000)],
    [
      'damage in the first page',
      'STORE_CORRUPT',
      (dir) => overwrite(join(dir, 'state.db'), 100, Buffer.from('damage')),
    ],
    [
      'the database of another store',
      'STORE_CORRUPT',
      async (dir) => {
        const other = await openTempStore()
        await other.close()
        cpSync(join(other.dir, 'state.db'), join(dir, 'state.db'))
      },
    ],
    [
      'a keyring of which both copies are damaged',
      'KEYRING_CORRUPT',
      (dir) => {
        for (const name of ['keyring.json', 'keyring.backup.json']) {
          const text = readFileSync(join(dir, name), 'utf8')
          writeFileSync(join(dir, name), text.replace(/"generation": ?1/, '"generation":2'))
        }
      },
    ],
    [
      'databases without a keyring',
      'KEYRING_CORRUPT',
      (dir) => {
        rmSync(join(dir, 'keyring.json'))
        rmSync(join(dir, 'keyring.backup.json'))
      },
    ],
    [
      'an applied migration that was edited',
      'MIGRATION_CHANGED',
      async (dir) => {
        const first = await openTempStore({ dir, migrations: migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (x)' }) })
        await first.close()
        return { migrations: migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (y)' }) }
      },
    ],
    [
      'an applied migration that is missing',
      'STORE_FROM_FUTURE',
      async (dir) => {
        const first = await openTempStore({ dir, migrations: migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (x)' }) })
        await first.close()
        return { migrations: migrationsFolder({}) }
      },
    ],
    ['a folder of migrations that is missing', 'MIGRATION_INVALID', (dir) => ({ migrations: join(dir, 'none') })],
    ['a migration with a bad name', 'MIGRATION_INVALID', () => ({ migrations: migrationsFolder({ '1.sql': '' }) })],
    [
      'a migration that waits',
      'MIGRATION_PENDING',
      () => ({ migrate: 'refuse', migrations: migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (x)' }) }),
    ],
    [
      'a rehearsal',
      'MIGRATION_PENDING',
      () => ({ migrate: 'rehearse', migrations: migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (x)' }) }),
    ],
    [
      'a rehearsal that fails',
      'MIGRATION_FAILED',
      () => ({ migrate: 'rehearse', migrations: migrationsFolder({ '0001_a.sql': 'nonsense' }) }),
    ],
    [
      'a collection with the name of a built-in one',
      'INVALID_COLLECTION',
      () => ({ collections: { mine: defineCollection({ name: 'orders', key: 'id', schema }) } }),
    ],
    [
      'a collection in the place of a built-in one',
      'INVALID_COLLECTION',
      () => ({ collections: { orders: defineCollection({ name: 'mine', key: 'id', schema }) } }),
    ],
    [
      'two collections whose names differ in case',
      'INVALID_COLLECTION',
      () => ({
        collections: {
          a: defineCollection({ name: 'mine', key: 'id', schema }),
          b: defineCollection({ name: 'Mine', key: 'id', schema }),
        },
      }),
    ],
    [
      'a reference to no collection',
      'INVALID_COLLECTION',
      () => ({
        collections: {
          a: defineCollection({ name: 'a', key: 'id', schema, indexes: ['tag'], references: { tag: 'b' } }),
        },
      }),
    ],
    [
      'a reference into the other file',
      'INVALID_COLLECTION',
      () => ({
        collections: {
          a: defineCollection({
            name: 'a',
            key: 'id',
            schema,
            indexes: ['tag'],
            references: { tag: 'orders' },
            file: 'market',
          }),
        },
      }),
    ],
    ...['sql', 'close', 'sync', 'dir', 'then', 'toString', 'constructor', 'stats'].map(
      (property): (typeof cases)[number] => [
        `a collection as the property ${property}`,
        'INVALID_COLLECTION',
        () => ({ collections: { [property]: defineCollection({ name: 'mine', key: 'id', schema }) } }),
      ],
    ),
    ['an unknown option', 'INVALID_ARGUMENT', () => ({ passwort: 'x' })],
    ['no directory', 'INVALID_ARGUMENT', () => ({ dir: '' })],
    ['a durability there is not', 'INVALID_ARGUMENT', () => ({ durability: 'none' })],
    ['a bound of zero', 'INVALID_ARGUMENT', () => ({ queue: { maxQueueOperations: 0 } })],
    ['an unknown bound', 'INVALID_ARGUMENT', () => ({ queue: { maxQueue: 5 } })],
    ['a collection that was not defined', 'INVALID_ARGUMENT', () => ({ collections: { mine: { name: 'mine' } } })],
  ]

  test.each(cases)('%s: %s', async (_, code, prepare) => {
    const dir = storeCopy()
    const options = (await prepare(dir)) ?? {}
    const before = fingerprint(dir)
    const error = await failureOf(() =>
      openStore({ dir, password: PASSWORD, kdf: FAST_KDF, ...options } as { dir: string }),
    )
    expect(error.code).toBe(code)
    expect(error.message.length).toBeGreaterThan(20)
    expect(fingerprint(dir)).toEqual(before)
  })

  test('nothing at all: INVALID_ARGUMENT', async () => {
    expect(await codeOf(() => openStore(undefined as never))).toBe('INVALID_ARGUMENT')
  })

  test.each([
    ['STORE_NOT_FOUND: there is none and none may be made', { create: false }, 'STORE_NOT_FOUND'],
    ['STORE_NOT_FOUND: there is none to look at', { readOnly: true }, 'STORE_NOT_FOUND'],
    ['PASSWORD_TOO_WEAK: eleven characters', { password: 'abcdefghijk' }, 'PASSWORD_TOO_WEAK'],
    ['PASSWORD_TOO_WEAK: one over and over', { password: 'a'.repeat(40) }, 'PASSWORD_TOO_WEAK'],
    ['MIGRATION_INVALID: a folder that is missing', { migrations: '/nowhere' }, 'MIGRATION_INVALID'],
  ])('%s, and no directory is left', async (_, options, code) => {
    const dir = join(tempDir(), 'a', 'b')
    expect(await codeOf(() => openStore({ dir, password: PASSWORD, kdf: FAST_KDF, ...options }))).toBe(code)
    expect(existsSync(dir)).toBe(false)
  })

  test('STORE_NOT_FOUND in an empty directory that is there, left empty', async () => {
    const dir = tempDir()
    expect(await codeOf(openStore({ dir, password: PASSWORD, create: false }))).toBe('STORE_NOT_FOUND')
    expect(fingerprint(dir)).toEqual({})
  })

  test('a file in the place of the directory', async () => {
    const path = join(tempDir(), 'file')
    writeFileSync(path, 'mine')
    expect(['IO_ERROR', 'NOT_A_STORE']).toContain(await codeOf(openStore({ dir: path, password: PASSWORD })))
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  test.skipIf(process.getuid?.() === 0)('PERMISSION_DENIED in a directory that may not be written', async () => {
    const dir = tempDir()
    chmodSync(dir, 0o500)
    expect(await codeOf(openStore({ dir, password: PASSWORD, kdf: FAST_KDF }))).toBe('PERMISSION_DENIED')
  })
})

describe('messages say what to do next', () => {
  test.each([
    [
      'NOT_A_STORE',
      /Choose an empty or a new directory/,
      (dir: string) => {
        rmSync(dir, { recursive: true })
        mkdirSync(dir)
        writeFileSync(join(dir, 'x'), '')
      },
    ],
    ['STORE_CORRUPT', /restore a copy/, (dir: string) => rmSync(join(dir, 'market.db'))],
    [
      'KEYRING_CORRUPT',
      /restore keyring\.json from a backup/,
      (dir: string) => {
        rmSync(join(dir, 'keyring.json'))
        rmSync(join(dir, 'keyring.backup.json'))
      },
    ],
  ])('%s: %s', async (code, words, damage) => {
    const dir = storeCopy()
    damage(dir)
    const error = await failureOf(openStore({ dir, password: PASSWORD }))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(words)
    expect(error.message).toContain(dir)
  })
})

test.each([
  'state.db',
  'market.db',
])('damage in any page of %s that opening needs is told with its name', async (file) => {
  const bytes = readFileSync(join(storeCopy(), file))
  const pages = bytes.length / PAGE_BYTES
  let refused = 0
  for (let n = 0; n < DAMAGED_PAGES; n++) {
    const dir = storeCopy()
    overwrite(join(dir, file), Math.floor((n * pages) / DAMAGED_PAGES) * PAGE_BYTES + 2_000, Buffer.from('damage'))
    const opened = await openStore({ dir, password: PASSWORD }).then(
      (store) => store.close(),
      (error: unknown) => error as StoreError,
    )
    if (opened === undefined) continue
    refused += 1
    expect(opened.code).toBe('STORE_CORRUPT')
    expect(opened.message).toContain(file)
    expect(opened.message).toMatch(/restore a copy/)
  }
  expect(refused).toBeGreaterThan(0)
})

describe('a store', () => {
  test('is made in directories that do not exist yet', async () => {
    const store = await openTempStore({ dir: join(tempDir(), 'a', 'b', 'c') })
    expect(store.created).toBe(true)
    expect(statSync(store.dir).mode & 0o777).toBe(0o700)
  })

  test('is made in an empty directory that is there, beside hidden files', async () => {
    const dir = tempDir()
    writeFileSync(join(dir, '.gitignore'), '*')
    expect((await openTempStore({ dir })).created).toBe(true)
  })

  test('restores a copy of the keyring that was lost, and says so', async () => {
    const dir = storeCopy()
    rmSync(join(dir, 'keyring.backup.json'))
    const store = await openTempStore({ dir })
    expect(store.restoredKeyringCopies).toEqual(['keyring.backup.json'])
    expect(existsSync(join(dir, 'keyring.backup.json'))).toBe(true)
    expect(store.positions.get('BTC-1')).toEqual(position('BTC-1'))
  })

  test('opens under a relative path', async () => {
    const dir = storeCopy()
    const { relative } = await import('node:path')
    const store = await openTempStore({ dir: relative(process.cwd(), dir) })
    expect(store.dir).toBe(dir)
  })

  test('keeps its argon2 cost: the option is for new stores', async () => {
    const dir = storeCopy()
    const before = readFileSync(join(dir, 'keyring.json'), 'utf8')
    const store = await openTempStore({ dir, kdf: { memoryKiB: 8_192 * 3, iterations: 3, parallelism: 2 } })
    expect(store.positions.size).toBe(1)
    expect(readFileSync(join(dir, 'keyring.json'), 'utf8')).toBe(before)
  })

  test('has each session’s writes above all before', async () => {
    const dir = storeCopy()
    const sequences: number[] = []
    for (let session = 0; session < 3; session++) {
      const store = await openTempStore({ dir })
      await store.kv.set('session', session)
      const [row] = await store.sql<{ _sequence: number }>(`select _sequence from kv where key = 'session'`)
      sequences.push(row?._sequence ?? 0)
      await store.close()
    }
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    expect(new Set(sequences).size).toBe(3)
  })

  test('gives up what it holds when it can not open', async () => {
    const dir = storeCopy()
    await codeOf(openStore({ dir, password: 'another password, just as long' }))
    const store = await openTempStore({ dir })
    expect(store.positions.size).toBe(1)
  })
})

describe('beside a running owner', () => {
  let dir: string
  beforeAll(() => {
    dir = join(
      tempDir(() => undefined),
      's',
    )
    cpSync(template.dir, dir, { recursive: true })
  })

  test('a second owner is STORE_LOCKED, with the pid of the first', async () => {
    const owner = await openTempStore({ dir })
    const error = await failureOf(openStore({ dir, password: PASSWORD }))
    expect(error).toMatchObject({ code: 'STORE_LOCKED', details: { pid: process.pid, dir } })
    expect(error.message).toContain(String(process.pid))
    await owner.kv.set('still', 'mine')
    expect(owner.kv.value('still')).toBe('mine')
  })

  test('readOnly sees what is durable, hot collections as they were at its opening', async () => {
    const owner = await openTempStore({ dir })
    await owner.positions.put(position('ETH-1'))
    const beside = await openTempStore({ dir, readOnly: true })
    await owner.positions.put(position('SOL-1'))
    await owner.trades.put({ id: 't', symbol: 'X', entryPrice: 1, openedAt: 1 })
    expect(beside.positions.get('ETH-1')).toEqual(position('ETH-1'))
    expect(beside.positions.get('SOL-1')).toBeUndefined()
    expect(await beside.trades.get('t')).toBeDefined()
    expect(await beside.sql('select count(*) n from positions')).toEqual([{ n: 3 }])
    expect(await beside.check()).toEqual([])
    expect((await beside.status()).storeId).toBe(owner.storeId)
  })

  test('readOnly writes nothing: READ_ONLY', async () => {
    const owner = await openTempStore({ dir })
    const beside = await openTempStore({ dir, readOnly: true })
    const writes: (() => unknown)[] = [
      () => beside.kv.set('x', 1),
      () => beside.kv.insert({ key: 'x', value: 1 }),
      () => beside.kv.delete('x'),
      () => beside.trades.insertMany([{ id: 't-2', symbol: 'X', entryPrice: 1, openedAt: 1 }]),
      () => beside.trades.load([{ id: 't-2', symbol: 'X', entryPrice: 1, openedAt: 1 }]),
      () => beside.transaction((tx) => tx.kv.put({ key: 'x', value: 1 })),
      () => beside.sync.kv.put({ key: 'x', value: 1 }),
    ]
    for (const write of writes) expect(await codeOf(write)).toBe('READ_ONLY')
    expect(beside.kv.get('x')).toBeUndefined()
    await beside.close()
    await owner.kv.set('after', 1)
  })

  test('readOnly closes without a trace, and the owner goes on', async () => {
    const owner = await openTempStore({ dir })
    const before = fingerprint(dir)
    const beside = await openTempStore({ dir, readOnly: true })
    await beside.trades.count()
    await beside.close()
    expect(Object.keys(fingerprint(dir))).toEqual(Object.keys(before))
    await owner.kv.set('on', 1)
    await owner.flush()
  })

  test('close lets the next owner in', async () => {
    const first = await openTempStore({ dir })
    await first.close()
    const second = await openTempStore({ dir })
    expect(second.created).toBe(false)
  })
})

test('everything is for the owner of the process alone, after a busy session too', async () => {
  const bars = defineCollection({ name: 'bars', key: 'id', schema: z.object({ id: z.string() }), file: 'market' })
  const modes = (dir: string) => {
    const found: Record<string, string> = { '.': (statSync(dir).mode & 0o777).toString(8) }
    for (const path of Object.keys(fingerprint(dir))) found[path] = (statSync(path).mode & 0o777).toString(8)
    found['owner.json'] = (statSync(join(dir, 'owner.json')).mode & 0o777).toString(8)
    return found
  }
  const umask = process.umask(0)
  try {
    const dir = join(tempDir(), 's')
    const first = await openTempStore({ dir, collections: { barRows: bars } })
    await first.kv.set('a', 1)
    await first.barRows.load(Array.from({ length: 1_000 }, (_, n) => ({ id: `b-${n}` })))
    await first.sql('select * from kv')
    await first.checkpoint()
    await first.kv.set('b', 1)
    const open = modes(dir)
    await first.close()
    const migrations = migrationsFolder({ '0001_a.sql': 'CREATE TABLE a (x)' })
    const second = await openTempStore({ dir, collections: { barRows: bars }, migrations })
    await second.close()
    const closed = modes(dir)
    expect(Object.keys(open).join()).toContain('state.db-wal')
    expect(Object.keys(closed).join()).toContain('state.db.before-user-0001')
    for (const { '.': ofDirectory, ...ofFiles } of [open, closed]) {
      expect(ofDirectory).toBe('700')
      expect(new Set(Object.values(ofFiles))).toEqual(new Set(['600']))
    }
  } finally {
    process.umask(umask)
  }
})
