/** `check` and `repair` over real files: each kind of damage is done for real first. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { type CheckFinding, defineCollection, FINDING_CODES, type Store, z } from '../../../src/index.ts'
import { queryOnce } from '../../../src/worker/driver.ts'
import { fill, order, trade } from '../../client/fixtures/documents.ts'
import { codeOf, openTempStore, tempDir } from '../../client/fixtures/temp-store.ts'
import { fingerprint, migrationsFolder, openDatabase } from '../fixtures/backend.ts'

const REPAIR = { actor: 'test' }

const codesOf = (findings: readonly CheckFinding[]) => findings.map(({ code }) => code)

async function closedStore(fillStore: (store: Store) => Promise<unknown> = insertOrders): Promise<string> {
  const store = await openTempStore({ dir: join(tempDir(), 'state') })
  await fillStore(store)
  await store.close()
  return store.dir
}

async function insertOrders(store: Store): Promise<void> {
  await store.orders.insertMany(Array.from({ length: 20 }, (_, index) => order(`o-${index}`)))
}

/** Takes an index out of the schema, so that SQLite writes rows without it, and puts it back as it was. */
async function withoutIndex(dir: string, index: string, sql: string): Promise<void> {
  const withSchema = async (work: (connection: Awaited<ReturnType<typeof openDatabase>>) => Promise<unknown>) => {
    const connection = await openDatabase(dir)
    await connection.exec('PRAGMA writable_schema = ON')
    await work(connection)
    await connection.close()
  }
  let row: Record<string, unknown> = {}
  await withSchema(async (connection) => {
    ;[row = {}] = await queryOnce(connection, 'SELECT * FROM sqlite_schema WHERE name = ?', [index])
    await queryOnce(connection, 'DELETE FROM sqlite_schema WHERE name = ?', [index])
  })
  await withSchema((connection) => connection.exec(sql))
  await withSchema((connection) =>
    queryOnce(connection, 'INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)', [
      String(row.type),
      String(row.name),
      String(row.tbl_name),
      Number(row.rootpage),
      row.sql as string | null,
    ]),
  )
}

const ROWS = `INSERT INTO "orders" ("_key", "_doc", "_version", "_createdAt", "_updatedAt", "_sequence")
  VALUES ('extra', '{"id":"extra","state":"open","symbol":"X"}', 1, 1, 1, 1)`

describe('a sound store', () => {
  test('has no findings, open or beside its owner', async () => {
    const owner = await openTempStore()
    await insertOrders(owner)
    expect(await owner.check()).toEqual([])
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    expect(await reader.check()).toEqual([])
  })

  test('stays without findings while commits and checkpoints go on', async () => {
    const store = await openTempStore()
    let isChecking = true
    const writing = (async () => {
      for (let index = 0; isChecking; index++) {
        await store.trades.insertMany(
          Array.from({ length: 200 }, (_, each) =>
            trade(`t-${index}-${each}`, { metadata: { note: 'x'.repeat(500) } }),
          ),
        )
        if (index % 3 === 0) await store.checkpoint()
      }
    })()
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    for (let round = 0; round < 3; round++) {
      expect(await store.check()).toEqual([])
      expect(await reader.check()).toEqual([])
    }
    isChecking = false
    await writing
  })

  test('is not changed by a repair, and nothing is recorded', async () => {
    const store = await openTempStore()
    expect(await store.repair(REPAIR)).toEqual({ repaired: [], remaining: [], refused: false })
    expect(await store.sql('select * from _audit where event = ?', ['store.repaired'])).toEqual([])
  })

  test('every code a finding can have is listed once', () => {
    expect(new Set(FINDING_CODES).size).toBe(FINDING_CODES.length)
  })
})

