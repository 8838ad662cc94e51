import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { holdfast } from './run-command.ts'
import { makeStore } from './test-store.ts'

const bar = (ts: number, close: number) => ({ ts, open: 1, high: 2.5, low: 0.5, close, volume: 1e-7 })

const filled = () =>
  makeStore(async ({ sessionCache }) => {
    await sessionCache.storeBars('BTC/USDT', [bar(1_000, 1), bar(2_000, 2), bar(3_000, 3)])
    await sessionCache.storeBars('BTC/USDT', [{ ...bar(0, 1), 'vwap, daily': 1.5 }, bar(86_400_000, 1)], {
      interval: '1d',
    })
    await sessionCache.storeBars('ETH/USDT', [bar(1_000, 7)])
  })

test('show prints CSV, of a span, of another interval, or as JSON', async () => {
  const dir = await filled()
  const shown = await holdfast('cache', 'show', 'BTC/USDT', '--dir', dir)
  expect([shown.exitCode, shown.stderr]).toEqual([0, ''])
  expect(shown.stdout).toBe(
    'ts,open,high,low,close,volume\n1000,1,2.5,0.5,1,1e-7\n2000,1,2.5,0.5,2,1e-7\n3000,1,2.5,0.5,3,1e-7\n',
  )
  const span = ['--from', '1970-01-01T00:00:02', '--to', '3000', '--limit', '5']
  expect((await holdfast('cache', 'show', 'BTC/USDT', ...span, '--dir', dir)).stdout).toBe(
    'ts,open,high,low,close,volume\n2000,1,2.5,0.5,2,1e-7\n',
  )
  expect((await holdfast('cache', 'show', 'BTC/USDT', '--interval', '1d', '--dir', dir)).stdout).toBe(
    'ts,open,high,low,close,volume,"vwap, daily"\n0,1,2.5,0.5,1,1e-7,1.5\n86400000,1,2.5,0.5,1,1e-7,\n',
  )
  const json = await holdfast('cache', 'show', 'ETH/USDT', '--json', '--dir', dir)
  expect(JSON.parse(json.stdout)).toEqual([bar(1_000, 7)])
  expect((await holdfast('cache', 'show', 'nobody', '--dir', dir)).stdout).toBe('ts,open,high,low,close,volume\n')
})

test('list tells what there is, and what is damaged', async () => {
  const dir = await filled()
  const [file = ''] = readdirSync(join(dir, 'cache'))
  writeFileSync(join(dir, 'cache', file), 'not a cache file at all, and long enough for a header')
  const listed = await holdfast('cache', 'list', '--json', '--dir', dir)
  const symbols = JSON.parse(listed.stdout) as { symbol: string; interval: string; isDamaged: boolean }[]
  expect(symbols.map(({ symbol, interval }) => `${symbol} ${interval}`)).toEqual([
    'BTC/USDT 1d',
    'BTC/USDT 1m',
    'ETH/USDT 1m',
  ])
  const damaged = symbols.filter(({ isDamaged }) => isDamaged)
  expect(damaged).toHaveLength(1)
  expect((await holdfast('cache', 'list', '--dir', dir)).stdout).toMatch(/symbol +interval +bars[\s\S]*damaged/)
  const { symbol = '', interval = '' } = damaged[0] ?? {}
  const refused = await holdfast('cache', 'show', symbol, '--interval', interval, '--dir', dir)
  expect([refused.exitCode, refused.stdout]).toEqual([7, ''])
  expect(refused.stderr).toContain(`${symbol} (${interval}) is damaged`)
})

test('clear takes a symbol, an interval of it, or all', async () => {
  const dir = await filled()
  const run = (...args: string[]) => holdfast('cache', 'clear', ...args, '--dir', dir)
  for (const wrong of [[], ['BTC/USDT', '--all'], ['--all', '--interval', '1d']])
    expect((await run(...wrong)).exitCode).toBe(2)
  expect((await run('BTC/USDT', '--interval', '1d')).stdout).toBe('Cleared 1 file.\n')
  expect((await run('BTC/USDT', '--interval', '1d')).stdout).toBe('There was nothing to clear.\n')
  expect(JSON.parse((await run('--all', '--json')).stdout)).toEqual({ cleared: 2 })
  expect(readdirSync(join(dir, 'cache'))).toEqual([])
  expect((await holdfast('cache', 'list', '--dir', dir)).stderr).toContain('Nothing is cached')
})
