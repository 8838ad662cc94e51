import { createReadStream, readFileSync } from 'node:fs'
import { createGunzip, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isStoreError,
  readBars,
  readQuotes,
  readTicks,
  type SeriesColumns,
  writeSeries,
} from '../../../../src/index.ts'
import { btcBars } from '../../../data/btc-bars.ts'

const dataFile = (name: string) => new URL(`../../../data/${name}`, import.meta.url)
const unzipped = (name: string) => createReadStream(dataFile(name)).pipe(createGunzip())

async function all(chunks: AsyncIterable<SeriesColumns>): Promise<Record<string, (number | string)[]>> {
  const joined: Record<string, (number | string)[]> = {}
  for await (const chunk of chunks) {
    for (const [name, values] of Object.entries(chunk)) {
      const column = joined[name] ?? []
      for (const value of values) column.push(value)
      joined[name] = column
    }
  }
  return joined
}

async function fault(chunks: AsyncIterable<SeriesColumns>): Promise<{ line: unknown; message: string }> {
  try {
    await all(chunks)
  } catch (error) {
    if (isStoreError(error) && error.code === 'INVALID_DOCUMENT')
      return { line: error.details.line, message: error.message }
    throw error
  }
  throw new Error('the file was accepted')
}

async function text(chunks: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const piece of chunks) whole += piece
  return whole
}

const KLINE = '1704067200000,42283.58,42298.62,42261.02,42298.61,35.92724,1704067259999,1519032.77,1327,20.1,851.2,0'

describe('a side that is not known', () => {
  it('is written as nothing, and read back as none', async () => {
    const ticks = { ts: [1.7e12, 1.7e12 + 1], price: [1, 2], amount: [3, 4] }
    const columns = { ...ticks, side: Float64Array.of(0, -1) }
    const chunk = Object.fromEntries(
      Object.entries(columns).map(([name, values]) => [name, Float64Array.from(values)]),
    ) as unknown as SeriesColumns
    const written = await text(writeSeries([chunk], { format: 'csv' }))
    expect(await all(readTicks(written, { format: 'csv' }))).toEqual({ ...ticks, side: ['', 'sell'] })
    // A layout that has a side in every row is another matter.
    const row = '[1570752011620,"1",null,"",0.1,23.0,0.03]'
    expect(await fault(readTicks(`[${row}]`, { format: 'freqtrade' }))).toMatchObject({ line: 1 })
  })
})

describe('real files', () => {
  it('reads every bar of the BTC file, in chunks of the size asked for', async () => {
    const expected = btcBars()
    const sizes: number[] = []
    let first: SeriesColumns | undefined
    for await (const chunk of readBars(unzipped('btc-perp-1m.csv.gz'), { format: 'csv', chunk: 10_000 })) {
      first ??= chunk
      sizes.push(chunk.ts.length)
    }
    expect(sizes).toEqual([10_000, 10_000, 10_000, 10_000, 5_031])
    expect(first?.ts).toEqual(expected.ts.subarray(0, 10_000))
    expect(first?.volume).toEqual(expected.volume.subarray(0, 10_000))
  })

  it('reads the histdata quotes, whose times are Eastern Standard Time', async () => {
    const quotes = await all(readQuotes(unzipped('eurusd-quotes.csv.gz'), { format: 'histdata' }))
    expect(quotes.ts).toHaveLength(9_500)
    expect(new Date(quotes.ts?.[0] as number).toISOString()).toBe('2020-01-01T22:00:00.065Z')
    expect([quotes.bid?.[0], quotes.ask?.[0]]).toEqual([1.1212, 1.12172])
  })

  it('reads the freqtrade trades, with exact digits when asked', async () => {
    const ticks = await all(readTicks(unzipped('xrp-eth-trades.json.gz'), { format: 'freqtrade', exact: true }))
    const whole = JSON.parse(gunzipSync(readFileSync(dataFile('xrp-eth-trades.json.gz'))).toString()) as unknown[][]
    expect(ticks.ts).toEqual(whole.map((row) => row[0]))
    expect(ticks.id).toEqual(whole.map((row) => row[1]))
    expect(ticks.side).toEqual(whole.map((row) => row[3]))
    expect([ticks.price?.[0], ticks.amount?.[0]]).toEqual(['0.00141342', '23.0'])
    expect(ticks.price?.map(Number)).toEqual(whole.map((row) => row[4]))
  })
})