describe('an index that does not hold what its table does', () => {
  test('is found, and rebuilt from the table', async () => {
    const dir = await closedStore()
    await withoutIndex(dir, 'orders.state', ROWS)
    const store = await openTempStore({ dir })
    expect(await store.orders.find({ state: 'open', symbol: 'X' })).toEqual([])
    expect(await store.check()).toEqual([
      expect.objectContaining({
        code: 'INDEX_DAMAGED',
        severity: 'error',
        subject: 'state.db: orders.state',
        repairable: true,
      }),
    ])
    const { repaired, remaining } = await store.repair(REPAIR)
    expect(codesOf(repaired)).toEqual(['INDEX_DAMAGED'])
    expect(remaining).toEqual([])
    expect(await store.check()).toEqual([])
    expect(
      await store.sql(`select _key from main.orders indexed by "orders.state" where state = 'open' and _key = 'extra'`),
    ).toEqual([{ _key: 'extra' }])
  })

  test('is recorded in the audit trail', async () => {
    const dir = await closedStore()
    await withoutIndex(dir, 'orders.symbol', ROWS)
    const store = await openTempStore({ dir })
    await store.repair({ actor: 'alice' })
    const [entry] = await store.sql<{ actor: string; data: string }>(
      `select actor, data from _audit where event = 'store.repaired'`,
    )
    expect(entry?.actor).toBe('alice')
    expect(JSON.parse(entry?.data ?? '')).toEqual({ code: 'INDEX_DAMAGED', subject: 'state.db: orders.symbol' })
  })

  test('stays as it is when its values are not unique, and is found again', async () => {
    const dir = await closedStore(async (store) => {
      await store.orders.insert(order('first', { clientOrderId: 'same' }))
    })
    const twin = ROWS.replace('"symbol":"X"', '"symbol":"X","clientOrderId":"same"')
    await withoutIndex(dir, 'orders.clientOrderId', twin)
    const store = await openTempStore({ dir })
    const { repaired, remaining } = await store.repair(REPAIR)
    expect(repaired).toEqual([])
    expect(codesOf(remaining)).toEqual(['INDEX_DAMAGED'])
    expect(await store.sql('select count(*) n from main.orders not indexed')).toEqual([{ n: 2 }])
  })

  test('of a collection of one’s own is rebuilt too', async () => {
    const notes = defineCollection({
      name: 'notes',
      key: 'id',
      schema: z.object({ id: z.string(), tag: z.string() }),
      indexes: ['tag'],
    })
    const first = await openTempStore({ collections: { notes } })
    await first.notes.insert({ id: 'a', tag: 't' })
    await first.close()
    await withoutIndex(first.dir, 'notes.tag', 'UPDATE "notes" SET "_doc" = \'{"id":"a","tag":"u"}\'')
    const store = await openTempStore({ dir: first.dir, collections: { notes } })
    expect(codesOf(await store.check())).toEqual(['INDEX_DAMAGED'])
    expect((await store.repair(REPAIR)).remaining).toEqual([])
    expect(await store.notes.find({ tag: 'u' })).toEqual([{ id: 'a', tag: 'u' }])
  })
})

describe('a full-text index', () => {
  const folder = () =>
    migrationsFolder({
      '0001_search.sql': `CREATE VIRTUAL TABLE "search" USING fts5(body); INSERT INTO "search" VALUES ('blue fish'), ('red fish');`,
    })

  test('that does not hold its texts is found and rebuilt', async () => {
    const migrations = folder()
    const first = await openTempStore({ migrations })
    await first.close()
    const connection = await openDatabase(first.dir)
    await connection.exec(`UPDATE "search_content" SET c0 = 'green bird' WHERE id = 2`)
    await connection.close()
    const store = await openTempStore({ dir: first.dir, migrations })
    expect(codesOf(await store.check())).toEqual(['SEARCH_INDEX_DAMAGED'])
    const { repaired, remaining } = await store.repair(REPAIR)
    expect(codesOf(repaired)).toEqual(['SEARCH_INDEX_DAMAGED'])
    expect(remaining).toEqual([])
    expect(await store.sql(`select body from search where search match 'bird'`)).toEqual([{ body: 'green bird' }])
  })
})

