/** Yearly trade files in `check`, `repair` and the sizes: each is damaged for real first. */
import { chmodSync, copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/index.ts'
import { queryOnce } from '../../../src/worker/driver.ts'
import { trade } from '../../client/fixtures/documents.ts'
import { openTempStore, tempDir } from '../../client/fixtures/temp-store.ts'
import { openDatabase } from '../fixtures/backend.ts'

const FILE = 'archive/trades-2024.db'
const BEFORE = { before: '2025-01-01' }
const METADATA = { note: 'x'.repeat(1_000) }

async function insertTrades(store: Store, from: number, count: number): Promise<void> {
  const closedAt = Date.parse('2024-06-01')
  await store.trades.insertMany(
    Array.from({ length: count }, (_, index) =>
      trade(`t-${from + index}`, { closedAt, openedAt: closedAt - 1, metadata: METADATA }),
    ),
  )
}

async function archivedDir(): Promise<string> {
  const store = await openTempStore({ dir: join(tempDir(), 'state') })
  await insertTrades(store, 0, 100)
  await store.archiveTrades(BEFORE)
  await store.close()
  return store.dir
}

function flipBit(path: string, position: number): void {
  const bytes = readFileSync(path)
  bytes[position] = (bytes[position] as number) ^ 1
  writeFileSync(path, bytes)
}

describe('a yearly file', () => {
  test('that is whole is no finding, open, beside the owner, and while more is moved into it', async () => {
    const owner = await openTempStore({ dir: await archivedDir() })
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    expect(await owner.check()).toEqual([])
    expect(await reader.check()).toEqual([])
    await insertTrades(owner, 100, 300)
    const [, ...found] = await Promise.all([owner.archiveTrades(BEFORE), owner.check(), reader.check()])
    expect(found).toEqual([[], []])
    expect(await owner.trades.count({}, { includeArchived: true })).toBe(400)
  })

  test('with a flipped bit is found, and nothing is repaired beside it', async () => {
    const dir = await archivedDir()
    const path = join(dir, FILE)
    flipBit(path, Math.floor(statSync(path).size / 2))
    const store = await openTempStore({ dir })
    const found = await store.check()
    expect(found.map(({ code, subject }) => [code, subject])).toContainEqual(['PAGE_DAMAGED', FILE])
    expect(new Set(found.map(({ code }) => code))).toEqual(new Set(['PAGE_DAMAGED']))
    expect(await store.repair({ actor: 'test' })).toMatchObject({ repaired: [], refused: true })
  })

  test('with a damaged first page is found', async () => {
    const dir = await archivedDir()
    flipBit(join(dir, FILE), 100)
    const store = await openTempStore({ dir })
    expect(await store.check()).toEqual([expect.objectContaining({ code: 'PAGE_DAMAGED', subject: FILE })])
  })

  test('that is missing is found', async () => {
    const dir = await archivedDir()
    rmSync(join(dir, FILE))
    const store = await openTempStore({ dir })
    expect(await store.check()).toEqual([expect.objectContaining({ code: 'DATABASE_MISSING', subject: FILE })])
  })

  test('that is older than the store is found', async () => {
    const dir = await archivedDir()
    const older = join(tempDir(), 'older.db')
    copyFileSync(join(dir, FILE), older)
    const store = await openTempStore({ dir })
    await insertTrades(store, 100, 10)
    await store.archiveTrades(BEFORE)
    await store.close()
    copyFileSync(older, join(dir, FILE))
    const again = await openTempStore({ dir })
    expect(await again.check()).toEqual([expect.objectContaining({ code: 'DATABASE_OUTDATED', subject: FILE })])
  })

  test('that others may read is found, and corrected', async () => {
    const store = await openTempStore({ dir: await archivedDir() })
    const path = join(store.dir, FILE)
    chmodSync(path, 0o644)
    expect((await store.check()).map(({ code, subject }) => [code, subject])).toEqual([['MODE_TOO_OPEN', path]])
    expect((await store.repair({ actor: 'test' })).remaining).toEqual([])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('with an index that does not hold what its table does is rebuilt', async () => {
    const dir = await archivedDir()
    const open = async () => {
      const connection = await openDatabase(dir, 'trades-2024', 'read-write', join(dir, FILE))
      await connection.exec('PRAGMA writable_schema = ON')
      return connection
    }
    const first = await open()
    const values = Object.values(
      (await queryOnce(first, `SELECT * FROM sqlite_schema WHERE name = 'trades.symbol'`))[0] as object,
    )
    await first.exec(`DELETE FROM sqlite_schema WHERE name = 'trades.symbol'`)
    await first.close()
    const second = await open()
    await second.exec(`UPDATE "trades" SET "_doc" = json_set("_doc", '$.symbol', 'CHANGED') WHERE "_key" = 't-7'`)
    await second.close()
    const third = await open()
    await queryOnce(third, 'INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)', values)
    await third.close()
    const store = await openTempStore({ dir })
    expect(await store.check()).toEqual([
      expect.objectContaining({ code: 'INDEX_DAMAGED', subject: `${FILE}: trades.symbol`, repairable: true }),
    ])
    const { repaired, remaining } = await store.repair({ actor: 'test' })
    expect([repaired.length, remaining]).toEqual([1, []])
    expect(await store.trades.count({ symbol: 'CHANGED' }, { includeArchived: true })).toBe(1)
  })

  test('is in the sizes of the status and in the metrics', async () => {
    const store = await openTempStore({ dir: await archivedDir() })
    const databaseBytes = statSync(join(store.dir, FILE)).size
    expect((await store.status()).yearlyFiles).toEqual([{ name: FILE, databaseBytes, walBytes: expect.any(Number) }])
    expect(await store.metrics()).toContain(`holdfast_database_bytes{file="${FILE}"} ${databaseBytes}\n`)
  })
})