describe('layouts of bars', () => {
  const bar = {
    ts: [1704067200000],
    open: [42283.58],
    high: [42298.62],
    low: [42261.02],
    close: [42298.61],
    volume: [35.92724],
  }

  it('takes Binance klines without names, and with them', async () => {
    const names =
      'open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore'
    expect(await all(readBars(KLINE, { format: 'binance' }))).toEqual(bar)
    expect(await all(readBars(`${names}\r\n${KLINE}\r\n`, { format: 'binance' }))).toEqual(bar)
  })

  it('takes ccxt arrays as JSON, JSON Lines and CSV', async () => {
    const row = '1704067200000,42283.58,42298.62,42261.02,42298.61,35.92724'
    for (const file of [`[[${row}]]`, `[\n [${row}]\n]\n`, `[${row}]\n`, row, `ts,o,h,l,c,v\n${row}\n`]) {
      expect(await all(readBars(file, { format: 'ccxt' }))).toEqual(bar)
    }
  })

  it('takes objects by their names, whatever their order, and passes over nested values', async () => {
    const json =
      '[{"volume":"35.92724","info":{"x":[1,"]}"]},"close":42298.61,"low":42261.02,"high":42298.62,"open":42283.58,"timestamp":1704067200000}]'
    expect(await all(readBars(json, { format: 'json' }))).toEqual(bar)
  })

  it('takes quoted fields, other delimiters and a byte order mark', async () => {
    const file =
      '\uFEFF"Date";"Open";"High";"Low";"Close";"Volume"\n"2024-01-01 00:00:00";42283.58;42298.62;42261.02;42298.61;"35.92724"\n'
    expect(await all(readBars(file, { format: 'csv', delimiter: ';' }))).toEqual(bar)
  })

  it('takes ccxt trades and Binance trades with the side of the taker', async () => {
    const ccxt =
      '[{"id":"7","timestamp":1704067200000,"side":"sell","price":1.5,"amount":2,"fee":{"cost":1},"fees":[]}]'
    const tick = { ts: [1704067200000], price: [1.5], amount: [2], side: ['sell'], id: ['7'] }
    expect(await all(readTicks(ccxt, { format: 'ccxt' }))).toEqual(tick)
    expect(await all(readTicks('7,1.5,2,3,1704067200000,True,True', { format: 'binance' }))).toEqual(tick)
    expect(await all(readTicks('7,1.5,2,70,71,1704067200000,True,True', { format: 'binance-agg' }))).toEqual(tick)
  })
})

