/**
 * Tables and statements of the three SQLCipher contenders. The tables are the leanest that do the job (one b-tree each,
 * no secondary index, bars in real columns), so that nobody is measured at a disadvantage of this benchmark's making.
 */
import type { Bar } from '../documents.ts'

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS docs (id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS archive (id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS bars (
    symbol TEXT NOT NULL, time INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
    PRIMARY KEY (symbol, time)
  ) WITHOUT ROWID;`

/** Equal durability for all: an fsync of the write-ahead log with each commit. */
export const DURABLE_PRAGMAS = ['PRAGMA journal_mode = WAL', 'PRAGMA synchronous = FULL'] as const

export const upsertInto = (table: 'docs' | 'archive') =>
  `INSERT INTO ${table} (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`

export const SELECT_DOC = 'SELECT doc FROM docs WHERE id = ?'

export const UPSERT_BAR = `INSERT INTO bars (symbol, time, open, high, low, close, volume) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (symbol, time) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume`

export const AGGREGATE_BARS = `SELECT symbol, count(*) AS n, min(low) AS low, max(high) AS high, avg(close) AS mean,
    sum(volume) AS volume FROM bars GROUP BY symbol`

export function barParameters(bar: Bar): [string, number, number, number, number, number, number] {
  return [bar.symbol, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume]
}