describe('the copies of the keyring', () => {
  test.each([
    'keyring.json',
    'keyring.backup.json',
  ])('%s lost while the store is open is found and written anew', async (name) => {
    const store = await openTempStore()
    const path = join(store.dir, name)
    const before = readFileSync(path, 'utf8')
    rmSync(path)
    expect(await store.check()).toEqual([
      expect.objectContaining({ code: 'KEYRING_COPY_MISSING', subject: name, severity: 'warning', repairable: true }),
    ])
    expect(codesOf((await store.repair(REPAIR)).repaired)).toEqual(['KEYRING_COPY_MISSING'])
    expect(readFileSync(path, 'utf8')).toBe(before)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await store.check()).toEqual([])
  })

  test('a damaged one is found, moved aside and written anew', async () => {
    const store = await openTempStore()
    const path = join(store.dir, 'keyring.backup.json')
    writeFileSync(path, readFileSync(path, 'utf8').replace(/[0-9]/, 'x'))
    expect(codesOf(await store.check())).toEqual(['KEYRING_COPY_DAMAGED'])
    expect((await store.repair(REPAIR)).remaining).toEqual([])
    expect(existsSync(`${path}.damaged-1`)).toBe(true)
  })

  test('both lost is an error that nothing here can repair', async () => {
    const store = await openTempStore()
    const texts = ['keyring.json', 'keyring.backup.json'].map(
      (name) => [name, readFileSync(join(store.dir, name))] as const,
    )
    for (const [name] of texts) rmSync(join(store.dir, name))
    const [found] = await store.check()
    expect(found).toMatchObject({ code: 'KEYRING_COPY_MISSING', severity: 'error', repairable: false })
    for (const [name, text] of texts) writeFileSync(join(store.dir, name), text, { mode: 0o600 })
  })

  test('one restored by an open is recorded in the audit trail', async () => {
    const dir = await closedStore()
    rmSync(join(dir, 'keyring.backup.json'))
    const store = await openTempStore({ dir })
    expect(store.restoredKeyringCopies).toEqual(['keyring.backup.json'])
    expect(
      await store.sql(`select json_extract(data, '$.subject') subject from _audit where event = 'store.repaired'`),
    ).toEqual([{ subject: 'keyring.backup.json' }])
  })
})

describe('modes', () => {
  test('of the folder, its files and what is in its folders are found and corrected', async () => {
    const store = await openTempStore()
    const inner = join(store.dir, 'cache', 'BTC')
    mkdirSync(join(store.dir, 'cache'), { mode: 0o700 })
    writeFileSync(inner, 'sealed', { mode: 0o600 })
    const wrong = [store.dir, join(store.dir, 'cache'), inner, join(store.dir, 'lock')]
    for (const path of wrong) chmodSync(path, 0o755)
    const found = await store.check()
    expect(found.map(({ subject }) => subject).sort()).toEqual([...wrong].sort())
    expect(new Set(codesOf(found))).toEqual(new Set(['MODE_TOO_OPEN']))
    expect((await store.repair(REPAIR)).remaining).toEqual([])
    expect(wrong.map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700, 0o600, 0o600])
    expect(await codeOf(openTempStore({ dir: store.dir }))).toBe('STORE_LOCKED')
  })

  test('of what a link leads to are nobody’s business here', async () => {
    const store = await openTempStore()
    const elsewhere = join(tempDir(), 'elsewhere')
    writeFileSync(elsewhere, 'x', { mode: 0o644 })
    symlinkSync(elsewhere, join(store.dir, 'link'))
    expect(await store.check()).toEqual([])
    await store.repair(REPAIR)
    expect(statSync(elsewhere).mode & 0o777).toBe(0o644)
  })
})

