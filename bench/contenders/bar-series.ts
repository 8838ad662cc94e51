/** Bars as each store keeps them best, asked for as a strategy wants them: typed arrays on the main thread. */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3-multiple-ciphers'
import type { BarColumns } from '../real-bars.ts'
import type { ContenderName, Secrets } from './contender.ts'
import { openHoldfast } from './holdfast.ts'
import { DURABLE_PRAGMAS } from './sql-schema.ts'

export interface BarSeriesStore {
  /** Resolves when all are on disk. */
  append(symbol: string, bars: BarColumns): Promise<void>
  range(symbol: string): Promise<BarColumns>
  /** The number of one-hour bars. */
  resample(symbol: string): Promise<number>
  last(symbol: string, count: number): Promise<number>
  bytesPerBar(symbol: string): Promise<number>
  close(): Promise<void>
}

export async function openBarSeries(name: ContenderName, dir: string, secrets: Secrets): Promise<BarSeriesStore> {
  return name === 'holdfast' ? await ofHoldfast(dir, secrets) : ofRows(dir, secrets)
}

async function ofHoldfast(dir: string, secrets: Secrets): Promise<BarSeriesStore> {
  const store = await openHoldfast(dir, secrets)
  return {
    append: async (symbol, bars) => void (await store.bars.append(symbol, '1m', bars)),
    range: async (symbol) => await store.bars.range(symbol, '1m'),
    resample: async (symbol) => (await store.bars.resample(symbol, { from: '1m', to: '1h' })).length,
    last: async (symbol, count) => (await store.bars.last(symbol, '1m', count)).length,
    async bytesPerBar(symbol) {
      const info = await store.bars.info(symbol, '1m')
      return info === null ? Number.NaN : info.bytes / info.count
    },
    close: () => store.close(),
  }
}

const INSERT = 'INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET open = excluded.open'
const SELECT = 'SELECT ts, open, high, low, close, volume FROM bars WHERE symbol = ? ORDER BY ts'
const LAST = 'SELECT * FROM (SELECT * FROM bars WHERE symbol = ? ORDER BY ts DESC LIMIT ?) ORDER BY ts'
const RESAMPLE = `SELECT ts / 3600000 AS hour, open, max(high), min(low), close, sum(volume), max(ts)
  FROM bars WHERE symbol = ? GROUP BY hour`

/** A row a bar, as one would do it by hand: better-sqlite3-multiple-ciphers on the main thread. */
function ofRows(dir: string, secrets: Secrets): BarSeriesStore {
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 'bars.db')
  const database = new Database(path)
  for (const pragma of [`cipher = 'sqlcipher'`, 'legacy = 4', `key = "x'${secrets.rawKey}'"`]) database.pragma(pragma)
  for (const pragma of DURABLE_PRAGMAS) database.exec(pragma)
  database.exec(
    'CREATE TABLE bars (symbol TEXT, ts INTEGER, open REAL, high REAL, low REAL, close REAL, volume REAL, PRIMARY KEY (symbol, ts)) WITHOUT ROWID',
  )
  const insert = database.prepare(INSERT)
  const appendAll = database.transaction((symbol: string, { ts, open, high, low, close, volume }: BarColumns) => {
    for (let i = 0; i < ts.length; i++) insert.run(symbol, ts[i], open[i], high[i], low[i], close[i], volume[i])
  })
  const select = database.prepare(SELECT).raw()
  const count = database.prepare('SELECT count(*) FROM bars WHERE symbol = ?').pluck()
  return {
    append: async (symbol, bars) => void appendAll(symbol, bars),
    async range(symbol) {
      const length = Number(count.get(symbol))
      const columns = Array.from({ length: 6 }, () => new Float64Array(length))
      let index = 0
      for (const row of select.iterate(symbol) as Iterable<number[]>) {
        for (const [column, values] of columns.entries()) values[index] = row[column] as number
        index += 1
      }
      const [ts, open, high, low, close, volume] = columns
      return { ts, open, high, low, close, volume } as BarColumns
    },
    resample: async (symbol) => database.prepare(RESAMPLE).all(symbol).length,
    last: async (symbol, wanted) => database.prepare(LAST).all(symbol, wanted).length,
    async bytesPerBar(symbol) {
      database.pragma('wal_checkpoint(TRUNCATE)')
      return statSync(path).size / Number(count.get(symbol))
    },
    close: async () => void database.close(),
  }
}
