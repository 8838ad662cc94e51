/** The session cache as a program sees it: store bars as they come, get them back after a restart. */
import * as z from 'zod'
import type { CachedColumns, CachedSymbol, CacheKey } from '../../protocol/session-cache.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { sendUntilAnswered } from '../part-writes.ts'
import type { BarColumns, BarInput, BarSeries, BarTuple } from '../series/bars.ts'
import { seriesColumns } from '../series/series-columns.ts'
import type { StoreCore } from '../store-core.ts'
import { BAR_COLUMNS, barColumns, MAX_BARS_AT_ONCE } from './bar-input.ts'

export interface CacheIntervalOptions {
  /** `1m` unless given: bars of each interval are kept apart. */
  readonly interval?: string | undefined
}

export interface GetBarsOptions extends CacheIntervalOptions {
  /** Unix milliseconds: from this moment on. */
  readonly from?: number | undefined
  /** Before this moment. */
  readonly to?: number | undefined
  /** The newest ones. */
  readonly limit?: number | undefined
}

/** What `stats` tells of the session cache. */
export interface SessionCacheStats {
  /** Calls accepted and not yet durable. */
  readonly depth: number
  /** Bars in them. */
  readonly bars: number
}

/** Bars of the running session, by symbol, in sealed files of their own: what a bot starts from again. */
export interface StoreSessionCache {
  /**
   * Stores bars of a symbol: rows, ccxt's arrays, or columns, up to 100,000 at once. A bar of the same time takes the place
   * of the one before. Durable when it resolves; calls of one turn, and within `syncEveryMs`, are written together. Rejects
   * with `INVALID_ARGUMENT` before anything is written, `QUEUE_FULL`, `CACHE_DAMAGED`, `DISK_FULL`, `READ_ONLY`.
   *
   * @example await store.sessionCache.storeBars('BTC/USDT', [{ ts, open, high, low, close, volume }])
   */
  storeBars<B extends BarInput, C extends BarColumns>(
    symbol: string,
    bars: readonly B[] | readonly BarTuple[] | C,
    options?: CacheIntervalOptions,
  ): Promise<void>
  /**
   * What is kept of a symbol, each bar once; empty without any. Sees what was accepted before. Rejects with
   * `CACHE_DAMAGED`, which concerns this symbol alone.
   *
   * @example const { ts, close } = await store.sessionCache.getBars('BTC/USDT', { limit: 500 })
   */
  getBars(symbol: string, options?: GetBarsOptions): Promise<BarSeries>
  /** What there is, by symbol and interval. Reads every file. */
  symbols(): Promise<readonly CachedSymbol[]>
  /** Shreds what is kept of a symbol, all intervals unless one is given: first its key, then its file. How many files there were. */
  clear(symbol: string, options?: CacheIntervalOptions): Promise<number>
  /** The same for every symbol. */
  clearAll(): Promise<number>
}

const DEFAULT_INTERVAL = '1m'
const MAX_DEPTH = 100_000
const MAX_BARS = 1_000_000

const CONTROL = /\p{Cc}/u
const name = z
  .string()
  .min(1)
  .max(100)
  .refine((text) => text.isWellFormed() && !CONTROL.test(text), 'must be well-formed, without control characters')
const intervalOptions = z.strictObject({ interval: name.optional() })
const getOptions = z.strictObject({
  interval: name.optional(),
  from: z.number().optional(),
  to: z.number().optional(),
  limit: z.int().nonnegative().optional(),
})

/** Bars that go together. */
interface Step {
  readonly batches: CachedColumns[]
  bars: number
  done: Promise<void>
}

/** The calls about one file, one under way at a time. What arrives meanwhile goes together. */
interface Lane {
  tail: Promise<void>
  /** What has not begun yet. */
  last: Step | undefined
  waiting: number
}

export class SessionCacheClient implements StoreSessionCache {
  readonly #core: StoreCore
  readonly #lanes = new Map<string, Lane>()
  #clearing: Promise<void> = Promise.resolve()
  #depth = 0
  #bars = 0

