/** What crosses the thread boundary about the session cache. Times are Unix milliseconds. */

/** Bounds of the cache. */
export interface SessionCacheSettings {
  /** A file is written anew, with each bar once, after this many appends. */
  readonly compactEveryWrites: number
  /** Older bars than the newest of their symbol by more than this are dropped. */
  readonly maxAgeMs: number
  /** Of a symbol and interval. */
  readonly maxRows: number
  /** Of a file. */
  readonly maxBytes: number
  /** A file is written at most this often; what comes meanwhile is written together. */
  readonly syncEveryMs: number
}

export const DEFAULT_SESSION_CACHE: SessionCacheSettings = Object.freeze({
  compactEveryWrites: 240,
  maxAgeMs: 45 * 86_400_000,
  maxRows: 12_000,
  maxBytes: 8 * 1024 * 1024,
  syncEveryMs: 50,
})

export interface CacheKey {
  readonly symbol: string
  readonly interval: string
}

/** Bars as columns; `values` are in the order of `names`. */
export interface CachedColumns {
  readonly names: readonly string[]
  readonly ts: Float64Array
  readonly values: readonly Float64Array[]
}

export interface CacheAppendRequest extends CacheKey {
  /** Later ones take the place of earlier ones of the same time. */
  readonly batches: readonly CachedColumns[]
}

export interface CacheReadRequest extends CacheKey {
  readonly from: number | null
  /** Not included. */
  readonly to: number | null
  /** The newest ones. */
  readonly limit: number | null
}

/** What is cached of a symbol. */
export interface CachedSymbol extends CacheKey {
  readonly bars: number
  /** Null without bars, and of a damaged file. */
  readonly firstTs: number | null
  readonly lastTs: number | null
  /** Of its file. */
  readonly bytes: number
  /** Its file does not verify: `getBars` says what to do. */
  readonly isDamaged: boolean
}

/** Counters begin with the worker. */
export interface SessionCacheStatus {
  /** One a symbol and interval. */
  readonly files: number
  readonly bytes: number
  /** Reads that found bars, and that found none. */
  readonly hits: number
  readonly misses: number
  /** Ends of files that a crash had left half written, and that were dropped. */
  readonly droppedTails: number
  /** Reads and writes that met a damaged file. */
  readonly damaged: number
}

export interface SessionCacheMethods {
  cacheAppend(request: CacheAppendRequest): Promise<void>
  cacheRead(request: CacheReadRequest): Promise<CachedColumns>
  cacheList(): Promise<readonly CachedSymbol[]>
  /** Null stands for all of them. Resolves to how many there were. */
  cacheClear(request: { readonly symbol: string | null; readonly interval: string | null }): Promise<number>
}
