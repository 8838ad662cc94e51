/** Reads over many windows, which are planned and read ahead, while what they read changes its form under them. */
import { beforeAll, describe, expect, test } from 'vitest'
import { openSharedStore } from '../fixtures/temp-store.ts'

const store = await openSharedStore()
const MINUTE = 60_000
const BARS = 150_000
const STEP = 997
const SYMBOL = 'LONG'

function bars(count: number, tsOf: (index: number) => number, close: (index: number) => number) {
  const column = (of: (index: number) => number) => Float64Array.from({ length: count }, (_, index) => of(index))
  const one = new Float64Array(count).fill(1)
  return { ts: column(tsOf), open: one, high: one, low: one, close: column(close), volume: one }
}

const closes = Float64Array.from({ length: BARS }, (_, index) => (index % STEP === 0 ? -index : index % 1_000))

/** One row for every 997 bars, all over the blocks. */
async function correct(): Promise<void> {
  const count = Math.ceil(BARS / STEP)
  const at = (index: number) => index * STEP
  await store.bars.append(
    SYMBOL,
    '1m',
    bars(
      count,
      (index) => at(index) * MINUTE,
      (index) => -at(index),
    ),
  )
}

beforeAll(async () => {
  await store.bars.append(
    SYMBOL,
    '1m',
    bars(
      BARS,
      (index) => index * MINUTE,
      (index) => index % 1_000,
    ),
  )
  await correct()
})

async function scanned(chunk: number): Promise<{ readonly closes: Float64Array; readonly sizes: number[] }> {
  const found = new Float64Array(BARS)
  const sizes: number[] = []
  let at = 0
  for await (const { close, ts } of store.bars.scan(SYMBOL, '1m', { chunk })) {
    if (ts[0] !== at * MINUTE) throw new Error(`a piece begins at ${ts[0]} instead of ${at * MINUTE}`)
    found.set(close, at)
    at += close.length
    sizes.push(close.length)
  }
  return { closes: found.subarray(0, at), sizes }
}

describe('over many blocks with rows between them', () => {
  test('a range brings each point once and in order', async () => {
    const { ts, close } = await store.bars.range(SYMBOL, '1m')
    expect(close).toEqual(closes)
    expect(ts.every((time, index) => time === index * MINUTE)).toBe(true)
  })

  test.each([1, 4_096, 33_000, 65_536])('a limit of %i takes the first ones', async (limit) => {
    const { close } = await store.bars.range(SYMBOL, '1m', { limit, from: 10 * MINUTE })
    expect(close).toEqual(closes.slice(10, 10 + limit))
  })

  test.each([4_096, 10_000, 65_536, 200_000])('pieces of %i are full but for the last', async (chunk) => {
    const { closes: found, sizes } = await scanned(chunk)
    expect(found).toEqual(closes)
    expect(sizes).toEqual([
      ...new Array(Math.floor(BARS / chunk)).fill(chunk),
      ...(BARS % chunk === 0 ? [] : [BARS % chunk]),
    ])
  })

  test('any span of it is what lies there', async () => {
    for (const [from, to] of [
      [4_095, 149_999],
      [32_768, 98_305],
      [1, 40_961],
    ] as const) {
      const { close } = await store.bars.range(SYMBOL, '1m', { from: from * MINUTE, to: to * MINUTE })
      expect(close).toEqual(closes.slice(from, to))
    }
  })

  test('nothing is missing or doubled while rows are merged into the blocks', async () => {
    const compacted = store.bars.compact(SYMBOL, '1m')
    while (true) {
      const [{ close }, { closes: found }] = await Promise.all([store.bars.range(SYMBOL, '1m'), scanned(10_000)])
      expect(close).toEqual(closes)
      expect(found).toEqual(closes)
      if ((await store.bars.info(SYMBOL, '1m'))?.rows === 0) break
    }
    expect((await compacted).rowsMerged).toBeGreaterThan(0)
    const hours = await store.bars.resample(SYMBOL, { from: '1m', to: '1h' })
    expect(hours.length).toBe(BARS / 60)
    expect(hours.volume.every((volume) => volume === 60)).toBe(true)
  })
})
