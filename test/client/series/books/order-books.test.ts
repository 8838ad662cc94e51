/** Order books: what is given back for a moment is the book of that moment, or an error that says why it can't be known. */
import { createReadStream } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BookEventInput,
  type BookLevel,
  binanceDelta,
  binanceSnapshot,
  bybitBook,
  ccxtSnapshot,
  okxBook,
  readBooks,
  writeBooks,
} from '../../../../src/index.ts'
import { codeOf, collect, failureOf, openSharedStore } from '../../fixtures/temp-store.ts'

const store = await openSharedStore()
const dataFile = (name: string) => createReadStream(new URL(`../../../data/${name}`, import.meta.url))

let symbols = 0
const newSymbol = () => `S${++symbols}/USDT`

const snapshot = (ts: number, lastId: number, bids: BookLevel[], asks: BookLevel[] = []) =>
  ({ type: 'snapshot', ts, lastId, bids, asks }) as const
const delta = (ts: number, firstId: number, lastId: number, bids: BookLevel[], asks: BookLevel[] = []) =>
  ({ type: 'delta', ts, firstId, lastId, bids, asks }) as const

describe('a book at a moment', () => {
  test('is the snapshot and the deltas up to it, with the digits of the exchange', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [
      snapshot(
        1_000,
        10,
        [
          ['100.50', '1.000'],
          ['100.10', '2'],
        ],
        [['101.0', '3.00']],
      ),
      delta(
        2_000,
        11,
        12,
        [['100.5', '0.500']],
        [
          ['101', '0.000'],
          ['102.00', '9'],
        ],
      ),
      delta(3_000, 13, 13, [['99', '1']]),
    ])
    expect(await store.books.at(symbol, 1_999)).toEqual({
      symbol,
      ts: 1_999,
      eventTs: 1_000,
      lastId: 10,
      bids: [
        ['100.50', '1.000'],
        ['100.10', '2'],
      ],
      asks: [['101.0', '3.00']],
    })
    expect(await store.books.at(symbol, 2_000)).toMatchObject({
      lastId: 12,
      bids: [
        ['100.5', '0.500'],
        ['100.10', '2'],
      ],
      asks: [['102.00', '9']],
    })
    expect(await store.books.at(symbol, 99_999, { depth: 1 })).toMatchObject({ lastId: 13, bids: [['100.5', '0.500']] })
  })

  test('is not known before the first snapshot', async () => {
    const symbol = newSymbol()
    expect(await codeOf(store.books.at(symbol, 5))).toBe('NOT_FOUND')
    await store.books.append(symbol, snapshot(1_000, 10, [['1', '1']]))
    expect(await codeOf(store.books.at(symbol, 999))).toBe('NOT_FOUND')
  })

  test('is refused behind a gap of ids, which is named, until the next snapshot', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [
      snapshot(1_000, 10, [['1', '1']]),
      delta(2_000, 11, 12, [['1', '2']]),
      delta(3_000, 14, 15, [['1', '3']]),
      snapshot(5_000, 30, [['7', '7']]),
      delta(6_000, 31, 31, [['8', '8']]),
    ])
    expect(await store.books.at(symbol, 2_999)).toMatchObject({ bids: [['1', '2']] })
    const failure = await failureOf(store.books.at(symbol, 3_000))
    expect(failure.code).toBe('BOOK_GAP')
    expect(failure.details).toEqual({ symbol, lastId: 12, nextId: 14, gapTs: 3_000 })
    expect(await codeOf(store.books.at(symbol, 4_999))).toBe('BOOK_GAP')
    expect(await store.books.at(symbol, 6_000)).toMatchObject({
      bids: [
        ['8', '8'],
        ['7', '7'],
      ],
    })
  })

  test('goes on with a snapshot where the exchange numbers anew, and never with what it followed before', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [
      snapshot(100_000, 5_000, [['1', '1']]),
      delta(101_000, 5_001, 5_001, [['1', '2']]),
      snapshot(102_000, 1, [['9', '9']]),
      delta(102_100, 2, 2, [['8', '8']]),
    ])
    expect(await store.books.at(symbol, 101_999)).toMatchObject({ lastId: 5_001, bids: [['1', '2']] })
    const after = {
      lastId: 2,
      bids: [
        ['9', '9'],
        ['8', '8'],
      ],
    }
    expect(await store.books.at(symbol, 103_000)).toMatchObject(after)
    await store.books.checkpoint(symbol)
    await store.books.append(symbol, delta(150_000, 3, 3, [['8', '0']]))
    expect(await store.books.at(symbol, 150_000)).toMatchObject({ lastId: 3, bids: [['9', '9']] })
    // Without a snapshot between, nobody knows.
    await store.books.append(symbol, [snapshot(200_000, 700, [['5', '5']]), delta(300_000, 4, 4, [['4', '4']])])
    expect(await failureOf(store.books.at(symbol, 300_000))).toMatchObject({ code: 'BOOK_GAP', details: { nextId: 4 } })
  })

  test('comes out right once what was missing has arrived', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [snapshot(1_000, 10, [['1', '1']]), delta(3_000, 12, 12, [['3', '3']])])
    expect(await codeOf(store.books.at(symbol, 3_000))).toBe('BOOK_GAP')
    await store.books.append(symbol, delta(2_000, 11, 11, [['2', '2']]))
    expect((await store.books.at(symbol, 3_000)).bids).toEqual([
      ['3', '3'],
      ['2', '2'],
      ['1', '1'],
    ])
  })

  test('follows the rules of futures, where each event names the one before', async () => {
    const symbol = newSymbol()
    const futures = (ts: number, U: number, u: number, pu: number, b: BookLevel[]) =>
      binanceDelta({ E: ts, U, u, pu, b, a: [] })
    await store.books.append(symbol, [
      binanceSnapshot({ lastUpdateId: 100, bids: [['1', '1']], asks: [], T: 1_000 }),
      futures(900, 80, 95, 79, [['1', '9']]),
      futures(1_100, 96, 105, 95, [['2', '2']]),
      futures(1_200, 120, 130, 105, [['3', '3']]),
    ])
    expect((await store.books.at(symbol, 1_200)).bids).toEqual([
      ['3', '3'],
      ['2', '2'],
      ['1', '1'],
    ])
    await store.books.append(symbol, futures(1_300, 131, 140, 129, [['4', '4']]))
    expect((await failureOf(store.books.at(symbol, 1_300))).details).toMatchObject({ lastId: 130, nextId: 131 })
  })

  test('counts deltas that the exchange stamped before the snapshot that does not contain them', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [snapshot(5_000, 10, [['1', '1']]), delta(4_990, 11, 11, [['2', '2']])])
    expect((await store.books.at(symbol, 5_000)).bids).toEqual([
      ['2', '2'],
      ['1', '1'],
    ])
  })

  test('tells prices apart that doubles can not', async () => {
    const symbol = newSymbol()
    const prices = ['0.100000000000000000003', '0.100000000000000000001', '0.100000000000000000002']
    await store.books.append(
      symbol,
      snapshot(
        1,
        1,
        prices.map((price) => [price, '1']),
        prices.map((price) => [price, '1']),
      ),
    )
    const { bids, asks } = await store.books.at(symbol, 1)
    expect(bids.map(([price]) => price.at(-1))).toEqual(['3', '2', '1'])
    expect(asks.map(([price]) => price.at(-1))).toEqual(['1', '2', '3'])
  })

  test('is what a plain replay gives, for any order of arrival, with repeats and checkpoints in between', async () => {
    const level = fc.tuple(fc.integer({ min: 1, max: 20 }).map(String), fc.constantFrom('0', '1', '2.50', '3'))
    const steps = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.array(level, { maxLength: 4 })),
      {
        minLength: 1,
        maxLength: 25,
      },
    )
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.array(level, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        async (raw, first, order) => {
          const symbol = newSymbol()
          const plain = new Map<string, string>()
          const apply = (levels: readonly (readonly [string, string])[]) => {
            for (const [price, amount] of levels) amount === '0' ? plain.delete(price) : plain.set(price, amount)
          }
          const sorted = () => [...plain].sort(([a], [b]) => Number(b) - Number(a))
          let ts = 1_000
          let id = 10
          const events: BookEventInput[] = [snapshot(ts, id, first)]
          apply(first)
          const expected = new Map([[ts, sorted()]])
          for (const [dt, ids, levels] of raw) {
            ts += dt
            events.push(delta(ts, id + 1, id + ids, levels))
            id += ids
            apply(levels)
            expected.set(ts, sorted())
          }
          const shuffled = [...events, ...order.flatMap((n) => events[n % events.length] ?? [])].sort(
            (a, b) => (order[a.lastId % (order.length || 1)] ?? 0) - (order[b.lastId % (order.length || 1)] ?? 0),
          )
          const half = shuffled.length >> 1
          await store.books.append(symbol, shuffled.slice(0, half))
          await store.books.checkpoint(symbol)
          await store.books.append(symbol, shuffled.slice(half))
          await store.books.checkpoint(symbol)
          for (const [moment, bids] of expected) {
            const book = await store.books.at(symbol, moment)
            if (JSON.stringify(book.bids) !== JSON.stringify(bids)) return false
          }
          return true
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('checkpoints', () => {
  test('come by themselves, are no events, and a book far behind the snapshot is that of the deltas', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, snapshot(0, 0, [['1', '1']]))
    for (let start = 1; start <= 30_000; start += 5_000) {
      const deltas = Array.from({ length: 5_000 }, (_, i) =>
        delta(start + i, start + i, start + i, [[String(2 + ((start + i) % 50)), String(start + i)]]),
      )
      await store.books.append(symbol, deltas)
    }
    const book = await store.books.at(symbol, 30_000)
    expect(book.lastId).toBe(30_000)
    expect(book.bids).toHaveLength(51)
    expect(book.bids[0]).toEqual(['51', '29999'])
    let events = 0
    for await (const chunk of store.books.scan(symbol, { chunk: 1_000 })) events += chunk.length
    expect(events).toBe(30_001)
    const list = await store.sql(`SELECT "interval" FROM "_series" WHERE "symbol" = ? ORDER BY 1`, [symbol], {
      file: 'market',
    })
    expect(list).toEqual([{ interval: 'checkpoint' }, { interval: 'delta' }, { interval: 'snapshot' }])
  })

  test('are never made over a gap', async () => {
    const symbol = newSymbol()
    await store.books.append(symbol, [snapshot(1_000, 10, [['1', '1']]), delta(3_000, 14, 15, [['1', '3']])])
    expect(await store.books.checkpoint(symbol)).toEqual({ lastId: null })
    expect(await codeOf(store.books.at(symbol, 3_000))).toBe('BOOK_GAP')
    expect(await store.books.checkpoint(newSymbol())).toEqual({ lastId: null })
  })
})

