/** The series there are, and what the owner remembers of each so that an append need not ask. */
import type { SeriesColumn, SeriesIdentity, SeriesKey, SeriesKind, SeriesShape } from '../../protocol/series.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { Row } from '../driver.ts'
import { SeriesTail } from './series-tail.ts'
import type { RunQuery, SeriesRecord } from './window-reader.ts'

/** Beyond this the one not used for longest is asked for again. */
const MAX_REMEMBERED = 4_096

export interface SeriesState {
  readonly record: SeriesRecord
  /** -Infinity for an empty series. */
  lastTs: number
  /** Rows that lie behind all blocks, and those that don't. */
  rows: number
  lateRows: number
  smallBlocks: number
  /** The first small block that can be merged ends at or behind this. */
  smallFrom: number
  /** Rises with each write. */
  version: number
  readonly tail: SeriesTail
}

const SERIES =
  'SELECT "id", "symbol", "identity", "columns" FROM "_series" WHERE "kind" = ? AND "symbol" = ? AND "interval" = ?'
const STATE = `
  WITH last AS (SELECT max("toTs") AS "toTs" FROM "_blocks" WHERE "series" = ?1)
  SELECT last."toTs" AS "lastBlock",
    (SELECT max("ts") FROM "_points" WHERE "series" = ?1) AS "lastRow",
    (SELECT count(*) FROM "_points" WHERE "series" = ?1) AS "rows",
    (SELECT count(*) FROM "_points" WHERE "series" = ?1 AND "ts" <= last."toTs") AS "late",
    (SELECT count(*) FROM "_blocks" WHERE "series" = ?1 AND "count" < ?2) AS "small"
  FROM last`

export class SeriesCatalog {
  readonly #query: RunQuery
  /** False beside an owner, who may change what is remembered. */
  readonly #remembers: boolean
  readonly #states = new Map<string, SeriesState>()

  constructor(query: RunQuery, remembers: boolean) {
    this.#query = query
    this.#remembers = remembers
  }

  async record(key: SeriesKey): Promise<SeriesRecord | undefined> {
    const known = this.#states.get(textOf(key))
    if (known !== undefined) return known.record
    const [row] = await this.#query(SERIES, [key.kind, key.symbol, key.interval])
    return row === undefined ? undefined : recordOf(row)
  }

  /** Of all series, also of those whose points are damaged. */
  async keys(): Promise<SeriesKey[]> {
    const rows = await this.#query('SELECT "kind", "symbol", "interval" FROM "_series" ORDER BY "id"', [])
    return rows.map(({ kind, symbol, interval }) => ({
      kind: kind as SeriesKind,
      symbol: String(symbol),
      interval: String(interval),
    }))
  }

  /** What is remembered already. */
  remembered(key: SeriesKey): SeriesState | undefined {
    return this.#states.get(textOf(key))
  }

  /** Only for the owner, and while nothing else writes. */
  async state(key: SeriesKey, smallBelow: number): Promise<SeriesState | undefined> {
    const name = textOf(key)
    const known = this.#states.get(name)
    if (known !== undefined) {
      this.#states.delete(name)
      this.#states.set(name, known)
      return known
    }
    const record = await this.record(key)
    if (record === undefined) return undefined
    const [row] = await this.#query(STATE, [record.id, smallBelow])
    const rows = Number(row?.rows)
    const lateRows = Number(row?.late)
    const state = this.#made(record)
    state.lastTs = Math.max(timeOf(row?.lastBlock), timeOf(row?.lastRow))
    state.rows = rows - lateRows
    state.lateRows = lateRows
    state.smallBlocks = Number(row?.small)
    this.#remember(name, state)
    return state
  }

  /** After a series was made. */
  add(key: SeriesKey, record: SeriesRecord): SeriesState {
    const state = this.#made(record)
    this.#remember(textOf(key), state)
    return state
  }

  /** After a series was removed, or written in a way that changes what is remembered. */
  forget(key: SeriesKey): void {
    this.#states.delete(textOf(key))
  }

  #made(record: SeriesRecord): SeriesState {
    return {
      record,
      lastTs: Number.NEGATIVE_INFINITY,
      rows: 0,
      lateRows: 0,
      smallBlocks: 0,
      smallFrom: Number.NEGATIVE_INFINITY,
      version: 0,
      tail: new SeriesTail(record),
    }
  }

  #remember(name: string, state: SeriesState): void {
    if (!this.#remembers) return
    this.#states.set(name, state)
    if (this.#states.size <= MAX_REMEMBERED) return
    for (const oldest of this.#states.keys()) {
      this.#states.delete(oldest)
      return
    }
  }
}

export function recordOf(row: Row): SeriesRecord {
  return {
    id: Number(row.id),
    symbol: String(row.symbol),
    identity: row.identity as SeriesIdentity,
    columns: JSON.parse(String(row.columns)) as SeriesColumn[],
  }
}

/** @throws StoreError `INVALID_ARGUMENT` when points of another shape are appended */
export function assertShape(record: SeriesRecord, key: SeriesKey, shape: SeriesShape): void {
  if (record.identity === shape.identity && describe(record.columns) === describe(shape.columns)) return
  const has = `${describe(record.columns)}${record.identity === 'id' ? ', told apart by id' : ''}`
  throw new StoreError(
    'INVALID_ARGUMENT',
    `The series "${key.symbol}" (${key.kind}${key.interval === '' ? '' : ` ${key.interval}`}) has the columns ${has}. Append points with the same columns, or to another series.`,
    { details: { kind: key.kind, symbol: key.symbol, interval: key.interval } },
  )
}

function describe(columns: readonly SeriesColumn[]): string {
  return columns.map(({ name, type }) => (type === 'number' ? name : `${name} (${type})`)).join(', ')
}

function textOf({ kind, symbol, interval }: SeriesKey): string {
  return `${kind}\0${interval}\0${symbol}`
}

function timeOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NEGATIVE_INFINITY
}
