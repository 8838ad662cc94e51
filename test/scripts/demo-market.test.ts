import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BAR_MS } from '../../scripts/demo/market/bar.ts'
import { MARKETS } from '../../scripts/demo/market/market.ts'
import { readMarketData, writeMarketData } from '../../scripts/demo/market/market-data.ts'
import { readRecordedMarkets } from '../../scripts/demo/market/recorded-markets.ts'
import { barsOfTrades } from '../../scripts/demo/market/trade-bars.ts'

const DATA = resolve(import.meta.dirname, '../../scripts/demo/data')

test('trades are folded into the bars of their minutes', () => {
  const trade = (time: number, price: string, quantity: string) => ({ time, price, quantity })
  const bars = barsOfTrades([
    trade(60_000, '2.0', '1'),
    trade(61_000, '2.5', '0.5'),
    trade(119_999, '1.5', '2'),
    trade(240_000, '1.6', '3'),
  ])
  expect(bars).toEqual([
    { index: 0, openTime: 60_000, open: '2.0', high: '2.5', low: '1.5', close: '1.5', volume: '3.5' },
    { index: 1, openTime: 240_000, open: '1.6', high: '1.6', low: '1.6', close: '1.6', volume: '3' },
  ])
})

describe('the recorded data', async () => {
  const data = await readRecordedMarkets(DATA)

  test.each(
    MARKETS.map(({ symbol }) => symbol),
  )('of %s are bars in the order of time, each sound in itself', (symbol) => {
    const bars = data.get(symbol) ?? []
    expect(bars.length).toBeGreaterThan(2_000)
    for (const [index, bar] of bars.entries()) {
      const [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Number) as [
        number,
        number,
        number,
        number,
      ]
      const isSound = low <= Math.min(open, close) && high >= Math.max(open, close) && low > 0
      const isInOrder = index === 0 || bar.openTime >= (bars[index - 1]?.openTime ?? 0) + BAR_MS
      expect({ index: bar.index, isSound, isInOrder }).toEqual({ index, isSound: true, isInOrder: true })
    }
  })

  test('can be had in part, from the beginning', async () => {
    const part = await readRecordedMarkets(DATA, 0.1)
    for (const [symbol, bars] of part) expect(bars).toEqual(data.get(symbol)?.slice(0, bars.length))
  })

  test('reach the exchanges unchanged', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
    try {
      await writeMarketData(join(dir, 'market.json'), data)
      expect(await readMarketData(join(dir, 'market.json'))).toEqual(data)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})