describe('events', () => {
  test('come back as they were appended, ordered by time, whatever the chunk', async () => {
    const symbol = newSymbol()
    const events: BookEventInput[] = [
      snapshot(
        1_000,
        10,
        [['100.50', '1.000']],
        [
          ['101.0', '3.00'],
          ['102', '1'],
        ],
      ),
      delta(2_000, 11, 11, []),
      { type: 'delta', ts: 2_000, lastId: 12, previousId: 11, bids: [], asks: [['101.0', '0']] },
      delta(2_500, 13, 20, [['99', '1']]),
    ]
    await store.books.append(symbol, events.toReversed())
    await store.books.append(symbol, events)
    expect(await store.books.range(symbol)).toEqual(events)
    expect(await store.books.range(symbol, { from: 2_000, to: 2_500 })).toEqual(events.slice(1, 3))
    for (const chunk of [1, 2, 3]) {
      expect((await collect(store.books.scan(symbol, { chunk }))).flat()).toEqual(events)
    }
  })

  test('of the real files: the snapshot is the book, the updates ten minutes later are a gap', async () => {
    const symbol = newSymbol()
    for (const file of ['btcusdt-depth-snap.csv', 'btcusdt-depth-update.csv']) {
      for await (const events of readBooks(dataFile(file))) await store.books.append(symbol, events)
    }
    const book = await store.books.at(symbol, 1_667_346_579_146)
    expect(book.lastId).toBe(2_098_021_528_332)
    expect(book.bids).toHaveLength(100)
    expect(book.bids[0]).toEqual(['20377.00', '1.770'])
    const { code, details } = await failureOf(store.books.at(symbol, 1_667_347_199_939))
    expect(code).toBe('BOOK_GAP')
    expect(details).toMatchObject({ lastId: 2_098_021_528_332, nextId: 2_098_041_693_435 })
    const [, update] = await store.books.range(symbol)
    expect(update).toMatchObject({ type: 'delta', firstId: 2_098_041_693_435, previousId: 2_098_041_693_400 })
    expect((update?.bids.length ?? 0) + (update?.asks.length ?? 0)).toBe(100)
  })

  test('of OKX chain by the id each names, through pushes without change; one that is missing is a gap', async () => {
    const symbol = newSymbol()
    const push = (
      action: 'snapshot' | 'update',
      prevSeqId: number,
      seqId: number,
      bids: [string, string, string, string][],
    ) => okxBook({ action, data: [{ bids, asks: [], ts: String(1_597_026_383_000 + seqId), prevSeqId, seqId }] })
    await store.books.append(symbol, push('snapshot', -1, 10, [['8476.97', '256', '0', '12']]))
    await store.books.append(
      symbol,
      push('update', 10, 15, [
        ['8476.97', '0', '0', '0'],
        ['8475.55', '101', '0', '1'],
      ]),
    )
    await store.books.append(symbol, push('update', 15, 15, []))
    await store.books.append(symbol, push('update', 15, 18, [['8475.54', '1', '0', '1']]))
    expect(await store.books.at(symbol, 1_597_026_390_000)).toMatchObject({
      lastId: 18,
      bids: [
        ['8475.55', '101'],
        ['8475.54', '1'],
      ],
    })
    await store.books.append(symbol, push('update', 20, 25, [['1', '1', '0', '1']]))
    expect(await failureOf(store.books.at(symbol, 1_597_026_390_000))).toMatchObject({
      code: 'BOOK_GAP',
      details: { lastId: 18, nextId: 25 },
    })
    expect(() => push('update', 25, 3, [])).toThrow(expect.objectContaining({ code: 'BOOK_GAP' }))
  })

  test('of Bybit are numbered one by one, and begin anew with a snapshot', async () => {
    const symbol = newSymbol()
    const push = (type: 'snapshot' | 'delta', u: number, cts: number, b: [string, string][]) =>
      bybitBook({ type, ts: cts + 5, cts, data: { b, a: [], u } })
    await store.books.append(symbol, push('snapshot', 13_079_592, 100_000, [['17440.00', '40.833']]))
    await store.books.append(symbol, push('delta', 13_079_593, 100_020, [['17440.00', '1.5']]))
    await store.books.append(symbol, push('delta', 13_079_595, 100_060, [['17440.00', '2']]))
    expect((await store.books.at(symbol, 100_059)).bids).toEqual([['17440.00', '1.5']])
    expect(await failureOf(store.books.at(symbol, 100_060))).toMatchObject({
      code: 'BOOK_GAP',
      details: { lastId: 13_079_593, nextId: 13_079_595 },
    })
    await store.books.append(symbol, [
      push('snapshot', 1, 100_080, [['3', '3']]),
      push('delta', 2, 100_100, [['2', '2']]),
    ])
    expect((await store.books.at(symbol, 100_100)).bids).toEqual([
      ['3', '3'],
      ['2', '2'],
    ])
  })

  test.each([
    'csv',
    'json',
    'jsonl',
  ] as const)('written as %s are read back the same, with all that chains them', async (format) => {
    const events: BookEventInput[] = [
      snapshot(1_597_026_383_000, 10, [['100.50', '1.000']], [['101.0', '3.00']]),
      snapshot(1_597_026_383_000, 11, []),
      delta(1_597_026_383_001, 12, 12, []),
      { type: 'delta', ts: 1_597_026_383_001, lastId: 13, previousId: 12, bids: [], asks: [['101.0', '0']] },
      {
        type: 'delta',
        ts: 1_597_026_383_002,
        lastId: 15,
        firstId: 14,
        previousId: 13,
        bids: [['1', '0.10']],
        asks: [],
      },
    ]
    for await (const real of readBooks(dataFile('btcusdt-depth-update.csv'))) events.push(...real)
    const written = await collect(
      writeBooks([events.slice(0, 2) as never, events.slice(2) as never], { format, symbol: 'A,B' }),
    )
    const read = readBooks(written, { format: format === 'csv' ? 'binance' : 'json', chunk: 2 })
    expect((await collect(read)).flat()).toEqual(events)
  })

  test('that are no events are refused with their line, and so is a file that was cut off', async () => {
    const good = JSON.stringify(delta(1, 1, 1, []))
    const failure = await failureOf(collect(readBooks(`${good}\n{"type":"delta","ts":"secret"}\n`, { format: 'json' })))
    expect(failure).toMatchObject({ code: 'INVALID_DOCUMENT', details: { line: 2 } })
    expect(failure.message).not.toContain('secret')
    expect(await codeOf(collect(readBooks(`[${good},`, { format: 'json' })))).toBe('INVALID_DOCUMENT')
  })

  test('of ccxt chain by their nonce', async () => {
    const symbol = newSymbol()
    const book = { bids: [[1.5, 2e-7]], asks: [[1.6, 3]], timestamp: 7, nonce: 5 } as const
    await store.books.append(symbol, ccxtSnapshot(book))
    expect(await store.books.at(symbol, 7)).toMatchObject({ bids: [['1.5', '0.0000002']], asks: [['1.6', '3']] })
    expect(() => ccxtSnapshot({ bids: [], asks: [], timestamp: 7 })).toThrow(/nonce/)
    expect(() => binanceSnapshot({ lastUpdateId: 1, bids: [], asks: [] })).toThrow(/moment/)
  })
})