describe('blobs', () => {
  async function withArtifact(): Promise<{ readonly store: Store; readonly paths: string[] }> {
    const store = await openTempStore()
    for (const bytes of [900_000, 1_500_000, 3_000_000]) await store.artifacts.put('model', randomBytes(bytes))
    const entries = readdirSync(join(store.dir, 'blobs'), { recursive: true, withFileTypes: true })
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return { store, paths }
  }

  test('that are whole are no finding, and other files are left alone', async () => {
    const { store } = await withArtifact()
    writeFileSync(join(store.dir, 'blobs', 'notes.txt'), 'x', { mode: 0o600 })
    expect(await store.check()).toEqual([])
    expect(await store.check({ blobs: 'quick' })).toEqual([])
    expect(await codeOf(store.check({ blobs: 'slow' as never }))).toBe('INVALID_ARGUMENT')
  })

  test('that are missing or damaged are named with whose they are; a quick look sees lengths alone', async () => {
    const { store, paths } = await withArtifact()
    const [lost, flipped, cut] = paths as [string, string, string]
    rmSync(lost)
    const bytes = readFileSync(flipped)
    bytes[50_000] = (bytes[50_000] as number) ^ 1
    writeFileSync(flipped, bytes)
    truncateSync(cut, 100)
    const finding = (code: string, path: string) =>
      expect.objectContaining({ code, severity: 'error', subject: path.slice(store.dir.length + 1), repairable: false })
    const missing = finding('BLOB_MISSING', lost)
    const short = finding('BLOB_DAMAGED', cut)
    const full = await store.check()
    expect(full).toEqual(expect.arrayContaining([missing, short, finding('BLOB_DAMAGED', flipped)]))
    expect(full).toHaveLength(3)
    for (const { problem } of full) expect(problem).toMatch(/model version [123] /)
    const quick = await store.check({ blobs: 'quick' })
    expect(quick).toEqual(expect.arrayContaining([missing, short]))
    expect(quick).toHaveLength(2)
    const { repaired, remaining } = await store.repair(REPAIR)
    expect(repaired).toEqual([])
    expect(remaining).toHaveLength(2)
    expect(readFileSync(flipped).equals(bytes)).toBe(true)
  })

  test('that nobody has are a warning once no put can be under way with them, and maintenance removes them', async () => {
    const { store, paths } = await withArtifact()
    const stray = join(paths[0] as string, '..', `${basename(paths[0] as string).slice(0, 2)}${'0'.repeat(30)}`)
    writeFileSync(stray, 'x', { mode: 0o600 })
    expect(await store.check()).toEqual([])
    utimesSync(stray, 0, 0)
    expect(await store.check()).toEqual([
      expect.objectContaining({
        code: 'BLOB_UNREFERENCED',
        severity: 'warning',
        subject: stray.slice(store.dir.length + 1),
      }),
    ])
    expect((await store.maintain()).artifacts).toMatchObject({ files: 1, freedBytes: 1, isDeferred: false })
    expect(existsSync(stray)).toBe(false)
    expect(paths.every((path) => existsSync(path))).toBe(true)
    expect(await store.check()).toEqual([])
  })
})

