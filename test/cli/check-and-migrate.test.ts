import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { holdfast } from './run-command.ts'
import { makeStore, openTestStore, order, temporaryDirectory } from './test-store.ts'

async function filledStore(): Promise<string> {
  return await makeStore(async (store) => {
    const metadata = { note: 'x'.repeat(2_000) }
    const trade = { symbol: 'X', entryPrice: '1', metadata }
    await store.trades.insertMany(
      Array.from({ length: 500 }, (_, index) => ({ ...trade, id: `t-${index}`, openedAt: 1 })),
    )
  })
}

function migrationsFolder(...statements: readonly string[]): string {
  const folder = temporaryDirectory()
  for (const [index, sql] of statements.entries()) {
    writeFileSync(join(folder, `${String(index + 1).padStart(4, '0')}_step.sql`), `${sql};\n`)
  }
  return folder
}

describe('check', () => {
  test('finds nothing wrong with a sound store', async () => {
    const dir = await filledStore()
    const { stdout, exitCode } = await holdfast('check', '--dir', dir)
    expect(stdout).toBe('No problem found.\n')
    expect(exitCode).toBe(0)
  })

  test('works beside a running owner', async () => {
    const dir = join(temporaryDirectory(), 'state')
    const owner = await openTestStore(dir)
    await owner.orders.put(order(0))
    const { stdout, exitCode } = await holdfast('check', '--dir', dir, '--json')
    await owner.close()
    expect(JSON.parse(stdout)).toEqual({ ok: true, findings: [] })
    expect(exitCode).toBe(0)
  })

  test('beside an owner that rotates its data key waits for the end of it', async () => {
    const dir = await filledStore()
    const owner = await openTestStore(dir)
    const running = holdfast('check', '--dir', dir)
    for (let n = 0; n < 5; n++) await owner.rotateDataKey()
    const { stdout, exitCode } = await running
    await owner.close()
    expect(stdout).toBe('No problem found.\n')
    expect(exitCode).toBe(0)
  })

  test('warns of a file that others may read, says what to do, and is no failure', async () => {
    const dir = await filledStore()
    chmodSync(join(dir, 'state.db'), 0o644)
    const { stdout, exitCode } = await holdfast('check', '--dir', dir)
    expect(stdout).toContain('warning: ')
    expect(stdout).toContain(`chmod 600 ${join(dir, 'state.db')}`)
    expect(exitCode).toBe(0)
  })

  test('finds a single flipped bit, and exits with 11', async () => {
    const dir = await filledStore()
    const path = join(dir, 'state.db')
    const bytes = readFileSync(path)
    // Among the trades, which nothing reads while the store is opened.
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = (bytes[middle] as number) ^ 1
    writeFileSync(path, bytes)
    const { stdout, exitCode } = await holdfast('check', '--dir', dir, '--json')
    const { ok, findings } = JSON.parse(stdout)
    expect(ok).toBe(false)
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', subject: 'state.db' }))
    expect(exitCode).toBe(11)
  })

  test('--repair corrects what can be derived, says what, and exits with 0', async () => {
    const dir = await filledStore()
    chmodSync(join(dir, 'market.db'), 0o664)
    const { stdout, exitCode } = await holdfast('check', '--repair', '--dir', dir)
    expect(stdout).toContain(`repaired: ${join(dir, 'market.db')}: mode is 0664: others may read or write it\n`)
    expect(exitCode).toBe(0)
    expect((await holdfast('check', '--dir', dir)).stdout).toBe('No problem found.\n')
  })

  test('--repair names a copy of the keyring that opening has written anew', async () => {
    const dir = await filledStore()
    rmSync(join(dir, 'keyring.backup.json'))
    const { stdout, exitCode } = await holdfast('check', '--repair', '--dir', dir, '--json')
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      repaired: [],
      restoredKeyringCopies: ['keyring.backup.json'],
      refused: false,
      findings: [],
    })
    expect(exitCode).toBe(0)
  })

  test('--repair touches nothing beside a damaged page, and exits with 11', async () => {
    const dir = await filledStore()
    const path = join(dir, 'state.db')
    const bytes = readFileSync(path)
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = (bytes[middle] as number) ^ 1
    writeFileSync(path, bytes)
    const { stdout, exitCode } = await holdfast('check', '--repair', '--dir', dir)
    expect(stdout).toContain('(PAGE_DAMAGED)')
    expect(stdout).toContain('Nothing was repaired')
    expect(exitCode).toBe(11)
    expect(readFileSync(path).subarray(middle, middle + 1)).toEqual(bytes.subarray(middle, middle + 1))
  })

  test('--max-age fails when a key is older, and only then', async () => {
    const dir = await filledStore()
    expect((await holdfast('check', '--max-age', '90d', '--dir', dir)).exitCode).toBe(0)
    const { stdout, exitCode } = await holdfast('check', '--max-age', '0.001s', '--dir', dir, '--json')
    expect(JSON.parse(stdout).findings.map(({ code }: { code: string }) => code)).toEqual([
      'KEY_OVERDUE',
      'KEY_OVERDUE',
    ])
    expect(exitCode).toBe(11)
  })

  test.each([
    ['--max-age', '90'],
    ['--max-age', '0d'],
    ['--max-age', '1d', '--repair'],
  ])('refuses %s %s %s with exit code 2', async (...options) => {
    const { exitCode } = await holdfast('check', ...options, '--dir', await filledStore())
    expect(exitCode).toBe(2)
  })

  test('--repair needs the store for itself', async () => {
    const dir = join(temporaryDirectory(), 'state')
    const owner = await openTestStore(dir)
    const { exitCode } = await holdfast('check', '--repair', '--dir', dir)
    await owner.close()
    expect(exitCode).toBe(6)
  })

  test('says so when the store does not even open, with exit code 7', async () => {
    const dir = await filledStore()
    for (const name of ['keyring.json', 'keyring.backup.json']) writeFileSync(join(dir, name), '{')
    const { stderr, exitCode } = await holdfast('check', '--dir', dir)
    expect(stderr).toContain('(KEYRING_CORRUPT)')
    expect(exitCode).toBe(7)
  })
})