describe('bad input', () => {
  const good = delta(1, 1, 2, [['1', '1']])
  test.each([
    ['a delta that names nothing before it', { type: 'delta', ts: 1, lastId: 2, bids: [], asks: [] }],
    ['ids that fall', { ...good, firstId: 3 }],
    ['an id that is no integer', { ...good, lastId: 1.5 }],
    ['a negative amount', { ...good, bids: [['1', '-1']] }],
    ['a price that is no decimal', { ...good, bids: [['1e5', '1']] }],
    ['NaN', { ...good, bids: [[Number.NaN, 1]] }],
    ['no time', { ...good, ts: undefined }],
    ['another type', { ...good, type: 'update' }],
  ])('is refused before anything is written: %s', async (_, event) => {
    const symbol = newSymbol()
    expect(await codeOf(store.books.append(symbol, [good, event as never]))).toBe('INVALID_ARGUMENT')
    expect(await store.books.range(symbol)).toEqual([])
  })

  test('names places and no values', async () => {
    const failure = await failureOf(store.books.append('X', [{ ...good, bids: [['secret', '1']] }]))
    expect(failure.message).toContain('events.0.bids.0')
    expect(failure.message).not.toContain('secret')
  })

  test('of files names the line', async () => {
    const head = 'symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu'
    const row = 'B,1667346579146,1,2,b,set,1.0,2,0'
    const read = (text: string) => collect(readBooks(text))
    expect(await read(`${head}\n${row}`)).toHaveLength(1)
    for (const bad of [
      row.replace('b,set', 'x,set'),
      row.replace('set', 'what'),
      row.replace('1.0', 'one'),
      row.replace(',2,b', ',2.5,b'),
      'B,1',
    ]) {
      expect((await failureOf(read(`${head}\n${row}\n${bad}`))).details).toMatchObject({ line: 3 })
    }
    expect(await codeOf(read(row))).toBe('INVALID_DOCUMENT')
  })
})

describe('a feed', () => {
  test('may append without waiting; what waits is bounded and can be seen', async () => {
    const symbol = newSymbol()
    const appends = [store.books.append(symbol, snapshot(0, 0, [['1', '1']]))]
    for (let id = 1; id <= 500; id += 1)
      appends.push(store.books.append(symbol, delta(id, id, id, [['2', String(id)]])))
    expect(store.stats().books.waitingEvents).toBe(501)
    await Promise.all(appends)
    expect(store.stats().books).toEqual({ waitingEvents: 0, waitingLevels: 0 })
    expect((await store.books.at(symbol, 500)).bids[0]).toEqual(['2', '500'])
    const levels: BookLevel[] = Array.from({ length: 90_000 }, (_, i) => [String(i + 1), '1'])
    const many = Array.from({ length: 13 }, (_, i) =>
      store.books.append(symbol, snapshot(1_000 + i, 1_000 + i, levels)),
    )
    const results = await Promise.allSettled(many)
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    expect(results.flatMap((result) => (result.status === 'rejected' ? result.reason.code : []))[0]).toBe('QUEUE_FULL')
    expect((await store.books.at(symbol, 1_000)).bids).toHaveLength(90_000)
  })
})
