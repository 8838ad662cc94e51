/** `holdfast maintain` as the owner of a store that nobody else has open. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { holdfast } from './run-command.ts'
import { makeStore, openTestStore, order, temporaryDirectory } from './test-store.ts'

const NOTE = 'x'.repeat(2_000)

async function storeWithRoom(): Promise<string> {
  return await makeStore(async (store) => {
    const orders = Array.from({ length: 400 }, (_, index) => ({ ...order(index), metadata: { note: NOTE } }))
    for (const each of orders) void store.orders.put(each)
    for (const { id } of orders.slice(1)) void store.orders.delete(id)
    await store.flush()
  })
}

describe('maintain', () => {
  test('gives space back and says how much', async () => {
    const dir = await storeWithRoom()
    const { stdout, exitCode } = await holdfast('maintain', '--dir', dir, '--json')
    expect(exitCode).toBe(0)
    const { files, series } = JSON.parse(stdout)
    expect(series).toEqual({ blocksWritten: 0, rowsMerged: 0, damaged: 0 })
    expect(files.state.freedBytes).toBeGreaterThan(500_000)
    expect(files.state).toMatchObject({ freeBytes: 0, needsFullVacuum: false })
    const status = JSON.parse((await holdfast('status', '--dir', dir, '--json')).stdout)
    expect(status.files[0].freeBytes).toBe(0)
  })

  test('is readable for a person', async () => {
    const { stdout } = await holdfast('maintain', '--full-vacuum', '--dir', await storeWithRoom())
    expect(stdout).toMatch(/^state\.db: [\d.]+ MiB given back, 0 B still free in it/)
  })

  test('needs the store for itself, with exit code 6', async () => {
    const dir = join(temporaryDirectory(), 'state')
    const owner = await openTestStore(dir)
    const { exitCode } = await holdfast('maintain', '--dir', dir)
    await owner.close()
    expect(exitCode).toBe(6)
  })
})