describe('what can’t be derived', () => {
  test('a damaged page is reported, and nothing else is repaired beside it', async () => {
    const dir = await closedStore(async (store) => {
      await store.trades.insertMany(
        Array.from({ length: 300 }, (_, index) => trade(`t-${index}`, { metadata: { note: 'x'.repeat(2_000) } })),
      )
    })
    const path = join(dir, 'state.db')
    const bytes = readFileSync(path)
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = (bytes[middle] as number) ^ 1
    writeFileSync(path, bytes)
    const store = await openTempStore({ dir })
    chmodSync(join(dir, 'owner.json'), 0o644)
    const before = fingerprint(dir)
    const { repaired, remaining, refused } = await store.repair(REPAIR)
    expect(refused).toBe(true)
    expect(repaired).toEqual([])
    expect(codesOf(remaining)).toEqual(['PAGE_DAMAGED', 'MODE_TOO_OPEN'])
    expect(fingerprint(dir)).toEqual(before)
    expect(statSync(join(dir, 'owner.json')).mode & 0o777).toBe(0o644)
  })

  test('damage in the middle of the log is found beside a reader, too', async () => {
    const first = await openTempStore()
    for (let index = 0; index < 20; index++) await first.orders.insert(order(`o-${index}`))
    const copy = join(tempDir(), 'state')
    mkdirSync(copy, { mode: 0o700 })
    const names = ['keyring.json', 'keyring.backup.json', 'state.db-wal', 'market.db-wal']
    for (const name of names) writeFileSync(join(copy, name), readFileSync(join(first.dir, name)), { mode: 0o600 })
    await first.close()
    for (const name of ['state.db', 'market.db'])
      writeFileSync(join(copy, name), readFileSync(join(first.dir, name)), { mode: 0o600 })
    const path = join(copy, 'state.db-wal')
    const log = readFileSync(path)
    const inFifthFrame = 32 + 5 * (24 + 4_096) + 1_000
    log[inFifthFrame] = (log[inFifthFrame] as number) ^ 1
    writeFileSync(path, log, { mode: 0o600 })
    const reader = await openTempStore({ dir: copy, readOnly: true })
    expect(codesOf(await reader.check())).toContain('LOG_DAMAGED')
  })

  test('a row that refers to nothing is reported with its tables', async () => {
    const dir = await closedStore(async (store) => {
      await store.orders.insert(order('o'))
      await store.fills.insert(fill('f', 'o'))
    })
    const connection = await openDatabase(dir)
    await connection.exec('PRAGMA foreign_keys = OFF; DELETE FROM "orders"')
    await connection.close()
    const store = await openTempStore({ dir })
    const { remaining, refused } = await store.repair(REPAIR)
    expect(refused).toBe(false)
    expect(remaining).toEqual([expect.objectContaining({ code: 'REFERENCE_BROKEN', repairable: false })])
  })
})

describe('the audit trail', () => {
  test('that was changed behind the back of the store is reported, and left as it is', async () => {
    const dir = await closedStore()
    const connection = await openDatabase(dir)
    await connection.exec('PRAGMA writable_schema = ON')
    await queryOnce(connection, `DELETE FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '_audit'`)
    await connection.close()
    const unguarded = await openDatabase(dir)
    await unguarded.exec(`UPDATE "_audit" SET "actor" = 'somebody else' WHERE "id" = 1`)
    await unguarded.close()
    const reader = await openTempStore({ dir, readOnly: true })
    const findings = await reader.check()
    expect(new Set(codesOf(findings))).toEqual(new Set(['AUDIT_BROKEN']))
    expect(findings[0]).toMatchObject({ severity: 'error', subject: 'audit trail: entry 1', repairable: false })
  })
})

describe('the head of the audit trail', () => {
  test('that is missing is a warning of its own, beside which a broken chain still shows', async () => {
    const dir = await closedStore()
    rmSync(join(dir, 'audit-head.json'))
    const reader = await openTempStore({ dir, readOnly: true })
    expect(await reader.check()).toEqual([
      expect.objectContaining({ code: 'AUDIT_HEAD_MISSING', severity: 'warning', repairable: false }),
    ])
    await reader.close()
    const connection = await openDatabase(dir)
    await connection.exec('PRAGMA writable_schema = ON')
    await queryOnce(connection, `DELETE FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '_audit'`)
    await connection.close()
    const unguarded = await openDatabase(dir)
    await unguarded.exec(`UPDATE "_audit" SET "actor" = 'somebody else' WHERE "id" = 2`)
    await unguarded.close()
    const again = await openTempStore({ dir, readOnly: true })
    expect(new Set(codesOf(await again.check()))).toEqual(new Set(['AUDIT_HEAD_MISSING', 'AUDIT_BROKEN']))
  })
})