describe('migrate', () => {
  test('has nothing to do for a store of this version', async () => {
    const { stdout, exitCode } = await holdfast('migrate', '--dir', await filledStore())
    expect(stdout).toBe('There is nothing to migrate.\n')
    expect(exitCode).toBe(0)
  })

  test('lists with --dry-run what it would apply, and applies nothing', async () => {
    const dir = await filledStore()
    const folder = migrationsFolder('CREATE TABLE "extra" ("a" TEXT)', 'CREATE TABLE "more" ("b" TEXT)')
    const rehearsal = await holdfast('migrate', '--dry-run', '--migrations', folder, '--dir', dir)
    expect(rehearsal.stdout).toBe('Would be applied:\n  0001_step\n  0002_step\n')
    expect(rehearsal.exitCode).toBe(0)
    const { exitCode } = await holdfast('sql', 'select * from extra', '--dir', dir)
    expect(exitCode).toBe(2)
  })

  test('applies them once', async () => {
    const dir = await filledStore()
    const folder = migrationsFolder('CREATE TABLE "extra" ("a" TEXT)')
    const first = await holdfast('migrate', '--migrations', folder, '--dir', dir, '--json')
    expect(JSON.parse(first.stdout)).toEqual({ applied: ['0001_step'] })
    const second = await holdfast('migrate', '--migrations', folder, '--dir', dir, '--json')
    expect(JSON.parse(second.stdout)).toEqual({ applied: [] })
    expect((await holdfast('sql', 'select * from extra', '--dir', dir)).exitCode).toBe(0)
  })

  test.each([['--dry-run'], []])('rolls back one that fails and exits with 8: %s', async (...option) => {
    const dir = await filledStore()
    const folder = migrationsFolder('CREATE TABLE "extra" ("a" TEXT)', 'CREATE TABLE "orders" ("a" TEXT)')
    const { stderr, exitCode } = await holdfast('migrate', ...option, '--migrations', folder, '--dir', dir)
    expect(stderr).toContain('0002_step')
    expect(stderr).toContain('(MIGRATION_FAILED)')
    expect(exitCode).toBe(8)
  })

  test('refuses a store from the future, with exit code 8', async () => {
    const dir = await filledStore()
    await holdfast('migrate', '--migrations', migrationsFolder('SELECT 1', 'SELECT 2'), '--dir', dir)
    const { stderr, exitCode } = await holdfast('migrate', '--migrations', migrationsFolder('SELECT 1'), '--dir', dir)
    expect(stderr).toContain('(STORE_FROM_FUTURE)')
    expect(exitCode).toBe(8)
  })
})
