/** Parquet in and out: files by pandas, polars and pyarrow (test/data/parquet-fixtures.py), and Holdfast's own. */
import { openAsBlob, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { asyncBufferFromFile, parquetMetadata } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, test } from 'vitest'
import { toParquet } from '../../../../src/client/series/formats/write-parquet.ts'
import {
  type RandomAccessFile,
  readBars,
  readQuotes,
  readTicks,
  readValues,
  type SeriesColumns,
  type SeriesFile,
  writeParquet,
} from '../../../../src/index.ts'
import { btcBars } from '../../../data/btc-bars.ts'
import { codeOf, collect, failureOf, openSharedStore } from '../../fixtures/temp-store.ts'

const dataUrl = (name: string) => new URL(`../../../data/${name}`, import.meta.url)
const expected = btcBars()
const OHLCV = ['open', 'high', 'low', 'close', 'volume'] as const
const trades = JSON.parse(String(gunzipSync(readFileSync(dataUrl('xrp-eth-trades.json.gz'))))) as [
  number,
  string,
  null,
  'buy' | 'sell',
  number,
  number,
][]

const store = await openSharedStore()

describe('Parquet', () => {
  test.each(['pandas', 'polars'])('as %s writes it by itself is read exactly', async (writer) => {
    const bytes = readFileSync(dataUrl(`btc-perp-1m-${writer}.parquet`))
    const chunks = await collect(readBars(bytes, { format: 'parquet' }))
    expect(concatenated(chunks, 'ts')).toEqual(expected.ts.slice(0, 500))
    for (const name of OHLCV) expect(concatenated(chunks, name)).toEqual(expected[name].slice(0, 500))
  })

  test('decimals of pyarrow keep their digits, dictionaries and nulls are read', async () => {
    const bytes = readFileSync(dataUrl('xrp-eth-trades-pyarrow.parquet'))
    const [exact, ...more] = await collect(readTicks(bytes, { format: 'parquet', exact: true }))
    expect(more.length).toBe(2)
    expect(exact?.price).toEqual(trades.slice(0, 120).map((row) => row[4].toFixed(8)))
    expect(exact?.amount).toEqual(trades.slice(0, 120).map((row) => row[5].toFixed(8)))
    expect(exact?.id).toEqual(trades.slice(0, 120).map((row) => row[1]))
    expect(exact?.side).toEqual(trades.slice(0, 120).map((row, i) => (i % 10 === 9 ? '' : row[3])))
    expect(exact?.ts).toEqual(Float64Array.from(trades.slice(0, 120), (row) => row[0]))
  })

  test('decimals are the nearest doubles where no digits were asked for', async () => {
    const bytes = readFileSync(dataUrl('xrp-eth-trades-pyarrow.parquet'))
    const chunks = await collect(readTicks(bytes, { format: 'parquet' }))
    expect(concatenated(chunks, 'price')).toEqual(Float64Array.from(trades.slice(0, 300), (row) => row[4]))
  })

  test('is read from a file with random access, and from a Blob', async () => {
    const path = dataUrl('btc-perp-1m-polars.parquet').pathname
    for (const file of [await asyncBufferFromFile(path), await openAsBlob(path)] as SeriesFile[]) {
      const chunks = await collect(readBars(file, { format: 'parquet', chunk: 150 }))
      expect(chunks.map(({ ts }) => ts.length)).toEqual([150, 50, 150, 50, 100])
      expect(concatenated(chunks, 'close')).toEqual(expected.close.slice(0, 500))
    }
  })

  test('is read a row group at a time', async () => {
    const pieces = await collect(writeParquet([columnsOf(expected)], { rowGroupPoints: 4_096 }))
    const blob = new Blob(pieces as Uint8Array<ArrayBuffer>[])
    let bytesRead = 0
    const file: RandomAccessFile = {
      byteLength: blob.size,
      slice: async (start, end) => {
        const bytes = await blob.slice(start, end).arrayBuffer()
        bytesRead += bytes.byteLength
        return bytes
      },
    }
    const chunks = readBars(file, { format: 'parquet', chunk: 4_096 })
    await chunks.next()
    const atFirst = bytesRead
    await chunks.next()
    // The index is read at once, in one piece of at most half a megabyte.
    expect(atFirst).toBeLessThan(512 * 1024 + blob.size / 8)
    expect(bytesRead - atFirst).toBeLessThan(blob.size / 8)
    await chunks.return(undefined)
  })

  test('is not read from a stream, and says so', async () => {
    const bytes = readFileSync(dataUrl('btc-perp-1m-pandas.parquet'))
    const failure = await failureOf(collect(readBars([bytes], { format: 'parquet' })))
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(failure.message).toContain('asyncBufferFromFile')
  })

  test('cut off, damaged or something else is refused', async () => {
    const bytes = readFileSync(dataUrl('btc-perp-1m-pandas.parquet'))
    for (const damaged of [bytes.subarray(0, 9_000), Buffer.from('ts,open\n1,2\n'), bytes.subarray(0, -10)]) {
      expect(await codeOf(collect(readBars(damaged, { format: 'parquet' })))).toBe('INVALID_DOCUMENT')
    }
  })

  test('without a column that bars have, or without a time, is refused', async () => {
    const { close: _, ...noClose } = columnsOf(expected, 3)
    const failure = await failureOf(collect(readBars(await toParquet(noClose), { format: 'parquet' })))
    expect(failure).toMatchObject({ code: 'INVALID_DOCUMENT', message: expect.stringContaining('close') })
    const timeless = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'open', data: [1], type: 'DOUBLE' }] }))
    expect(await codeOf(collect(readBars(timeless, { format: 'parquet' })))).toBe('INVALID_DOCUMENT')
  })

  test('local times are those of UTC, or of the offset that is given', async () => {
    const bytes = readFileSync(dataUrl('btc-perp-1m-pandas.parquet'))
    const [bars] = await collect(readBars(bytes, { format: 'parquet', utcOffset: '-05:00' }))
    expect(bars?.ts[0]).toBe((expected.ts[0] as number) + 5 * 3_600_000)
  })

  test.each([
    ['seconds in INT64', 'INT64', [1_640_995_260n, 1_640_995_320n]],
    ['milliseconds in DOUBLE', 'DOUBLE', [1_640_995_260_000, 1_640_995_320_000]],
    ['dates in STRING', 'STRING', ['2022-01-01 00:01:00', '2022-01-01T00:02:00Z']],
  ] as const)('times may be numbers and texts: %s', async (_, type, data) => {
    const columnData = [
      { name: 'Open Time', data: [...data], type },
      ...OHLCV.map((name) => ({ name, data: [1, 2], type: 'DOUBLE' as const })),
    ]
    const [bars] = await collect(readBars(new Uint8Array(parquetWriteBuffer({ columnData })), { format: 'parquet' }))
    expect(bars?.ts).toEqual(Float64Array.of(1_640_995_260_000, 1_640_995_320_000))
  })

  test('with nulls or NaN is refused with their row, unless they are asked for', async () => {
    const columnData = [
      { name: 'ts', data: [1_640_995_260_000n, 1_640_995_320_000n], type: 'INT64' as const },
      ...OHLCV.map((name) => ({ name, data: name === 'low' ? [1, null] : [1, 2], type: 'DOUBLE' as const })),
    ]
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData }))
    expect(await failureOf(collect(readBars(bytes, { format: 'parquet' })))).toMatchObject({
      code: 'INVALID_DOCUMENT',
      details: { line: 2 },
    })
    const [bars] = await collect(readBars(bytes, { format: 'parquet', allowNonFinite: true }))
    expect(bars?.low).toEqual(Float64Array.of(1, Number.NaN))
  })
})