describe('refusals', () => {
  test('a store opened read-only repairs nothing', async () => {
    const owner = await openTempStore()
    rmSync(join(owner.dir, 'keyring.backup.json'))
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    expect(await codeOf(reader.repair(REPAIR))).toBe('READ_ONLY')
    expect(existsSync(join(owner.dir, 'keyring.backup.json'))).toBe(false)
  })

  test('a repair without an actor is refused', async () => {
    const store = await openTempStore()
    expect(await codeOf(() => store.repair({ actor: '' }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(() => (store.repair as () => Promise<unknown>)())).toBe('INVALID_ARGUMENT')
  })
})

describe('keys', () => {
  test('may have any age unless somebody says otherwise', async () => {
    const store = await openTempStore()
    expect(await store.check({ maxKeyAgeMs: 3_600_000 })).toEqual([])
  })

  test('that are older than allowed are errors, each by its name', async () => {
    const store = await openTempStore()
    const findings = await store.check({ maxKeyAgeMs: 1 })
    expect(findings.map(({ code, severity }) => [code, severity])).toEqual([
      ['KEY_OVERDUE', 'error'],
      ['KEY_OVERDUE', 'error'],
    ])
    expect(findings.map(({ subject }) => subject)).toEqual([
      'data key',
      expect.stringMatching(/^keyslot [0-9a-f]{16} \(password\)$/),
    ])
    expect((await store.status()).lastCheck).toMatchObject({ errors: 2, codes: ['KEY_OVERDUE'] })
  })

  test.each([0, -1, Number.NaN, '90d'])('%j is no age', async (maxKeyAgeMs) => {
    const store = await openTempStore()
    expect(await codeOf(store.check({ maxKeyAgeMs: maxKeyAgeMs as number }))).toBe('INVALID_ARGUMENT')
  })
})

describe('an archive', () => {
  test('that keeps up is no finding', async () => {
    const store = await openTempStore({ archive: { dir: join(tempDir(), 'archive'), intervalMs: 20 } })
    await store.kv.set('a', 1)
    expect(await store.check()).toEqual([])
  })

  test('that was never reached is a warning, until it is', async () => {
    const dir = join(tempDir(), 'archive')
    writeFileSync(dir, 'a file where the folder should be')
    const store = await openTempStore({ archive: { dir, intervalMs: 20 } })
    await store.kv.set('a', 1)
    await vi.waitFor(async () => expect((await store.status()).archive?.lastError).not.toBeNull())
    expect(await store.check()).toEqual([
      expect.objectContaining({ code: 'ARCHIVE_BEHIND', severity: 'warning', subject: dir }),
    ])
    rmSync(dir)
    await vi.waitFor(async () => expect(await store.check()).toEqual([]), 20_000)
  })

  test('that is away while commits go on is told with what it lacks', async () => {
    const dir = join(tempDir(), 'archive')
    const store = await openTempStore({ archive: { dir, intervalMs: 20 } })
    await store.kv.set('a', 1)
    await vi.waitFor(async () => expect((await store.status()).archive).toMatchObject({ lagMs: 0, lastError: null }))
    await vi.waitFor(async () => expect((await store.status()).archive?.generation).not.toBeNull())
    renameSync(dir, `${dir}.aside`)
    writeFileSync(dir, 'away')
    await store.kv.set('a', 2)
    await vi.waitFor(
      async () =>
        expect((await store.check()).map(({ problem }) => problem)).toEqual([expect.stringMatching(/behind|nothing/)]),
      20_000,
    )
    rmSync(dir)
    renameSync(`${dir}.aside`, dir)
    await vi.waitFor(async () => expect(await store.check()).toEqual([]), 20_000)
  })
})

describe('the last backup', () => {
  test('is told by the status, also beside the owner and after a new open', async () => {
    const store = await openTempStore()
    expect((await store.status()).lastBackupAtMs).toBeNull()
    await store.backup(join(tempDir(), 'backups'))
    const { lastBackupAtMs } = await store.status()
    expect(lastBackupAtMs).toBeGreaterThan(Date.now() - 60_000)
    await store.kv.set('a', 1)
    expect((await store.status()).lastBackupAtMs).toBe(lastBackupAtMs)
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    expect((await reader.status()).lastBackupAtMs).toBe(lastBackupAtMs)
    await store.backup(join(tempDir(), 'backups'))
    expect((await reader.status()).lastBackupAtMs).toBeGreaterThan(lastBackupAtMs as number)
  })
})