describe('time stamps', () => {
  const bars = (time: string) => `${time},1,2,0.5,1,9`
  const first = async (time: string, options = {}) =>
    (await all(readBars(bars(time), { format: 'ccxt', ...options }))).ts?.[0]

  it('count in the unit that their digits name', async () => {
    expect(await first('1704067200')).toBe(1704067200000)
    expect(await first('1704067200000')).toBe(1704067200000)
    expect(await first('1704067200000250')).toBe(1704067200000.25)
    expect(await first('1704067200000250000')).toBe(1704067200000.25)
    expect(await first('1704067200.125')).toBe(1704067200125)
  })

  it('are refused when their digits name none, unless the unit is given', async () => {
    const { line, message } = await fault(readBars(bars('170406720'), { format: 'ccxt' }))
    expect(line).toBe(1)
    expect(message).toContain('timeUnit')
    expect(await first('170406720', { timeUnit: 's' })).toBe(170406720000)
    expect(await first('0', { timeUnit: 'ms' })).toBe(0)
  })

  it('are refused at the line where their unit changes', async () => {
    const { line } = await fault(
      readBars([bars('1735689540000'), bars('1735689600000000')].join('\n'), { format: 'ccxt' }),
    )
    expect(line).toBe(2)
  })

  it('as dates keep offsets and fractions, and days that do not exist are refused', async () => {
    expect(await first('2024-01-01T05:30:00.250+05:30')).toBe(1704067200250)
    expect(await first('2024-01-01')).toBe(1704067200000)
    expect(await first('2024-01-01 00:00:00.000250')).toBe(1704067200000.25)
    expect(await first('2023-12-31 19:00:00', { utcOffset: '-05:00' })).toBe(1704067200000)
    for (const bad of ['2024-02-30', '2024-13-01', '2024-01-01 24:01', '2024-01-01 00:00:60', 'yesterday', '']) {
      await fault(readBars(`ts,o,h,l,c,v\n${bars(bad)}`, { format: 'csv' }))
    }
  })
})

