import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { holdfast } from './run-command.ts'
import { makeStore, openTestStore, order, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insertMany([order(0), order(1)])
  await store.watchlist.put({ symbol: 'BTC/USDT', tag: 'majors' })
  await store.barRows.put({ id: 'b-1', at: 5 })
})

const ownedDir = join(temporaryDirectory(), 'state')
const owner = await openTestStore(ownedDir)
afterAll(() => owner.close())

describe('status', () => {
  test('tells id, sizes, documents, migrations, keyring and version', async () => {
    const { stdout, exitCode } = await holdfast('status', '--dir', dir, '--json')
    expect(exitCode).toBe(0)
    const status = JSON.parse(stdout)
    expect(status).toMatchObject({
      dir,
      storeId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      keyring: { present: ['keyring.json', 'keyring.backup.json'], missing: [], areAlike: true },
      keys: { generation: 1, isRotating: false, slots: [{ kind: 'password', createdAtMs: expect.any(Number) }] },
      lastBackupAt: null,
    })
    expect(status.keys.dataKeyCreatedAtMs).toBe(status.keys.slots[0].createdAtMs)
    expect(status.files.map((file: { name: string }) => file.name)).toEqual(['state.db', 'market.db'])
    expect(status.files[0].databaseBytes).toBeGreaterThan(0)
    expect(status.migrations[0]).toMatchObject({ origin: 'holdfast', number: 1, name: '0001_collections' })
  })

  test('counts the documents of every collection, also of those that a program has defined', async () => {
    const { stdout } = await holdfast('status', '--dir', dir, '--json')
    const counts = Object.fromEntries(
      JSON.parse(stdout).collections.map((each: { name: string; documents: number }) => [each.name, each.documents]),
    )
    expect(counts).toMatchObject({ orders: 2, fills: 0, watchlist: 1, bars: 1 })
  })

  test('is readable for a person', async () => {
    const { stdout } = await holdfast('status', '--dir', dir)
    expect(stdout).toMatch(/^owner +none now; last was process \d+ on /m)
    expect(stdout).toMatch(/^keyring +2 of 2 copies$/m)
    expect(stdout).toMatch(/^keys +data key 0 days; password 0 days$/m)
    expect(stdout).toMatch(/^backup +none so far$/m)
    expect(stdout).toMatch(/^orders +2 +[\d.]+ KiB +state\.db$/m)
    expect(stdout).toMatch(/^disk +[\d.]+ [KMGT]iB free of [\d.]+ [KMGT]iB$/m)
    expect(stdout).toMatch(/^growth +not known yet/m)
  })

  test('works beside a running owner, sees its writes and names it', async () => {
    await owner.orders.put(order(7))
    const { stdout, exitCode } = await holdfast('status', '--dir', ownedDir, '--json')
    expect(exitCode).toBe(0)
    const status = JSON.parse(stdout)
    expect(status.collections).toContainEqual(
      expect.objectContaining({ name: 'orders', documents: 1, file: 'state', bytes: expect.any(Number) }),
    )
    expect(status.owner.pid).toBe(process.pid)
    expect(status.owner.state).toBe(process.platform === 'linux' ? 'running' : 'unknown')
  })

  test('tells an owner that closed the store from one that runs', async () => {
    const closedDir = await makeStore()
    const { stdout } = await holdfast('status', '--dir', closedDir, '--json')
    expect(JSON.parse(stdout).owner).toMatchObject({ pid: process.pid, state: 'stopped' })
  })

  test('tells that a copy of the keyring is lost', async () => {
    const damagedDir = await makeStore()
    rmSync(join(damagedDir, 'keyring.backup.json'))
    const { stdout } = await holdfast('status', '--dir', damagedDir)
    expect(stdout).toContain('1 of 2 copies: keyring.backup.json is missing')
  })

  test('says that there is no store, with exit code 4', async () => {
    const { stderr, exitCode } = await holdfast('status', '--dir', join(temporaryDirectory(), 'none'))
    expect(stderr).toContain('(STORE_NOT_FOUND)')
    expect(stderr).toContain('holdfast init')
    expect(exitCode).toBe(4)
  })
})