  constructor(core: StoreCore) {
    this.#core = core
    core.onFlush(() => this.#settled())
  }

  get stats(): SessionCacheStats {
    return { depth: this.#depth, bars: this.#bars }
  }

  async storeBars(symbol: string, bars: unknown, options: CacheIntervalOptions = {}): Promise<void> {
    const key = keyOf(symbol, parse(intervalOptions, options).interval)
    const columns = barColumns(bars)
    this.#core.assertWritable()
    const count = columns.ts.length
    if (count === 0) return
    if (this.#depth >= MAX_DEPTH || this.#bars + count > MAX_BARS) {
      throw new StoreError('QUEUE_FULL', `${this.#bars} bars wait to be written already. Await some of them first.`)
    }
    this.#depth += 1
    this.#bars += count
    try {
      await this.#append(key, columns)
    } finally {
      this.#depth -= 1
      this.#bars -= count
    }
  }

  async getBars(symbol: string, options: GetBarsOptions = {}): Promise<BarSeries> {
    const { interval, from = null, to = null, limit = null } = parse(getOptions, options)
    const key = keyOf(symbol, interval)
    this.#core.assertOpen()
    await (this.#lanes.get(laneName(key))?.tail ?? this.#clearing)
    return barSeries(await this.#core.supervisor.read('cacheRead', { ...key, from, to, limit }))
  }

  async symbols(): Promise<readonly CachedSymbol[]> {
    this.#core.assertOpen()
    await this.#settled()
    return await this.#core.supervisor.read('cacheList')
  }

  async clear(symbol: string, options: CacheIntervalOptions = {}): Promise<number> {
    const { interval = null } = parse(intervalOptions, options)
    return await this.#clear({ symbol: parse(name, symbol), interval })
  }

  async clearAll(): Promise<number> {
    return await this.#clear({ symbol: null, interval: null })
  }

  /** Behind what was accepted before, and before what comes after. */
  async #clear(request: { readonly symbol: string | null; readonly interval: string | null }): Promise<number> {
    this.#core.assertWritable()
    const before = this.#settled()
    let cleared = 0
    const clearing = before.then(async () => {
      cleared = await sendUntilAnswered(this.#core, 'cacheClear', request)
    })
    for (const lane of this.#lanes.values()) {
      lane.last = undefined
      lane.tail = clearing.catch(() => undefined)
    }
    this.#clearing = clearing.catch(() => undefined)
    await clearing
    return cleared
  }

  #append(key: CacheKey, columns: CachedColumns): Promise<void> {
    const lane = this.#laneOf(key)
    const bars = columns.ts.length
    if (lane.last !== undefined && lane.last.bars + bars <= MAX_BARS_AT_ONCE) {
      lane.last.batches.push(columns)
      lane.last.bars += bars
      return lane.last.done
    }
    const step: Step = { batches: [columns], bars, done: Promise.resolve() }
    lane.last = step
    lane.waiting += 1
    // One turn later at the earliest: what is stored in a loop goes together.
    step.done = lane.tail.then(nextTurn).then(async () => {
      if (lane.last === step) lane.last = undefined
      try {
        await sendUntilAnswered(this.#core, 'cacheAppend', { ...key, batches: step.batches })
      } finally {
        lane.waiting -= 1
        if (lane.waiting === 0) this.#lanes.delete(laneName(key))
      }
    })
    lane.tail = step.done.catch(() => undefined)
    return step.done
  }

  #laneOf(key: CacheKey): Lane {
    const id = laneName(key)
    const lane = this.#lanes.get(id) ?? { tail: this.#clearing, last: undefined, waiting: 0 }
    this.#lanes.set(id, lane)
    return lane
  }

  async #settled(): Promise<void> {
    await Promise.all([this.#clearing, ...[...this.#lanes.values()].map(({ tail }) => tail)])
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function laneName({ symbol, interval }: CacheKey): string {
  return JSON.stringify([symbol, interval])
}

function keyOf(symbol: unknown, interval = DEFAULT_INTERVAL): CacheKey {
  return { symbol: parse(name, symbol), interval }
}

function barSeries({ names, ts, values }: CachedColumns): BarSeries {
  const columns = [...new Set([...BAR_COLUMNS, ...names])].map((name) => ({ name, type: 'number' }) as const)
  const valuesOf = (name: string) => values[names.indexOf(name)] ?? new Float64Array()
  return seriesColumns(columns, { ts, values: columns.map(({ name }) => valuesOf(name)) }) as unknown as BarSeries
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ code, path, message }) =>
    code === 'unrecognized_keys' ? 'an option is none' : [...path.map(String), message].join(': '),
  )
  throw new StoreError('INVALID_ARGUMENT', `The session cache can't be asked this: ${issues.join('; ')}.`, {
    details: { issues },
  })
}