describe('faults', () => {
  const good = '1704067200000,1,2,0.5,1,9'
  const badCells = ['', ' ', 'abc', '0x10', '1,000', '1e999', 'NaN', 'inf', '--1', '1_000', '١', 'null', '"1"2']

  it('name the line and the column, and not the value', async () => {
    for (const cell of badCells.filter((each) => !/[",]/.test(each))) {
      const { line, message } = await fault(readBars(`${good}\n1704067260000,1,2,${cell},1,9`, { format: 'ccxt' }))
      expect(line).toBe(2)
      expect(message).toContain('low')
      if (cell.trim().length > 2) expect(message.replace('not a number', '')).not.toContain(cell)
    }
  })

  it('of NaN and infinity are none where they are asked for', async () => {
    const { low } = await all(
      readBars(`${good}\n1704067260000,1,2,NaN,1,9\n1704067320000,1,2,-inf,1,9`, {
        format: 'ccxt',
        allowNonFinite: true,
      }),
    )
    expect(low).toEqual([0.5, Number.NaN, Number.NEGATIVE_INFINITY])
  })

  it('are rows with too few or too many fields', async () => {
    expect((await fault(readBars(`${good}\n\n1704067260000,1,2,1`, { format: 'ccxt' }))).line).toBe(3)
    expect((await fault(readBars(`${good},1`, { format: 'ccxt' }))).line).toBe(1)
    expect((await fault(readBars(`${KLINE}\n${KLINE.slice(0, 60)}`, { format: 'binance' }))).line).toBe(2)
  })

  it('are files that were cut off anywhere', async () => {
    const json = '[[1704067200000,1,2,0.5,1,9],\n[1704067260000,1,2,0.5,1,9]]'
    for (let length = 0; length < json.length; length += 1) {
      const cut = json.slice(0, length)
      if (length === 0) expect(await all(readBars(cut, { format: 'json' }))).toEqual({})
      else await fault(readBars(cut, { format: 'json' }))
    }
    await fault(readBars('', { format: 'csv' }))
  })

  it('are rows that are not valid JSON, and anything between rows', async () => {
    for (const bad of [
      '[[1704067200000,1,2,0.5,1,9] [1]]',
      '[[1704067200000,1,2,0.5,1,]]',
      '[[1704067200000,01,2,0.5,1,9]]',
      '[[1704067200000,1.,2,0.5,1,9]]',
      '[[1704067200000,1,2,0.5,1,9],]',
      '[[1704067200000,1,2,0.5,1,9]] x',
      '[{"ts":1704067200000,"open" 1}]',
      '{"ts":1704067200000,"open":[1}',
      'x',
    ]) {
      await fault(readBars(bad, { format: 'json' }))
    }
  })

  it('are columns that are missing, and bytes that are not text', async () => {
    expect((await fault(readBars('ts,open,high,low,volume\n', { format: 'csv' }))).message).toContain('close')
    await fault(readBars(new Uint8Array([0x1f, 0x8b, 8, 0, 0xff, 0xfe]), { format: 'csv' }))
  })

  it('in the middle come after the chunks before them, never instead of an end', async () => {
    const file = `${`${good}\n`.repeat(25)}broken`
    let rows = 0
    await expect(
      (async () => {
        for await (const chunk of readBars(file, { format: 'ccxt', chunk: 10 })) rows += chunk.ts.length
      })(),
    ).rejects.toMatchObject({ code: 'INVALID_DOCUMENT', details: { line: 26 } })
    expect(rows).toBe(20)
  })

  it('of options are told as such', async () => {
    expect(() => readBars('', { format: 'toString' as never })).toThrow(/csv, json/)
    await expect(all(readBars(good, { format: 'ccxt', utcOffset: 'EST' }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})

describe('a file that was written', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
  const columns = fc
    .array(
      fc.tuple(fc.integer({ min: 1_000_000_000_000, max: 9_999_999_999_999 }), finite, finite, finite, finite, finite),
      { maxLength: 30 },
    )
    .map((rows) => {
      const column = (index: number) => Float64Array.from(rows, (row) => row[index] as number)
      return { ts: column(0), open: column(1), high: column(2), low: column(3), close: column(4), volume: column(5) }
    })

  it('reads back to the same doubles in every format, cut into pieces at any place', async () => {
    const formats = [
      ['csv', 'csv'],
      ['json', 'json'],
      ['jsonl', 'json'],
      ['ccxt', 'ccxt'],
      ['freqtrade', 'freqtrade'],
      ['binance', 'binance'],
    ] as const
    await fc.assert(
      fc.asyncProperty(
        columns,
        fc.constantFrom(...formats),
        fc.integer({ min: 1, max: 50 }),
        async (bars, [write, read], size) => {
          const file = Buffer.from(await text(writeSeries([bars], { format: write, intervalMs: 60_000 })))
          const pieces: Uint8Array[] = []
          for (let at = 0; at < file.length; at += size) pieces.push(file.subarray(at, at + size))
          const back = file.length === 0 ? {} : await all(readBars(pieces, { format: read }))
          return Object.entries(bars).every(([name, values]) =>
            [...values].every((value, i) => Object.is(value, back[name]?.[i])),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  it('holds NaN as CSV, and as JSON not at all', async () => {
    const signal = { ts: Float64Array.of(1_704_067_200_000), value: Float64Array.of(Number.NaN) }
    expect(await text(writeSeries([signal], { format: 'csv' }))).toBe('timestamp,value\n1704067200000,NaN\n')
    await expect(text(writeSeries([signal], { format: 'json' }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('has ISO times when asked, to the microsecond', async () => {
    const ticks = { ts: Float64Array.of(1_704_067_200_000.25), price: ['1.50'], note: ['a,"b"'] }
    const csv = await text(writeSeries([ticks], { format: 'csv', time: 'iso' }))
    expect(csv).toBe('timestamp,price,note\n2024-01-01T00:00:00.000250Z,1.50,"a,""b"""\n')
  })

  it('is a whole file, when there are no points', async () => {
    const none = { ts: new Float64Array(0), price: new Float64Array(0) }
    expect(await text(writeSeries([none], { format: 'json' }))).toBe('[]\n')
    expect(await text(writeSeries([none], { format: 'csv' }))).toBe('timestamp,price\n')
    expect(await text(writeSeries([], { format: 'ccxt' }))).toBe('[]\n')
  })

  it('is bars where the format is for bars', async () => {
    const ticks = { ts: Float64Array.of(1), price: ['1'] }
    await expect(text(writeSeries([ticks], { format: 'ccxt' }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
