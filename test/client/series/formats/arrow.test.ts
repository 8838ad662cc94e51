/** Arrow in and out, and Feather as freqtrade and pandas write it. */
import { readFileSync } from 'node:fs'
import { tableFromIPC } from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toArrow } from '../../../../src/client/series/formats/arrow-series.ts'
import { decompressLz4Frame } from '../../../../src/client/series/formats/lz4-frame.ts'
import { readBars, readQuotes, readTicks, type SeriesColumns, writeArrow } from '../../../../src/index.ts'
import { btcBars } from '../../../data/btc-bars.ts'
import { codeOf, collect, failureOf } from '../../fixtures/temp-store.ts'

const feather = readFileSync(new URL('../../../data/btc-perp-1m-freqtrade.feather', import.meta.url))
const expected = btcBars()

describe('Feather of freqtrade', () => {
  test('is read exactly, with its LZ4-compressed columns', async () => {
    const [bars] = await collect(readBars(feather, { format: 'arrow' }))
    expect(bars?.ts).toEqual(expected.ts.subarray(0, 500))
    for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
      expect(bars?.[name]).toEqual(expected[name].subarray(0, 500))
    }
  })

  test('comes in chunks of the size asked for', async () => {
    const chunks = await collect(readBars(feather, { format: 'arrow', chunk: 200 }))
    expect(chunks.map(({ ts }) => ts.length)).toEqual([200, 200, 100])
  })

  test('is refused where it was cut off or is something else', async () => {
    for (const bytes of [
      feather.subarray(0, 2_000),
      Buffer.from('ts,open\n1,2\n'),
      feather.subarray(0, feather.length - 20),
    ]) {
      expect(await codeOf(collect(readBars(bytes, { format: 'arrow' })))).toBe('INVALID_DOCUMENT')
    }
  })
})

describe('Arrow', () => {
  const bars: SeriesColumns = {
    ts: expected.ts.slice(0, 3),
    open: expected.open.slice(0, 3),
    close: expected.close.slice(0, 3),
  }
  const ticks: SeriesColumns = {
    ts: Float64Array.of(1_704_067_200_000.25, 1_704_067_200_001),
    price: Float64Array.of(1.5, 2),
    amount: Float64Array.of(0.1, -0),
    side: ['buy', 'sell'],
  }

  test('tables share their numbers with the columns', async () => {
    const table = await toArrow(bars)
    expect(table.numRows).toBe(3)
    expect(table.getChild('open')?.toArray().buffer).toBe((bars.open as Float64Array).buffer)
    expect(table.getChild('timestamp')?.get(0)).toBe(expected.ts[0])
  })

  test.each(['stream', 'file'] as const)('written as a %s reads back exactly', async (container) => {
    const bytes = Buffer.concat(await collect(writeArrow([ticks, ticks], { container })))
    expect(tableFromIPC(bytes).numRows).toBe(4)
    const read = await collect(readTicks([bytes], { format: 'arrow' }))
    expect(read).toEqual([ticks, ticks])
  })

  test('with nulls or NaN is refused, unless they are asked for', async () => {
    const holes = {
      ...bars,
      high: bars.open,
      low: Float64Array.of(1, Number.NaN, 2),
      volume: bars.open,
    } as SeriesColumns
    const bytes = Buffer.concat(await collect(writeArrow([holes])))
    const failure = await failureOf(collect(readBars(bytes, { format: 'arrow' })))
    expect(failure).toMatchObject({ code: 'INVALID_DOCUMENT', details: { line: 2 } })
    const [read] = await collect(readBars(bytes, { format: 'arrow', allowNonFinite: true }))
    expect(read?.low).toEqual(holes.low)
  })

  test('keeps exact digits, sides that are not known and sizes that are missing', async () => {
    const exact = { ts: ticks.ts, price: ['1.10', '2'], amount: ['0.50', '3'], side: Float64Array.of(0, -1) }
    const bytes = Buffer.concat(await collect(writeArrow([exact])))
    expect(await collect(readTicks(bytes, { format: 'arrow', exact: true }))).toEqual([
      { ...exact, side: ['', 'sell'] },
    ])
    const quotes = { ts: ticks.ts, bid: ticks.price, ask: ticks.price, bidSize: Float64Array.of(Number.NaN, 5) }
    const [read] = await collect(readQuotes(Buffer.concat(await collect(writeArrow([quotes]))), { format: 'arrow' }))
    expect(read).toEqual(quotes)
  })

  test('without a column that bars have is refused', async () => {
    const bytes = Buffer.concat(await collect(writeArrow([bars])))
    expect((await failureOf(collect(readBars(bytes, { format: 'arrow' })))).message).toContain('high')
  })
})

describe('an LZ4 frame', () => {
  test('that is damaged is refused or decompressed, and never runs away', () => {
    const start = feather.indexOf(Buffer.from([0x04, 0x22, 0x4d, 0x18]))
    const frame = feather.subarray(start)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 5 }), (changes) => {
        const damaged = Uint8Array.from(frame)
        for (const [at, byte] of changes) damaged[at] = byte
        try {
          return decompressLz4Frame(damaged).length <= frame.length * 255
        } catch (error) {
          return (error as { code?: string }).code === 'INVALID_DOCUMENT'
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