describe('what Holdfast writes as Parquet', () => {
  test('reads back to the same doubles, each bit of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: -1e15, max: 1e15 }), fc.double(), fc.double()), { minLength: 1 }),
        fc.integer({ min: 1, max: 7 }),
        async (rows, rowGroupPoints) => {
          const columns: SeriesColumns = {
            ts: Float64Array.from(rows, ([us]) => us / 1_000),
            value: Float64Array.from(rows, ([, value]) => value),
            other: Float64Array.from(rows, ([, , other]) => other),
            label: rows.map(([us]) => `ä${us % 3}`),
          }
          const bytes = Buffer.concat(await collect(writeParquet([columns], { rowGroupPoints })))
          const chunks = await collect(readValues(bytes, { format: 'parquet', allowNonFinite: true }))
          for (const name of ['ts', 'value', 'other']) {
            expect(bitsOf(concatenated(chunks, name))).toEqual(bitsOf(columns[name] as Float64Array))
          }
          expect(chunks.flatMap(({ label }) => label as string[])).toEqual(columns.label)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('keeps -0, which a dictionary would not', async () => {
    const value = Float64Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? 0 : -0))
    const bytes = await toParquet({ ts: value.map((_, i) => i), value })
    const chunks = await collect(readValues(bytes, { format: 'parquet', timeUnit: 'ms' }))
    expect(bitsOf(concatenated(chunks, 'value'))).toEqual(bitsOf(value))
  })

  test('keeps volumes beyond whole doubles, and decimals digit by digit', async () => {
    const columns = {
      ts: Float64Array.of(1_704_067_200_000, 1_704_067_200_000.25),
      price: ['0.000000010', '123456789012345678901234567890.10'],
      amount: ['9007199254740993', '1000'],
      side: Float64Array.of(1, 0),
    }
    const bytes = await toParquet(columns)
    const [ticks] = await collect(readTicks(bytes, { format: 'parquet', exact: true }))
    expect(ticks).toEqual({ ...columns, side: ['buy', ''] })
    const volume = Float64Array.of(1.5e308, 2 ** 53 + 2)
    const bars = await toParquet({ ...columnsOf(expected, 2), volume })
    expect((await collect(readBars(bars, { format: 'parquet' })))[0]?.volume).toEqual(volume)
  })

  test('comes in row groups of the size asked for, and a piece each', async () => {
    const pieces = await collect(writeParquet(halves(columnsOf(expected, 1_000)), { rowGroupPoints: 300 }))
    const bytes = new Uint8Array(Buffer.concat(pieces))
    expect(parquetMetadata(bytes.buffer).row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([
      300, 300, 300, 100,
    ])
    expect(pieces.length).toBe(4)
    expect(concatenated(await collect(readBars(bytes, { format: 'parquet' })), 'open')).toEqual(
      expected.open.slice(0, 1_000),
    )
  })

  test('of no points is a file without rows', async () => {
    const bytes = Buffer.concat(await collect(writeParquet([])))
    expect(await collect(readValues(bytes, { format: 'parquet' }))).toEqual([])
  })

  test('refuses chunks of different columns', async () => {
    const { close: _, ...fewer } = columnsOf(expected, 2)
    expect(await codeOf(collect(writeParquet([columnsOf(expected, 2), fewer])))).toBe('INVALID_ARGUMENT')
  })

  test('takes bars from one series to another', async () => {
    await store.bars.append('BTC/USDT', '1m', columnsOf(expected))
    const read = readBars(await file(store.bars.scan('BTC/USDT', '1m')), { format: 'parquet' })
    for await (const chunk of read) await store.bars.append('copy', '1m', chunk as never)
    expect({ ...(await store.bars.range('copy', '1m')) }).toEqual({ ...(await store.bars.range('BTC/USDT', '1m')) })
  })

  test('takes exact ticks without a side, quotes without sizes and values without number', async () => {
    const ticks = [
      { ts: 1e12, price: '1.10', amount: '2' },
      { ts: 1e12, price: '1.1', amount: '3', side: 'sell' as const },
    ]
    await store.ticks.append('A', ticks, { exact: true })
    const readBack = readTicks(await file(store.ticks.scan('A')), { format: 'parquet', exact: true })
    await store.ticks.append('B', await only(readBack), { exact: true })
    expect((await store.ticks.range('B')).toRows()).toEqual(ticks)

    const quotes = [
      { ts: 1e12, bid: 1.1, ask: 1.2 },
      { ts: 1e12 + 1, bid: 1.1, ask: 1.2, askSize: 5 },
    ]
    await store.quotes.append('A', quotes)
    await store.quotes.append('B', await only(readQuotes(await file(store.quotes.scan('A')), { format: 'parquet' })))
    expect((await store.quotes.range('B')).toRows()).toEqual(quotes)

    const values = [{ ts: 1e12, regime: 'calm', value: Number.NaN }]
    await store.series('a').append(values)
    const read = readValues(await file(store.series('a').scan()), { format: 'parquet', allowNonFinite: true })
    await store.series('b').append(await only(read))
    expect((await store.series('b').range()).toRows()).toEqual(values)
  })
})

async function file(chunks: AsyncIterable<object>): Promise<Uint8Array> {
  return Buffer.concat(await collect(writeParquet(chunks)))
}

async function only(chunks: AsyncIterable<SeriesColumns>): Promise<never> {
  const [chunk, ...more] = await collect(chunks)
  expect(more).toEqual([])
  return chunk as never
}

function columnsOf(bars: ReturnType<typeof btcBars>, count?: number) {
  return Object.fromEntries(
    ['ts', ...OHLCV].map((name) => [name, bars[name as 'ts'].slice(0, count)]),
  ) as unknown as ReturnType<typeof btcBars>
}

function* halves(columns: object): Generator<object> {
  const { length } = (columns as SeriesColumns).ts
  for (const [from, to] of [
    [0, length >> 1],
    [length >> 1, length],
  ]) {
    yield Object.fromEntries(
      Object.entries(columns as SeriesColumns).map(([name, values]) => [name, values.slice(from, to)]),
    )
  }
}

function concatenated(chunks: readonly SeriesColumns[], name: string): Float64Array {
  return Float64Array.from(chunks.flatMap((chunk) => [...(chunk[name] as Float64Array)]))
}

/** NaN is one value here; its payload is no part of what a double says. */
function bitsOf(values: Float64Array): BigUint64Array {
  return new BigUint64Array(Float64Array.from(values, (value) => (Number.isNaN(value) ? Number.NaN : value)).buffer)
}
