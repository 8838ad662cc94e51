import { describe, expect, test } from 'vitest'
import { holdfast } from './run-command.ts'
import { makeStore } from './test-store.ts'

const trade = (id: string, closedAt: string, positionId?: string) => ({
  id,
  symbol: 'BTC/USDT',
  entryPrice: '1',
  openedAt: 1,
  closedAt: Date.parse(closedAt),
  ...(positionId === undefined ? {} : { positionId }),
})

const dir = await makeStore(async (store) => {
  await store.trades.insertMany([
    trade('t-1', '2024-03-01'),
    trade('t-2', '2025-03-01'),
    trade('t-3', '2025-04-01', 'held'),
    trade('t-4', '2026-03-01'),
  ])
  await store.positions.put({ id: 'held', symbol: 'BTC/USDT', side: 'long', quantity: '1', entryPrice: '1' })
})

describe('archive-trades', () => {
  test('needs a date it can read', async () => {
    const without = await holdfast('archive-trades', '--dir', dir)
    expect([without.exitCode, without.stderr]).toEqual([2, expect.stringContaining('--before')])
    const wrong = await holdfast('archive-trades', '--before', 'soon', '--dir', dir)
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('2026-01-01')])
  })

  test('tells what would move, moves it, and finds nothing more to move', async () => {
    const command = ['archive-trades', '--before', '2026-01-01', '--dir', dir] as const
    const years =
      '  1 trade, 0 orders, 0 fills to archive/trades-2024.db\n  1 trade, 0 orders, 0 fills to archive/trades-2025.db\n'
    const kept =
      'Closed before, but needed where they are:\n  1 trade: the position is held, or a held one has its stop among the orders\n'
    expect(await holdfast(...command, '--dry-run')).toMatchObject({
      exitCode: 0,
      stdout: `Would move:\n${years}${kept}`,
    })
    expect(await holdfast(...command)).toMatchObject({ exitCode: 0, stdout: `Moved:\n${years}${kept}` })
    const again = await holdfast(...command, '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ trades: 0, years: [], kept: { openPosition: 1 } })
  })

  test('list finds what has moved when asked for it', async () => {
    const ids = async (...options: string[]) => {
      const { stdout } = await holdfast('list', 'trades', '--json', '--order-by', 'closedAt', ...options, '--dir', dir)
      return (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id)
    }
    expect(await ids()).toEqual(['t-3', 't-4'])
    expect(await ids('--include-archived')).toEqual(['t-1', 't-2', 't-3', 't-4'])
    const refused = await holdfast('list', 'kv', '--include-archived', '--dir', dir)
    expect(refused.exitCode).toBe(2)
  })
})
