/** `holdfast bars`, `ticks`, `quotes`, `books` and `series`, as a person at a terminal and a script use them. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { btcBars } from '../../data/btc-bars.ts'
import { type CommandRun, runCommand } from '../run-command.ts'
import { makeStore, temporaryDirectory } from '../test-store.ts'

const data = (name: string) => fileURLToPath(new URL(`../../data/${name}`, import.meta.url))
const real = btcBars()
const dir = await makeStore()

async function holdfast(...args: readonly string[]): Promise<CommandRun> {
  return await runCommand({ args: [...args, '--dir', dir] })
}

/** At once: commands that only read the store. */
async function reading(...commands: readonly (readonly string[])[]): Promise<CommandRun[]> {
  return await Promise.all(commands.map((args) => holdfast(...args)))
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('bars', () => {
  test('are imported from a gzipped file, and once more without being written twice', async () => {
    const first = await holdfast('bars', 'import', 'BTC/USDT', '1m', data('btc-perp-1m.csv.gz'))
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(first.stdout).toContain('45,031 points, 45,031 new')
    const again = await holdfast('bars', 'import', 'BTC/USDT', '1m', data('btc-perp-1m.csv.gz'), '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ points: 45_031, written: 0 })
    const [info] = JSON.parse((await holdfast('bars', 'list', '--json')).stdout).series
    expect(info).toMatchObject({ kind: 'bars', symbol: 'BTC/USDT', interval: '1m', count: 45_031, firstTs: real.ts[0] })
  })

  test('are shown as a table, as CSV and as JSON lines', async () => {
    const last = real.ts.length - 1
    const show = ['bars', 'show', 'BTC/USDT', '1m']
    const span = ['--from', '2022-01-01T00:00', '--to', '2022-01-01T00:03']
    const [table, csv, json] = (await reading(
      [...show, '--last', '2'],
      [...show, '--last', '1', '--csv'],
      [...show, ...span, '--json'],
    )) as [CommandRun, CommandRun, CommandRun]
    expect(table.stdout.split('\n')[0]).toMatch(/^time \(UTC\)\s+open\s+high\s+low\s+close\s+volume$/)
    expect(table.stdout.trim().split('\n')).toHaveLength(4)
    expect(csv.stdout).toBe(
      `timestamp,open,high,low,close,volume\n${[real.ts, real.open, real.high, real.low, real.close, real.volume].map((column) => column[last]).join(',')}\n`,
    )
    expect(jsonLines(json.stdout).map(({ ts }) => new Date(ts).toISOString())).toEqual(
      ['00', '01', '02'].map((minute) => `2022-01-01T00:${minute}:00.000Z`),
    )
  })

  test('are drawn as candles that fit the width, with scale, volume and times', async () => {
    const { stdout, exitCode } = await holdfast('bars', 'show', 'BTC/USDT', '1m', '--last', '50', '--plot')
    expect(exitCode).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(22)
    expect(lines[0]).toMatch(/^.{50} ┤\d+/)
    expect(stdout).toMatch(/[█▀▄▒]/)
    expect(lines[20]).toMatch(/^[ ▁▂▃▄▅▆▇█]{50} volume$/)
    expect(lines[21]).toMatch(/^2022-\d\d-\d\d \d\d:\d\d\s+2022-\d\d-\d\d \d\d:\d\d$/)
    expect(lines.every((line) => line.length <= 80)).toBe(true)
  })

  test('are resampled, shown or stored', async () => {
    const resample = ['bars', 'resample', 'BTC/USDT', '1m', '1d']
    const [day, two] = (await reading([...resample, '--json'], [...resample, '--last', '2'])) as [
      CommandRun,
      CommandRun,
    ]
    const days = jsonLines(day.stdout)
    expect(days[1]).toMatchObject({ ts: Date.UTC(2022, 0, 1) })
    expect(days[1].vwap).toBeGreaterThan(days[1].low)
    expect(two.stdout.trim().split('\n')).toHaveLength(4)
    const saved = await holdfast(...resample, '--save')
    expect(saved.stdout).toContain(`${days.length} bars of 1d, ${days.length} new`)
    expect(
      jsonLines((await holdfast('bars', 'show', 'BTC/USDT', '1d', '--last', '1000', '--json')).stdout),
    ).toHaveLength(days.length)
    expect((await holdfast(...resample, '--save', '--from', '2022-01-01')).exitCode).toBe(2)
  })

  test('are exported and read back the same', async () => {
    const out = temporaryDirectory()
    const day = ['bars', 'export', 'BTC/USDT', '1m', '--from', '2022-01-10', '--to', '2022-01-11']
    const formats = ['binance', 'feather', 'parquet']
    const pathOf = (format: string) => join(out, `copy.${format === 'binance' ? 'csv' : format}`)
    const [original, ...exports] = (await reading(
      day,
      ...formats.map((format) => [...day, '--format', format, '--out', pathOf(format)]),
    )) as [CommandRun, ...CommandRun[]]
    expect(original.stdout.split('\n')).toHaveLength(1_442)
    for (const [i, { stdout, stderr }] of exports.entries()) {
      expect(stdout).toContain('1,440 points')
      expect(stderr).toContain('NOT encrypted')
      expect(statSync(pathOf(formats[i] as string)).mode & 0o777).toBe(0o600)
    }
    // A bar is written again where a bit of it differs.
    for (const [i, format] of formats.entries()) {
      const named = format === 'binance' ? ['--format', format] : []
      const { stdout } = await holdfast('bars', 'import', 'COPY', '1m', pathOf(format), ...named, '--json')
      expect(JSON.parse(stdout)).toMatchObject({ points: 1_440, written: i === 0 ? 1_440 : 0 })
    }
    const [copy, refused] = (await reading(
      ['bars', 'export', 'COPY', '1m'],
      ['bars', 'export', 'BTC/USDT', '1m', '--out', pathOf('binance')],
    )) as [CommandRun, CommandRun]
    expect(copy.stdout).toBe(original.stdout)
    expect(refused.exitCode).toBe(10)
  })

  test('that are missing are listed', async () => {
    const path = join(temporaryDirectory(), 'gap.csv')
    writeFileSync(path, 'ts,o,h,l,c,v\n1704067200000,1,1,1,1,1\n1704067260000,1,1,1,1,1\n1704067440000,1,1,1,1,1\n')
    await holdfast('bars', 'import', 'GAP', '1m', path)
    const { gaps } = JSON.parse((await holdfast('bars', 'gaps', 'GAP', '1m', '--json')).stdout)
    expect(gaps).toEqual([{ after: 1_704_067_260_000, before: 1_704_067_440_000, missing: 2 }])
  })

  test('come from standard input, too', async () => {
    const args = ['bars', 'import', 'PIPED', '1m', '-', '--format', 'ccxt', '--json', '--dir', dir]
    const { stdout } = await runCommand({ args, input: '[[1704067200000,1,2,0.5,1,9]]' })
    expect(JSON.parse(stdout)).toMatchObject({ points: 1, written: 1 })
    // Parquet has its index at its end.
    expect((await holdfast('bars', 'import', 'PIPED', '1m', '-', '--format', 'parquet')).exitCode).toBe(2)
  })
})

describe('a file with a fault', () => {
  const path = join(temporaryDirectory(), 'fault.csv')
  writeFileSync(path, `ts,o,h,l,c,v\n${'1704067200000,1,1,1,1,1\n'.repeat(3)}1704067260000,1,1,x,1,1\n`)

  test('is refused with its line and exit code 9, and no value is quoted', async () => {
    const { exitCode, stderr } = await holdfast('bars', 'import', 'BAD', '1m', path)
    expect(exitCode).toBe(9)
    expect(stderr).toContain('line 5, low: not a number')
    expect(stderr).toContain('safe to import')
    const { stderr: json } = await holdfast('bars', 'import', 'BAD', '1m', path, '--json')
    expect(jsonLines(json).at(-1).error).toMatchObject({
      code: 'INVALID_DOCUMENT',
      details: { line: 5, column: 'low' },
    })
  })

  test('can be tried without writing', async () => {
    const { stdout } = await holdfast('bars', 'import', 'DRY', '1m', data('btc-perp-1m.csv.gz'), '--dry-run')
    expect(stdout).toContain('45,031 points, nothing written')
    expect((await holdfast('bars', 'show', 'DRY', '1m')).exitCode).toBe(3)
  })

  test('may be cut off, missing, or in a format nobody named', async () => {
    const cut = join(temporaryDirectory(), 'cut.csv.gz')
    writeFileSync(cut, readFileSync(data('btc-perp-1m.csv.gz')).subarray(0, 5_000))
    expect((await holdfast('bars', 'import', 'CUT', '1m', cut)).exitCode).toBe(9)
    expect((await holdfast('bars', 'import', 'X', '1m', '/nowhere/file.csv')).exitCode).toBe(13)
    const { exitCode, stderr } = await holdfast('bars', 'import', 'X', '1m', path.replace('.csv', '.dat'))
    expect(exitCode).toBe(2)
    expect(stderr).toContain('--format')
  })
})

describe('ticks, quotes and values', () => {
  test('are imported, shown and exported', async () => {
    const ticks = await holdfast(
      'ticks',
      'import',
      'XRP/ETH',
      data('xrp-eth-trades.json.gz'),
      '--format',
      'freqtrade',
      '--exact',
    )
    expect(ticks).toMatchObject({ exitCode: 0, stderr: '' })
    const [first] = jsonLines(
      (await holdfast('ticks', 'show', 'XRP/ETH', '--to', '2019-10-11T00:00:12', '--json')).stdout,
    )
    expect(first).toEqual({ ts: 1_570_752_011_620, price: '0.00141342', amount: '23.0', side: 'sell', id: '13519807' })
    const quotes = await holdfast('quotes', 'import', 'EUR/USD', data('eurusd-quotes.csv.gz'), '--format', 'histdata')
    expect(quotes.stdout).toContain('9,500 points')
    expect((await holdfast('quotes', 'show', 'EUR/USD', '--last', '1', '--json')).stdout).toMatch(
      /^\{"ts":\d+,"bid":[\d.]+,"ask":[\d.]+\}\n$/,
    )
    const path = join(temporaryDirectory(), 'alpha.csv')
    writeFileSync(path, 'time,value,regime\n2024-01-01,0.25,calm\n2024-01-02,NaN,wild\n')
    expect((await holdfast('series', 'import', 'signal.alpha', path, '--texts', 'regime')).exitCode).toBe(9)
    expect(
      (await holdfast('series', 'import', 'signal.alpha', path, '--texts', 'regime', '--allow-nan')).exitCode,
    ).toBe(0)
    const [exported, shown] = (await reading(
      ['series', 'export', 'signal.alpha', '--iso'],
      ['series', 'show', 'signal.alpha', '--json'],
    )) as [CommandRun, CommandRun]
    expect(exported.stdout).toBe(
      'timestamp,regime,value\n2024-01-01T00:00:00.000Z,calm,0.25\n2024-01-02T00:00:00.000Z,wild,NaN\n',
    )
    expect(jsonLines(shown.stdout)[1]).toMatchObject({ value: null })
  })

  test('are all listed, and compacted', async () => {
    const { series } = JSON.parse((await holdfast('series', 'list', '--json')).stdout)
    expect(new Set(series.map(({ kind }: { kind: string }) => kind))).toEqual(
      new Set(['bars', 'ticks', 'quotes', 'values']),
    )
    expect((await holdfast('series', 'compact')).stdout).toMatch(/blocks? written/)
    expect((await holdfast('ticks', 'show', 'NONE')).exitCode).toBe(3)
  })
})

describe('order books', () => {
  test('are imported and shown for a moment; a gap has a message of its own', async () => {
    expect((await holdfast('books', 'import', 'BTCUSDT', data('btcusdt-depth-snap.csv'))).stdout).toContain('1 event')
    await holdfast('books', 'import', 'BTCUSDT', data('btcusdt-depth-update.csv'))
    const path = join(temporaryDirectory(), 'depth.jsonl')
    const show = ['books', 'show', 'BTCUSDT']
    const [shown, gap, json, list, exported, none] = (await reading(
      [...show, '--at', '1667346579146', '--depth', '2'],
      show,
      [...show, '--at', '2022-11-01T23:50', '--json'],
      ['books', 'list'],
      ['books', 'export', 'BTCUSDT', '--out', path],
      ['books', 'export', 'NONE'],
    )) as [CommandRun, CommandRun, CommandRun, CommandRun, CommandRun, CommandRun]
    expect(
      shown.stdout
        .split('\n')
        .slice(3, 5)
        .map((line) => line.trim().split(/\s+/)),
    ).toEqual([
      ['1.770', '20377.00'],
      ['0.001', '20376.90'],
    ])
    expect(gap.exitCode).toBe(3)
    expect(gap.stderr).toContain('2098021528332')
    expect(JSON.parse(json.stdout).bids).toHaveLength(100)
    expect(list.stdout).toContain('delta')
    expect(exported.stdout).toContain('2 events')
    expect(exported.stderr).toContain('NOT encrypted')
    expect(none.exitCode).toBe(3)
    expect((await holdfast('books', 'import', 'COPY', path)).stdout).toContain('2 events')
    const [head, ...rows] = (await holdfast('books', 'export', 'COPY')).stdout.trimEnd().split('\n')
    const original = ['btcusdt-depth-snap.csv', 'btcusdt-depth-update.csv'].flatMap((name) =>
      readFileSync(data(name), 'utf8').trimEnd().split(/\r?\n/).slice(1),
    )
    expect(head).toBe('symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu')
    expect(rows.map((row) => row.replace('COPY', 'BTCUSDT')).sort()).toEqual(original.sort())
  })
})

describe('rules', () => {
  test('are set, listed, applied and removed', async () => {
    const set = [
      'series',
      'rules',
      'set',
      'minutes',
      '--symbol',
      'BTC/USDT',
      '--interval',
      '1m',
      '--keep',
      '45d',
      '--downsample',
      '1h',
    ]
    expect((await holdfast(...set)).exitCode).toBe(0)
    expect((await holdfast('series', 'rules', 'list')).stdout).toMatch(/minutes\s+bars BTC\/USDT 1m\s+45d\s+1h/)
    const applied = await holdfast('series', 'rules', 'apply', 'minutes')
    expect(applied.stdout).toMatch(/minutes: bars BTC\/USDT 1m: \d+ bars made, 45,031 points deleted/)
    const shown = await reading(['bars', 'show', 'BTC/USDT', '1m'], ['bars', 'show', 'BTC/USDT', '1h', '--last', '3'])
    expect(shown.map(({ exitCode }) => exitCode)).toEqual([3, 0])
    expect((await holdfast('series', 'rules', 'remove', 'minutes')).exitCode).toBe(0)
    expect((await holdfast('series', 'rules', 'remove', 'minutes')).exitCode).toBe(3)
    expect((await holdfast('series', 'rules', 'set', 'bad', '--keep', '1M')).exitCode).toBe(2)
  })
})
