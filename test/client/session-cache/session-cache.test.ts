/** The session cache through the public API: what is stored comes back, bounded, in order, after a restart. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Bar, openStore, type Store } from '../../../src/index.ts'
import {
  codeOf,
  FAST_KDF,
  failureOf,
  openSharedStore,
  openTempStore,
  PASSWORD,
  tempDir,
} from '../fixtures/temp-store.ts'

const DAY_MS = 86_400_000

function bar(ts: number, close = ts): Bar {
  return { ts, open: close - 1, high: close + 2, low: close - 2, close, volume: 0.1 * ts }
}

function bars(from: number, count: number, stepMs = 60_000): Bar[] {
  return Array.from({ length: count }, (_, n) => bar(from + n * stepMs))
}

const store: Store = await openSharedStore({ sessionCache: { syncEveryMs: 0 } })
const { sessionCache } = store
const filesOf = (dir: string) => readdirSync(join(dir, 'cache')).sort()

describe('bars', () => {
  test('come back as columns and as rows, ascending, each once, the last one stored', async () => {
    await sessionCache.storeBars('A', [bar(3), bar(1)])
    await sessionCache.storeBars('A', [bar(2), bar(3, 30)])
    const found = await sessionCache.getBars('A')
    expect(found.ts).toEqual(Float64Array.of(1, 2, 3))
    expect(found.close).toEqual(Float64Array.of(1, 2, 30))
    expect(found.length).toBe(3)
    expect(Object.keys(found)).toEqual(['ts', 'open', 'high', 'low', 'close', 'volume'])
    expect(found.toRows()).toEqual([bar(1), bar(2), { ...bar(3, 30) }])
  })

  test('are taken as rows, as ccxt gives them, and as columns', async () => {
    await sessionCache.storeBars('B', [{ ts: 1, open: '1.5', high: '2', low: '1', close: '1.25', volume: '0.10' }])
    await sessionCache.storeBars('B', [[2, 1, 3, 0, 2, 10]])
    const one = Float64Array.of(4)
    await sessionCache.storeBars('B', { ts: [3], open: one, high: one, low: one, close: one, volume: [5] })
    expect((await sessionCache.getBars('B')).toRows()).toEqual([
      { ts: 1, open: 1.5, high: 2, low: 1, close: 1.25, volume: 0.1 },
      { ts: 2, open: 1, high: 3, low: 0, close: 2, volume: 10 },
      { ts: 3, open: 4, high: 4, low: 4, close: 4, volume: 5 },
    ])
  })

  test('keep further columns of numbers, NaN where a bar has none', async () => {
    await sessionCache.storeBars('C', [{ ...bar(1), vwap: 1.5 }])
    await sessionCache.storeBars('C', [bar(2), { ...bar(3), trades: 7 }])
    const { vwap, trades } = await sessionCache.getBars('C')
    expect(vwap).toEqual(Float64Array.of(1.5, Number.NaN, Number.NaN))
    expect(trades).toEqual(Float64Array.of(Number.NaN, Number.NaN, 7))
  })

  test('of a span, and the newest of it', async () => {
    await sessionCache.storeBars('D', bars(0, 10, 10))
    const ts = async (options: object) => [...(await sessionCache.getBars('D', options)).ts]
    expect(await ts({ from: 20, to: 50 })).toEqual([20, 30, 40])
    expect(await ts({ from: 15, to: 50, limit: 2 })).toEqual([30, 40])
    expect(await ts({ limit: 3 })).toEqual([70, 80, 90])
    expect(await ts({ limit: 0 })).toEqual([])
    expect(await ts({ from: 91 })).toEqual([])
    expect(await ts({ from: 50, to: 20 })).toEqual([])
    expect((await sessionCache.getBars('nobody')).toRows()).toEqual([])
  })

  test('of each interval are kept apart', async () => {
    await sessionCache.storeBars('E', [bar(1)])
    await sessionCache.storeBars('E', [bar(2)], { interval: '1h' })
    expect([...(await sessionCache.getBars('E')).ts]).toEqual([1])
    expect([...(await sessionCache.getBars('E', { interval: '1h' })).ts]).toEqual([2])
    const listed = (await sessionCache.symbols()).filter(({ symbol }) => symbol === 'E')
    expect(listed).toEqual([
      { symbol: 'E', interval: '1h', bars: 1, firstTs: 2, lastTs: 2, bytes: expect.any(Number), isDamaged: false },
      { symbol: 'E', interval: '1m', bars: 1, firstTs: 1, lastTs: 1, bytes: expect.any(Number), isDamaged: false },
    ])
  })

  test('are seen at once by whoever asks, also without waiting', async () => {
    const stored = sessionCache.storeBars('F', [bar(1)])
    expect(store.stats().sessionCache).toEqual({ depth: 1, bars: 1 })
    expect((await sessionCache.getBars('F')).length).toBe(1)
    await stored
    expect(store.stats().sessionCache).toEqual({ depth: 0, bars: 0 })
  })

  test('are those of the caller no more once they are accepted', async () => {
    const columns = { ts: [1], open: [1], high: [1], low: [1], close: [1], volume: [1] }
    const stored = sessionCache.storeBars('G', columns)
    columns.close[0] = 2
    await stored
    expect([...(await sessionCache.getBars('G')).close]).toEqual([1])
  })

  test('are exact, whatever doubles they are of, in any order and any number of appends', async () => {
    const value = fc.double()
    const batch = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), value, value), { maxLength: 6 })
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 8 }), async (batches) => {
        const symbol = `exact-${run++}`
        const expected = new Map<number, readonly [number, number]>()
        for (const rows of batches) {
          for (const [ts, close, volume] of rows) expected.set(ts, [close, volume])
          void sessionCache.storeBars(
            symbol,
            rows.map(([ts, close, volume]) => ({ ...bar(ts, 1), close, volume })),
          )
        }
        const found = await sessionCache.getBars(symbol)
        const rows = [...found.ts].map((ts, n) => [ts, found.close[n], found.volume[n]])
        const wanted = [...expected].sort(([a], [b]) => a - b).map(([ts, [close, volume]]) => [ts, close, volume])
        if (!rows.every((row, n) => row.every((each, column) => Object.is(each, wanted[n]?.[column]))))
          throw new Error('other bars')
        if (rows.length !== wanted.length) throw new Error('another number of bars')
      }),
      { numRuns: 40 },
    )
  })

  test.each([
    ['no bars', undefined],
    ['a text', 'bars'],
    ['a row that is none', [null]],
    ['rows of two kinds', [bar(1), [1, 2, 3, 4, 5, 6]]],
    ['a time with a fraction', [bar(1.5)]],
    ['no time', [{ ...bar(1), ts: undefined }]],
    ['a price that is no number', [{ ...bar(1), close: 'much' }]],
    ['a price that is missing', [{ ...bar(1), close: undefined }]],
    ['a short tuple', [[1, 2, 3]]],
    ['columns of several lengths', { ts: [1, 2], open: [1], high: [1], low: [1], close: [1], volume: [1] }],
    ['columns without one', { ts: [1], open: [1], high: [1], low: [1], close: [1] }],
    ['a column that would hide another', [{ ...bar(1), length: 3 }]],
    ['too many', { ts: new Float64Array(100_001) }],
  ])('that can not be stored are refused: %s', async (_, input) => {
    expect(await codeOf(sessionCache.storeBars('refused', input as never))).toBe('INVALID_ARGUMENT')
    expect((await sessionCache.getBars('refused')).length).toBe(0)
  })

  test('of nothing that could be a symbol are refused', async () => {
    for (const symbol of ['', 1, 'a\nb', 'x'.repeat(101), '\ud800', undefined]) {
      expect(await codeOf(sessionCache.storeBars(symbol as never, [bar(1)]))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(sessionCache.getBars(symbol as never))).toBe('INVALID_ARGUMENT')
    }
    expect(await codeOf(sessionCache.getBars('x', { limit: -1 }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(sessionCache.getBars('x', { order: 'asc' } as never))).toBe('INVALID_ARGUMENT')
  })
})

describe('bounds', () => {
  const small = { syncEveryMs: 0, compactEveryWrites: 4, maxRows: 10, maxAgeMs: DAY_MS, maxBytes: 4_096 }

  test('rows: the newest are kept, whether the file was compacted yet or not', async () => {
    const own = await openTempStore({ sessionCache: small })
    for (let n = 0; n < 30; n++) {
      await own.sessionCache.storeBars('X', [bar(n)])
      const { ts } = await own.sessionCache.getBars('X')
      expect([...ts]).toEqual(Array.from({ length: Math.min(10, n + 1) }, (_, k) => Math.max(0, n - 9) + k))
    }
    await own.sessionCache.storeBars('X', bars(100, 50, 1))
    expect([...(await own.sessionCache.getBars('X')).ts]).toEqual(bars(140, 10, 1).map(({ ts }) => ts))
  })

  test('age: counted from the newest bar, since clocks jump and replays are of long ago', async () => {
    const own = await openTempStore({ sessionCache: { ...small, maxRows: 1_000 } })
    await own.sessionCache.storeBars('X', [bar(0), bar(1), bar(DAY_MS)])
    expect([...(await own.sessionCache.getBars('X')).ts]).toEqual([0, 1, DAY_MS])
    await own.sessionCache.storeBars('X', [bar(DAY_MS + 1)])
    expect([...(await own.sessionCache.getBars('X')).ts]).toEqual([1, DAY_MS, DAY_MS + 1])
  })

  test('bytes: a file stays below its bound, and goes on', async () => {
    const own = await openTempStore({ sessionCache: { ...small, maxRows: 1_000, compactEveryWrites: 1_000 } })
    for (let n = 0; n < 200; n++) await own.sessionCache.storeBars('X', [bar(n)])
    const [file] = filesOf(own.dir)
    expect(statSync(join(own.dir, 'cache', file as string)).size).toBeLessThanOrEqual(small.maxBytes)
    const { ts } = await own.sessionCache.getBars('X')
    expect(ts.at(-1)).toBe(199)
    expect(ts.length).toBeGreaterThan(40)
  })

  test('writes: so many appends, then one file with each bar once', async () => {
    const own = await openTempStore({ sessionCache: { ...small, maxRows: 1_000, maxBytes: 1_000_000 } })
    const size = () => statSync(join(own.dir, 'cache', filesOf(own.dir)[0] as string)).size
    const sizes: number[] = []
    for (let n = 0; n < 10; n++) {
      await own.sessionCache.storeBars('X', [bar(1, n)])
      sizes.push(size())
    }
    const [first, , , , fifth, sixth] = sizes
    expect(fifth).toBeGreaterThan(first as number)
    expect(sixth).toBe(first)
    expect([...(await own.sessionCache.getBars('X')).close]).toEqual([9])
  })

  test('of the queue: what would wait beyond it is refused, and nothing else', async () => {
    const own = await openTempStore()
    const many = { ts: new Float64Array(100_000).map((_, n) => n), open: new Float64Array(100_000) }
    const columns = { ...many, high: many.open, low: many.open, close: many.open, volume: many.open }
    const stored = Array.from({ length: 12 }, () => own.sessionCache.storeBars('X', columns))
    const results = await Promise.allSettled(stored)
    expect(results.map(({ status }) => status)).toEqual([...Array(10).fill('fulfilled'), 'rejected', 'rejected'])
    expect((results[10] as PromiseRejectedResult).reason).toMatchObject({ code: 'QUEUE_FULL' })
    expect((await own.sessionCache.getBars('X')).length).toBe(12_000)
  })

  test.each([
    { maxRows: 0 },
    { maxBytes: 100 },
    { syncEveryMs: -1 },
    { compactEveryWrites: 1.5 },
    { maxAge: 1 },
  ])('that are none are refused: %o', async (bounds) => {
    const dir = join(tempDir(), 's')
    const opening = openStore({ dir, password: PASSWORD, kdf: FAST_KDF, sessionCache: bounds as never })
    expect(await codeOf(opening)).toBe('INVALID_ARGUMENT')
    expect(existsSync(dir)).toBe(false)
  })
})

describe('files', () => {
  test('bear names that tell nothing, one for each symbol and interval, private', async () => {
    const own = await openTempStore()
    await own.sessionCache.storeBars('BTC/USDT', [bar(1)])
    await own.sessionCache.storeBars('../../etc', [bar(1)])
    expect(filesOf(own.dir)).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}\.hfc$/),
      expect.stringMatching(/^[0-9a-f]{32}\.hfc$/),
    ])
    expect(statSync(join(own.dir, 'cache')).mode & 0o777).toBe(0o700)
    for (const file of filesOf(own.dir)) expect(statSync(join(own.dir, 'cache', file)).mode & 0o777).toBe(0o600)
    expect(await own.check()).toEqual([])
  })

  test('are there for the next session, and for readers beside the owner', async () => {
    const own = await openTempStore()
    await own.sessionCache.storeBars('X', bars(0, 100))
    void own.sessionCache.storeBars('X', [bar(7_000_000)])
    const reader = await openTempStore({ dir: own.dir, readOnly: true })
    expect((await reader.sessionCache.getBars('X')).length).toBeGreaterThanOrEqual(100)
    expect(await codeOf(reader.sessionCache.storeBars('X', [bar(1)]))).toBe('READ_ONLY')
    expect(await codeOf(reader.sessionCache.clear('X'))).toBe('READ_ONLY')
    await own.close()
    expect(await codeOf(own.sessionCache.getBars('X'))).toBe('STORE_CLOSED')
    const next = await openTempStore({ dir: own.dir })
    expect((await next.sessionCache.getBars('X')).length).toBe(101)
    await next.sessionCache.storeBars('X', [bar(8_000_000)])
    expect((await next.sessionCache.getBars('X')).length).toBe(102)
    expect((await reader.sessionCache.getBars('X')).length).toBe(102)
  })

  test('and their keys are gone once cleared; what comes later is new', async () => {
    const own = await openTempStore()
    for (const symbol of ['X', 'Y']) await own.sessionCache.storeBars(symbol, bars(0, 10))
    await own.sessionCache.storeBars('X', bars(0, 10), { interval: '1h' })
    const before = filesOf(own.dir)
    void own.sessionCache.storeBars('X', [bar(99)])
    const cleared = own.sessionCache.clear('X')
    void own.sessionCache.storeBars('X', [bar(5)])
    expect(await cleared).toBe(2)
    expect([...(await own.sessionCache.getBars('X')).ts]).toEqual([5])
    expect(filesOf(own.dir).filter((file) => before.includes(file))).toHaveLength(1)
    expect(await own.sessionCache.clear('nobody')).toBe(0)
    expect(await own.sessionCache.clear('Y', { interval: '1h' })).toBe(0)
    expect(await own.sessionCache.clearAll()).toBe(2)
    expect(filesOf(own.dir)).toEqual([])
    expect(await own.sql('select * from "_sessionCache"')).toEqual([])
  })

  test('that nobody has a key for are removed by the next owner that writes; others stay', async () => {
    const own = await openTempStore()
    await own.sessionCache.storeBars('X', [bar(1)])
    await own.close()
    const [file = ''] = filesOf(own.dir)
    const orphan = `${'0'.repeat(32)}.hfc`
    for (const name of [orphan, `.${file}`, 'notes.txt']) writeFileSync(join(own.dir, 'cache', name), 'x')
    const next = await openTempStore({ dir: own.dir })
    expect((await next.sessionCache.getBars('X')).length).toBe(1)
    await next.sessionCache.storeBars('X', [bar(2)])
    expect(filesOf(own.dir)).toEqual([file, 'notes.txt'].sort())
  })

  test('that are missing are damage of their symbol; a store without the folder has an empty cache', async () => {
    const own = await openTempStore()
    for (const symbol of ['X', 'Y']) await own.sessionCache.storeBars(symbol, [bar(1)])
    const cache = join(own.dir, 'cache')
    renameSync(cache, join(own.dir, 'aside'))
    expect((await own.sessionCache.getBars('X')).length).toBe(0)
    expect(await own.sessionCache.symbols()).toEqual([])
    mkdirSync(cache, { mode: 0o700 })
    const error = await failureOf(own.sessionCache.getBars('X'))
    expect(error).toMatchObject({ code: 'CACHE_DAMAGED', details: { symbol: 'X', interval: '1m' } })
    expect(error.message).toMatch(/X.*holdfast cache clear/)
    expect((await own.sessionCache.symbols()).map(({ isDamaged }) => isDamaged)).toEqual([true, true])
    expect((await own.check()).map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      'CACHE_DAMAGED session cache: X (1m)',
      'CACHE_DAMAGED session cache: Y (1m)',
    ])
    rmSync(cache, { recursive: true })
    await own.close()
    const next = await openTempStore({ dir: own.dir })
    await next.sessionCache.storeBars('X', [bar(2)])
    expect([...(await next.sessionCache.getBars('X')).ts]).toEqual([2])
    await next.close()
  })

  test('survive a rotation of the data key', async () => {
    const own = await openTempStore()
    await own.sessionCache.storeBars('X', bars(0, 10))
    await own.rotateDataKey()
    await own.sessionCache.storeBars('X', [bar(1_000_000)])
    expect((await own.sessionCache.getBars('X')).length).toBe(11)
    await own.close()
    const next = await openTempStore({ dir: own.dir })
    expect((await next.sessionCache.getBars('X')).length).toBe(11)
  })
})
