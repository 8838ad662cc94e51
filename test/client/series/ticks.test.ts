/** Ticks, their writer, quotes: what the venue sent is what comes back. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { StoreError, Tick } from '../../../src/index.ts'
import { codeOf, openSharedStore } from '../fixtures/temp-store.ts'

const store = await openSharedStore()
const trades = JSON.parse(
  gunzipSync(readFileSync(new URL('../../data/xrp-eth-trades.json.gz', import.meta.url))).toString('utf8'),
) as [number, string, null, 'buy' | 'sell', number, number, number][]
const ticks: Tick[] = trades.map(([ts, id, , side, price, amount]) => ({ ts, price, amount, side, id }))

test('real trades come back as they were, by id', async () => {
  await store.ticks.append('XRP/ETH', ticks)
  expect(await store.ticks.append('XRP/ETH', ticks.slice(100, 900))).toMatchObject({ written: 0 })
  expect((await store.ticks.range('XRP/ETH')).toRows()).toEqual(ticks)
  await store.ticks.compact('XRP/ETH')
  expect((await store.ticks.range('XRP/ETH')).toRows()).toEqual(ticks)
})

test('bars made of them hold what the trades hold', async () => {
  await store.ticks.append('bars', ticks)
  const bars = await store.ticks.resample('bars', { to: '1h' })
  expect(Math.max(...bars.high)).toBe(Math.max(...ticks.map(({ price }) => Number(price))))
  expect(bars.open[0]).toBe(ticks[0]?.price)
  expect(bars.close.at(-1)).toBe(ticks.at(-1)?.price)
  const total = ticks.reduce((sum, { amount }) => sum + Number(amount), 0)
  expect(bars.volume.reduce((sum, each) => sum + each, 0)).toBeCloseTo(total, 3)
})

describe('exact', () => {
  const digits = ['2250.10', '0.000000010', '123456789012345678.90', '7']

  test('digits stay as they are, in rows and in blocks', async () => {
    const given = Array.from({ length: 600 }, (_, n) => ({
      ts: n,
      price: digits[n % 4] as string,
      amount: '1.50',
      id: n,
    }))
    await store.ticks.append('exact', given.slice(0, 500), { exact: true })
    await store.ticks.append('exact', given.slice(500), { exact: true })
    const found = await store.ticks.range('exact')
    expect(found.price).toEqual(given.map(({ price }) => price))
    expect(found.amount).toEqual(given.map(({ amount }) => amount))
    expect((await store.ticks.aggregate('exact')).columns.price).toMatchObject({ count: 600, first: 2250.1, last: 7 })
    expect((await store.ticks.resample('exact', { to: '1s' })).close).toEqual(Float64Array.of(7))
  })

  test('a number has lost its digits already and is refused; so is an inexact tick in an exact series', async () => {
    expect(await codeOf(store.ticks.append('exact-2', [{ ts: 1, price: 1.5, amount: '1' }], { exact: true }))).toBe(
      'INVALID_ARGUMENT',
    )
    await store.ticks.append('exact-3', [{ ts: 1, price: '1.5', amount: '1' }], { exact: true })
    expect(await codeOf(store.ticks.append('exact-3', [{ ts: 2, price: 1.5, amount: 1 }]))).toBe('INVALID_ARGUMENT')
  })
})

describe('writer', () => {
  test('everything it took is durable after flush, each once and in order', async () => {
    const writer = store.ticks.writer({ maxLatencyMs: 5 })
    for (let n = 0; n < 30_000; n++) {
      expect(writer.write(n % 3 === 0 ? 'w-0' : 'w-1', { ts: n >> 2, price: n, amount: 1 })).toBe(true)
      if (n % 5_000 === 0) await new Promise((resolve) => setTimeout(resolve, 8))
    }
    await writer.close()
    expect(writer.stats()).toMatchObject({ accepted: 30_000, durable: 30_000, pending: 0, failed: 0, refused: 0 })
    const found = await Promise.all([store.ticks.range('w-0'), store.ticks.range('w-1')])
    expect(found.map(({ length }) => length)).toEqual([10_000, 20_000])
    expect(found[0].price).toEqual(Float64Array.from({ length: 10_000 }, (_, n) => n * 3))
    expect(await codeOf(() => writer.write('w-0', { ts: 1, price: 1, amount: 1 }))).toBe('STORE_CLOSED')
  })

  test('what is beyond its bound is not taken, and said', async () => {
    const writer = store.ticks.writer({ maxPending: 100 })
    const taken = Array.from({ length: 150 }, (_, n) => writer.write('bound', { ts: n, price: 1, amount: 1 }))
    expect(taken.filter(Boolean)).toHaveLength(100)
    await writer.ready()
    expect(writer.write('bound', { ts: 200, price: 1, amount: 1 })).toBe(true)
    await writer.close()
    expect(writer.stats()).toMatchObject({ accepted: 101, durable: 101, refused: 50 })
  })

  test('a batch that is refused is counted and reported; the others go on', async () => {
    const errors: [StoreError, number][] = []
    const writer = store.ticks.writer({ onError: (error, count) => errors.push([error, count]) })
    writer.write('sound', { ts: 1, price: 1, amount: 1 })
    writer.write('unsound', { ts: 1, price: Symbol('no number') as never, amount: 1 })
    await writer.flush()
    expect(errors.map(([error, count]) => [error.code, count])).toEqual([['INVALID_ARGUMENT', 1]])
    expect(writer.stats()).toMatchObject({ accepted: 2, durable: 1, failed: 1, pending: 0 })
    const silent = store.ticks.writer()
    silent.write('unsound', { ts: 1, price: null as never, amount: 1 })
    expect(await codeOf(silent.flush())).toBe('INVALID_ARGUMENT')
    await silent.close()
  })

  test.each([{ maxLatencyMs: 0 }, { maxLatencyMs: '5' }, { maxPending: 0.5 }])('%j is refused', async (options) => {
    expect(await codeOf(() => store.ticks.writer(options as never))).toBe('INVALID_ARGUMENT')
  })
})

test('quotes keep their order within one time; a size that is not known is left out of rows', async () => {
  const quotes = [
    { ts: 1, bid: 1.1, ask: 1.2 },
    { ts: 1, bid: 1.15, ask: 1.2, bidSize: 5, askSize: 6 },
    { ts: 1, bid: 1.1, ask: 1.2 },
  ]
  await store.quotes.append('EUR/USD', quotes)
  expect(await store.quotes.append('EUR/USD', quotes)).toMatchObject({ written: 0 })
  expect((await store.quotes.range('EUR/USD')).toRows()).toEqual(quotes)
  expect(await codeOf(store.quotes.append('EUR/USD', [{ ts: 2, bid: 1, ask: 1, mid: 1 } as never]))).toBe(
    'INVALID_ARGUMENT',
  )
})
