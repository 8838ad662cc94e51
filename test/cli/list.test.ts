import { describe, expect, test } from 'vitest'
import { noTerminalReason, runOnTerminal } from './on-terminal.ts'
import { holdfast } from './run-command.ts'
import { fill, makeStore, order } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insertMany(Array.from({ length: 150 }, (_, index) => order(index)))
  await store.fills.insertMany(Array.from({ length: 10 }, (_, index) => fill(index)))
  await store.watchlist.insertMany([
    { symbol: 'A', tag: '5' },
    { symbol: 'B', tag: 5 },
    { symbol: 'C', tag: 'x' },
  ])
})

async function listed(...args: readonly string[]): Promise<Record<string, unknown>[]> {
  const { stdout, stderr, exitCode } = await holdfast('list', ...args, '--dir', dir, '--json')
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  return JSON.parse(stdout)
}

async function keys(...args: readonly string[]): Promise<unknown[]> {
  return (await listed(...args)).map((document) => document.id ?? document.symbol)
}

describe('list', () => {
  test('prints a table: key and indexed fields first, no column for what no document has', async () => {
    const { stdout } = await holdfast('list', 'orders', '--limit', '1', '--dir', dir)
    expect(stdout).toBe(
      [
        'id   state  symbol    side    quantity     price',
        '───  ─────  ────────  ────  ──────────  ────────',
        'o-0  open   BTC/USDT  buy   0.10000000  46000.50',
        '',
      ].join('\n'),
    )
  })

  test('prints with --json an array of all documents, one a line', async () => {
    const { stdout } = await holdfast('list', 'orders', '--dir', dir, '--json')
    expect(JSON.parse(stdout)).toHaveLength(150)
    expect(stdout.split('\n')).toHaveLength(150 + 3)
  })

  test('stops a table at 100 documents and says so', async () => {
    const { stdout, stderr } = await holdfast('list', 'orders', '--dir', dir)
    expect(stdout.trim().split('\n')).toHaveLength(100 + 2)
    expect(stderr).toContain('100 of 150 documents; --limit all for all.')
  })

  test('shows all of them in a table with --limit all', async () => {
    const { stdout } = await holdfast('list', 'orders', '--limit', 'all', '--dir', dir)
    expect(stdout.trim().split('\n')).toHaveLength(150 + 2)
  })

  test('shows the columns that were asked for', async () => {
    const { stdout } = await holdfast('list', 'orders', '--columns', 'price,id', '--limit', '1', '--dir', dir)
    expect(stdout.split('\n')[0]).toBe('   price  id')
  })

  test('filters by equality, and all conditions must hold', async () => {
    const found = await listed('orders', '--where', 'state=open', '--where', 'symbol = ETH/USDT')
    expect(found).toHaveLength(25)
    expect(found.every(({ state, symbol }) => state === 'open' && symbol === 'ETH/USDT')).toBe(true)
  })

  test('filters by !=, in, >= and <', async () => {
    expect(await listed('orders', '--where', 'state!=open')).toHaveLength(100)
    expect(await keys('orders', '--where', 'id in o-3, o-1,nothing')).toEqual(['o-1', 'o-3'])
    const between = ['--where', 'filledAt>=1700000060000', '--where', 'filledAt<1700000180000']
    expect(await keys('fills', ...between)).toEqual(['f-1', 'f-2'])
  })

  test('compares times with dates', async () => {
    expect(await keys('fills', '--where', 'filledAt>2023-11-14T22:21:00')).toEqual(['f-8', 'f-9'])
  })

  test('matches a number as number and as text where the field may hold either, and as text in double quotes', async () => {
    expect(await keys('watchlist', '--where', 'tag=5')).toEqual(['A', 'B'])
    expect(await keys('watchlist', '--where', 'tag="5"')).toEqual(['A'])
  })

  test('matches a missing field with null', async () => {
    expect(await keys('fills', '--where', 'symbol!=null')).toEqual([])
    expect(await keys('fills', '--where', 'symbol=null', '--limit', '2')).toEqual(['f-0', 'f-1'])
  })

  test('orders by a field, either way', async () => {
    expect(await keys('fills', '--order-by', 'filledAt', '--desc', '--limit', '2')).toEqual(['f-9', 'f-8'])
  })

  test('prints an empty array when nothing matches', async () => {
    expect(await listed('orders', '--where', 'state=expired')).toEqual([])
  })

  test('refuses a field that is not indexed and names those that are, with exit code 2', async () => {
    const { stderr, exitCode } = await holdfast('list', 'orders', '--where', 'price=1', '--dir', dir)
    expect(stderr).toContain('id, state, symbol')
    expect(exitCode).toBe(2)
  })

  test('refuses what is no condition, with exit code 2', async () => {
    const { stderr, exitCode } = await holdfast('list', 'orders', '--where', 'state', '--dir', dir)
    expect(stderr).toContain('"state=open"')
    expect(exitCode).toBe(2)
  })
})

describe.skipIf(noTerminalReason !== undefined)(`a table on a terminal (${noTerminalReason ?? 'pty'})`, () => {
  test('fits its width, keeps numbers whole, and names the columns it leaves off', async () => {
    const { screen } = await runOnTerminal({
      args: ['list', 'orders', '--limit', '2', '--dir', dir],
      env: { NO_COLOR: '1' },
      columns: 40,
      steps: [],
    })
    const lines = screen.split('\r\n')
    expect(lines[0]).toBe('id   state   symbol    side    quantity')
    expect(lines[2]).toContain('0.10000000')
    expect(screen).toContain('Not shown, for want of room: price.')
  })

  test('has colours, unless NO_COLOR is set', async () => {
    const args = ['list', 'orders', '--limit', '1', '--dir', dir]
    expect((await runOnTerminal({ args, steps: [] })).screen).toContain('\u001b[1m')
    expect((await runOnTerminal({ args, steps: [], env: { NO_COLOR: '1' } })).screen).not.toContain('\u001b[')
  })
})
