import { describe, expect, test } from 'vitest'
import {
  averagePrice,
  closingTrade,
  compareFills,
  openPosition,
  reducePosition,
  toFill,
} from '../../scripts/demo/bot/accounting.ts'
import { BreakoutWindow } from '../../scripts/demo/bot/breakout.ts'
import type { Fill, Order } from '../../scripts/demo/bot/documents.ts'
import { LatencyHistogram } from '../../scripts/demo/bot/latency-histogram.ts'
import { isLoose, stopOnTick, trailStop } from '../../scripts/demo/bot/trailing-stop.ts'

describe('the breakout', () => {
  test('is a close above all highs of a whole window', () => {
    const window = new BreakoutWindow(3)
    for (const high of ['10', '12']) window.push(high)
    expect(window.isBreakout('13')).toBe(false)
    window.push('11')
    expect(window.isBreakout('12')).toBe(false)
    expect(window.isBreakout('12.5')).toBe(true)
  })

  test('forgets what is older than the window', () => {
    const window = new BreakoutWindow(2)
    for (const high of ['20', '10', '11']) window.push(high)
    expect(window.isBreakout('12')).toBe(true)
  })
})

describe('the trailing stop', () => {
  test('follows the best close, exactly, and never goes back', () => {
    const first = trailStop({}, '100.5', '100.0', '0.4')
    expect(first).toEqual({ highestPrice: '100.5', currentStop: '100.098' })
    const higher = trailStop(first, '100.5', '110.25', '0.4')
    expect(higher).toEqual({ highestPrice: '110.25', currentStop: '109.809' })
    expect(trailStop(higher, '100.5', '90', '0.4')).toEqual(higher)
  })

  test('rests on the next tick above, and moves by whole ticks only', () => {
    expect(stopOnTick('100.098', '0.5')).toBe('100.5')
    expect(stopOnTick('100.5', '0.5')).toBe('100.5')
    expect(isLoose('100.5', '100.999', '0.5')).toBe(false)
    expect(isLoose('100.5', '101', '0.5')).toBe(true)
  })
})

describe('accounting', () => {
  const order: Order = { id: 'o-1', symbol: 'XRP/ETH', side: 'buy', state: 'filled', quantity: '3', purpose: 'stop' }
  const fill = (tradeId: string, side: 'buy' | 'sell', price: string, quantity: string, filledAt: number): Fill =>
    toFill(
      { ...order, side },
      {
        tradeId,
        exchangeOrderId: 'x-1',
        symbol: order.symbol,
        side,
        price,
        quantity,
        fee: '0.01',
        feeCurrency: 'ETH',
        filledAt,
      },
    )
  const entries = [fill('t-1', 'buy', '1.0', '1', 1), fill('t-2', 'buy', '1.1', '2', 2)]
  const exits = [fill('t-3', 'sell', '1.2', '1', 3), fill('t-4', 'sell', '1.3', '2', 4)]

  test('one price stays as it was written, several are weighted', () => {
    expect(
      averagePrice([
        { price: '1.10', quantity: '1' },
        { price: '1.1', quantity: '2' },
      ]),
    ).toBe('1.10')
    expect(averagePrice(entries)).toBe('1.0666666666666666667')
  })

  test('a position opens at the average, shrinks, and closes into a trade', () => {
    const position = openPosition('p-1', entries, 9)
    expect(position).toMatchObject({ quantity: '3', entryPrice: '1.0666666666666666667', openedAt: 1, side: 'long' })
    const rest = reducePosition(position, exits.slice(0, 1), 9)
    expect(rest?.quantity).toBe('2')
    expect(reducePosition(position, exits, 9)).toBeNull()
    expect(closingTrade(position, entries, exits, order)).toEqual({
      id: 'p-1-closed',
      symbol: 'XRP/ETH',
      side: 'long',
      quantity: '3',
      entryPrice: '1.0666666666666666667',
      exitPrice: '1.2666666666666666667',
      pnl: '0.6',
      pnlPercent: '18.75',
      fees: '0.04',
      openedAt: 1,
      closedAt: 4,
      exitReason: 'stop',
      positionId: 'p-1',
      metadata: { feeCurrency: 'ETH' },
    })
  })

  test('executions are in the order of time', () => {
    expect([...exits, ...entries].sort(compareFills)).toEqual([...entries, ...exits])
  })
})

describe('the latency histogram', () => {
  test('is right to within a bucket, and exact at the maximum', () => {
    const histogram = new LatencyHistogram()
    for (let millisecond = 1; millisecond <= 1_000; millisecond++) histogram.record(millisecond)
    const { count, p50Ms, p99Ms, p999Ms, maxMs } = histogram.figures()
    expect({ count, maxMs }).toEqual({ count: 1_000, maxMs: 1_000 })
    for (const [measured, exact] of [
      [p50Ms, 500],
      [p99Ms, 990],
      [p999Ms, 999],
    ] as const) {
      expect(measured).toBeGreaterThanOrEqual(exact)
      expect(measured).toBeLessThanOrEqual(exact * 1.05)
    }
  })

  test('adds up what several processes have measured', () => {
    const one = new LatencyHistogram()
    const other = new LatencyHistogram()
    for (let index = 0; index < 99; index++) one.record(1)
    other.record(500)
    const sum = new LatencyHistogram()
    sum.add(one.data())
    sum.add(other.data())
    expect(sum.figures()).toMatchObject({ count: 100, maxMs: 500 })
    expect(sum.figures().p99Ms).toBeLessThan(1.05)
    expect(sum.figures().p999Ms).toBe(500)
  })
})
