/** An open store: its collections as properties, and what concerns all of them. */
import type { BackupResult } from '../protocol/backup.ts'
import type { BlobCheck, CheckFinding, RepairResult } from '../protocol/check-finding.ts'
import type { KeyslotInfo } from '../protocol/keys.ts'
import type { MaintenanceResult, StoreSizes } from '../protocol/maintenance.ts'
import type { SqlRequest, SqlRow, SqlTable, WideIntegers, WorkerStatus } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { ArchiveTradesResult } from '../protocol/trade-archive.ts'
import type { BuiltInCollections } from '../schema/built-in-collections.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import type { AnyCollection } from '../schema/define-collection.ts'
import { type ArchiveTradesOptions, archiveTradesRequest } from './archive-trades.ts'
import { ArtifactRegistry, type ArtifactStats, type StoreArtifacts } from './artifacts/store-artifacts.ts'
import { type StoreAudit, StoreAuditTrail } from './audit/store-audit.ts'
import { type BackupOptions, backUp } from './backup.ts'
import { type Collection, StoreCollection } from './collection.ts'
import type { CollectionState } from './collection-state.ts'
import type { QueueLimits, QueueStats } from './commit-queue.ts'
import { storeMetrics } from './metrics.ts'
import { closeOnSignals, drainOnExit, forgetOnExit } from './process-exit.ts'
import { AppendQueue, type SeriesQueueStats } from './series/append-queue.ts'
import { type Bars, StoreBars } from './series/bars.ts'
import type { BookQueueStats } from './series/books/book-append-queue.ts'
import { BooksOfStore, type StoreBooks } from './series/books/store-books.ts'
import { type Quotes, StoreQuotes } from './series/quotes.ts'
import { SeriesRulesOfStore, type StoreSeriesRules } from './series/rules/store-series-rules.ts'
import type { SeriesContext } from './series/series-access.ts'
import { StoreTicks, type Ticks } from './series/ticks.ts'
import { type SeriesOfStore, seriesOfStore } from './series/value-series.ts'
import {
  SessionCacheClient,
  type SessionCacheStats,
  type StoreSessionCache,
} from './session-cache/store-session-cache.ts'
import { SkillLibrary, type StoreSkills } from './skills/store-skills.ts'
import type { StoreCore } from './store-core.ts'
import {
  type DataKeyRotation,
  keysOfStore,
  type RotateDataKeyOptions,
  type RotatePasswordOptions,
  type StoreKeys,
} from './store-keys.ts'
import { StoreSyncCollection, SYNC_TIMEOUT_MS, type SyncScope } from './sync-store.ts'
import { traceWork } from './tracing.ts'
import { gatherTransaction, type TransactionScope } from './transaction.ts'

export interface SqlOptions {
  /** Which database file to ask; default `state`. */
  readonly file?: DatabaseFile
  /** A larger result rejects with `RESULT_TOO_LARGE`; default 10,000. */
  readonly maxRows?: number
  /**
   * What becomes of an integer beyond 2^53 that a number would show with other digits: `refuse` (default) rejects with
   * `INVALID_QUERY`, which names the column; `text` gives it as a text of its digits.
   */
  readonly wideIntegers?: WideIntegers
}

export interface MaintainOptions {
  /** Default false. */
  readonly fullVacuum?: boolean
}

export interface CheckOptions {
  /** Keys older than this are an error, `KEY_OVERDUE`; without it their age does not matter. */
  readonly maxKeyAgeMs?: number
  /** Default `full`: every chunk of an artifact is read and authenticated. `quick` looks at their lengths alone. */
  readonly blobs?: BlobCheck
}

export interface RepairOptions {
  /** Who asks for it, for the audit trail. */
  readonly actor: string
}

export type SqlParameter = string | number | boolean | null

/** What `stats` reports: counters and gauges of this process, without asking the worker. */
export interface StoreStats extends QueueStats {
  /** The queue of bulk data, apart from that of state. */
  readonly market: QueueStats
  readonly sessionCache: SessionCacheStats
  /** Events of order books, accepted and not yet durable. */
  readonly books: BookQueueStats
  /** Writes to skills, accepted and not yet durable. */
  readonly skills: { readonly depth: number }
  /** Points on their way into series. */
  readonly series: SeriesQueueStats
  readonly hotDocuments: Readonly<Record<string, number>>
  readonly artifacts: ArtifactStats
  readonly workerRestarts: number
}

/** What `status` reports: the above, and what the worker knows. */
export interface StoreStatus extends WorkerStatus {
  readonly dir: string
  readonly storeId: string
  readonly stats: StoreStats
}

export interface StoreEvents {
  /** A worker died and was replaced; nothing accepted was lost. */
  readonly restart: (cause: StoreError) => void
  /** The store can't go on; pending writes were rejected. */
  readonly failure: (error: StoreError) => void
}

/** What every store can do beside its collections. */
export interface StoreBase<Cs extends Readonly<Record<string, AnyCollection>>> {
  readonly dir: string
  readonly storeId: string
  /** True when this open made the store. */
  readonly created: boolean
  /** File names of keyring copies that were lost or damaged and have been restored from the other one. */
  readonly restoredKeyringCopies: readonly string[]
  /** Names of migrations this open applied. */
  readonly appliedMigrations: readonly string[]
  /** The blocking twin, for start-up, shutdown and scripts. */
  readonly sync: SyncScope<Cs>
  /** The audit trail: what was done, by whom and why, in a chain that shows what was changed. */
  readonly audit: StoreAudit
  /** Bars of the running session by symbol, to start again from: see `docs/session-cache.md`. */
  readonly sessionCache: StoreSessionCache
  /** Order books: snapshots, deltas, and the book of any moment: see `docs/order-books.md`. */
  readonly books: StoreBooks
  /** How long series are kept, and as which longer bars they live on: see `docs/series-rules.md`. */
  readonly seriesRules: StoreSeriesRules
  /** Versioned skills, code or text, with full-text search: see `docs/skills.md`. */
  readonly skills: StoreSkills
  /** Models, data sets and other large files, in versions. */
  readonly artifacts: StoreArtifacts
  /** Open, high, low, close and volume by symbol and interval: see `docs/series.md`. */
  readonly bars: Bars
  /** Trades as they happened. */
  readonly ticks: Ticks
  /** Best bid and ask. */
  readonly quotes: Quotes
  /** Any other values in time, by name; and what concerns the series of all kinds. */
  readonly series: SeriesOfStore
  /**
   * Gathers writes in a synchronous callback and commits them whole or not at all. Resolves to the callback's result
   * when durable. Rejects with what the callback throws, or like `put`.
   *
   * @example
   * await store.transaction((tx) => {
   *   tx.fills.insert(fill)
   *   tx.orders.put({ ...order, state: 'filled' })
   *   tx.positions.put(position)
   * })
   */
  transaction<T>(callback: (tx: TransactionScope<Cs>) => T): Promise<T>
  /**
   * Read-only SQL over everything durable or accepted so far. Rejects with `INVALID_QUERY`, `RESULT_TOO_LARGE`.
   *
   * @example await store.sql('select symbol, count(*) n from orders where state = ? group by 1', ['filled'])
   */
  sql<R = SqlRow>(text: string, parameters?: readonly SqlParameter[], options?: SqlOptions): Promise<R[]>
  /**
   * Like `sql`, with the columns named in the order of the query, also when it finds nothing. Of two columns of one name
   * the second is called `name:1`.
   *
   * @example const { columns, rows } = await store.sqlTable('select symbol, "2024", "2025" from results')
   */
  sqlTable(text: string, parameters?: readonly SqlParameter[], options?: SqlOptions): Promise<SqlTable>
  /** Resolves when everything accepted so far is durable or has failed. */
  flush(): Promise<void>
  /** Resolves when the commit queues have room: what to await after `QUEUE_FULL`. */
  ready(): Promise<void>
  stats(): StoreStats
  status(): Promise<StoreStatus>
  /**
   * Verifies page authentication, structure, indexes, foreign keys, the log, the copies of the keyring, file modes,
   * blobs, free space, the lag of the archive and, if asked for, the age of the keys; an empty list is good news. Reads
   * everything: takes as long as reading the files.
   *
   * @example const findings = await store.check({ maxKeyAgeMs: 90 * 86_400_000 })
   */
  check(options?: CheckOptions): Promise<readonly CheckFinding[]>
  /**
   * Rebuilds what can be derived: indexes, the second copy of the keyring, file modes. When anything else is damaged it
   * touches nothing. Recorded in the audit trail. Rejects with `READ_ONLY`.
   *
   * @example
   * const { repaired, remaining } = await store.repair({ actor: 'ops' })
   */
  repair(options: RepairOptions): Promise<RepairResult>
  /**
   * Gives free pages back to the file system in small steps between commits, renews the query planner's statistics,
   * empties the log and records the sizes of the day. `fullVacuum` rewrites each file that has free space instead, for
   * stores from before incremental vacuum; commits wait meanwhile. Rejects with `READ_ONLY`, `DISK_FULL`, `OUT_OF_MEMORY`.
   *
   * @example
   * const { files } = await store.maintain()
   * if (files.state.needsFullVacuum) await store.maintain({ fullVacuum: true })
   */
  maintain(options?: MaintainOptions): Promise<MaintenanceResult>
  /** Measures how large each collection is, by the pages of its table and indexes: takes as long as reading the files. */
  sizes(): Promise<StoreSizes>
  /**
   * The figures of this store in Prometheus' text format 0.0.4: queue, latencies in buckets, commits, sizes, free space.
   * Names, counts and times only, never a value or a key.
   *
   * @example response.end(await store.metrics())
   */
  metrics(): Promise<string>
  /**
   * Moves closed trades, with their orders and fills, into a file for each year (`archive/trades-2025.db`), in pieces
   * between commits. Reads with `includeArchived` find them there; a crash anywhere loses nothing and doubles nothing.
   * What is still needed stays, and `kept` says why. Rejects with `INVALID_ARGUMENT`, `READ_ONLY`, `BUSY_OPERATION`,
   * `DISK_FULL`, `WORKER_LOST`: then what was moved has moved, and the next call goes on.
   *
   * @example
   * const { trades, kept } = await store.archiveTrades({ before: '2026-01-01' })
   * for await (const trade of store.trades.stream({ orderBy: 'closedAt', includeArchived: true })) report(trade)
   */
  archiveTrades(options: ArchiveTradesOptions): Promise<ArchiveTradesResult>
  /** Passwords, recovery keys, the data key: see `docs/keys.md`. */
  readonly keys: StoreKeys
  /** Puts another password in the place of the one the store was opened with; milliseconds at any size. */
  rotatePassword(next: string | Uint8Array, options?: RotatePasswordOptions): Promise<KeyslotInfo>
  /**
   * Encrypts every database under a new data key while the store is at work: hot reads and accepted writes go on, and
   * become durable when the file is done. Killed at any moment, the store opens with nothing lost, and goes on. Rejects
   * with `DISK_FULL` before anything has changed, `BUSY_OPERATION`, `READ_ONLY`.
   *
   * @example await store.rotateDataKey({ onProgress: ({ bytesDone, bytesTotal }) => console.log(bytesDone / bytesTotal) })
   */
  rotateDataKey(options?: RotateDataKeyOptions): Promise<DataKeyRotation>
  /** Moves the write-ahead log into the database files and empties it. */
  checkpoint(): Promise<void>
  /**
   * Backs up to a folder, of which only what has changed is stored again, or to one new `.tar`. Ciphertext only, writes
   * go on, also from a store opened with `readOnly: true` beside its owner. It is verified by opening it before it counts.
   * Rejects with `TARGET_BUSY`, `BUSY_OPERATION`, `BACKUP_DAMAGED`, `STORE_CORRUPT`, `DISK_FULL`, `PERMISSION_DENIED`,
   * `IO_ERROR`, `INVALID_ARGUMENT`.
   *
   * @example await store.backup('/mnt/backups', { retention: { daily: 7, weekly: 4 } })
   */
  backup(target: string, options?: BackupOptions): Promise<BackupResult>
  /** Any collection the store has, also one that this program does not define, as recorded in the store. */
  collection(name: string): Collection<AnyCollection>
  readonly collectionNames: readonly string[]
  on<E extends keyof StoreEvents>(event: E, listener: StoreEvents[E]): () => void
  /** Makes everything accepted durable, checkpoints, and ends the worker. Safe to call twice. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A store with the built-in collections and those of `C` as properties. */
export type Store<C extends Readonly<Record<string, AnyCollection>> = Record<never, never>> = StoreBase<
  BuiltInCollections & C
> & {
  readonly [K in keyof (BuiltInCollections & C)]: Collection<(BuiltInCollections & C)[K]>
}

export interface OpenedStore {
  readonly dir: string
  readonly storeId: string
  readonly created: boolean
  readonly restoredKeyringCopies: readonly string[]
  readonly appliedMigrations: readonly string[]
  readonly core: StoreCore
  /** By property name. */
  readonly states: ReadonlyMap<string, CollectionState>
  /** By collection name: the above, and those the store has recorded besides. */
  readonly allStates: ReadonlyMap<string, CollectionState>
  readonly closeOnSignals: boolean
  readonly limits: QueueLimits
}

const DEFAULT_MAX_ROWS = 10_000

export class HoldfastStore {
  readonly dir: string
  readonly storeId: string
  readonly created: boolean
  readonly restoredKeyringCopies: readonly string[]
  readonly appliedMigrations: readonly string[]
  readonly sync: Readonly<Record<string, unknown>>
  readonly keys: StoreKeys
  readonly #core: StoreCore
  readonly #audit: StoreAuditTrail
  readonly #sessionCache: SessionCacheClient
  readonly #books: BooksOfStore
  readonly #seriesRules: SeriesRulesOfStore
  readonly #skills: SkillLibrary
  readonly #artifacts: ArtifactRegistry
  readonly #seriesContext: SeriesContext
  readonly #series: SeriesOfStore
  readonly #states: ReadonlyMap<string, CollectionState>
  readonly #allStates: ReadonlyMap<string, CollectionState>
  readonly #listeners = { restart: new Set<StoreEvents['restart']>(), failure: new Set<StoreEvents['failure']>() }
  readonly #undoSignals: () => void
  #closing: Promise<void> | undefined

  constructor(opened: OpenedStore) {
    this.dir = opened.dir
    this.storeId = opened.storeId
    this.created = opened.created
    this.restoredKeyringCopies = opened.restoredKeyringCopies
    this.appliedMigrations = opened.appliedMigrations
    this.#core = opened.core
    this.#audit = new StoreAuditTrail(opened.core)
    this.#sessionCache = new SessionCacheClient(opened.core)
    this.#books = new BooksOfStore(opened.core)
    this.#seriesRules = new SeriesRulesOfStore(opened.core)
    this.#skills = new SkillLibrary(opened.core)
    this.#artifacts = new ArtifactRegistry(opened.core)
    this.#seriesContext = { core: opened.core, queue: new AppendQueue(opened.core, opened.limits) }
    opened.core.addWrites(this.#seriesContext.queue)
    opened.core.onFlush(() => this.#seriesContext.queue.settled())
    this.#series = seriesOfStore(this.#seriesContext)
    this.#states = opened.states
    this.#allStates = opened.allStates
    const sync: Record<string, unknown> = { flush: () => this.#core.drainSync(SYNC_TIMEOUT_MS) }
    for (const [name, state] of opened.states) {
      Object.defineProperty(this, name, { value: new StoreCollection(opened.core, state), enumerable: true })
      sync[name] = new StoreSyncCollection(opened.core, state)
    }
    this.sync = Object.freeze(sync)
    this.keys = keysOfStore(opened.core.supervisor, () => opened.core.assertOpen())
    drainOnExit(opened.core)
    this.#undoSignals = opened.closeOnSignals ? closeOnSignals(() => this.close()) : () => undefined
  }

  get audit(): StoreAudit {
    return this.#audit
  }

  get sessionCache(): StoreSessionCache {
    return this.#sessionCache
  }

  get books(): StoreBooks {
    return this.#books
  }

  get seriesRules(): StoreSeriesRules {
    return this.#seriesRules
  }

  get skills(): StoreSkills {
    return this.#skills
  }

  get artifacts(): StoreArtifacts {
    return this.#artifacts
  }

  get bars(): Bars {
    return new StoreBars(this.#seriesContext)
  }

  get ticks(): Ticks {
    return new StoreTicks(this.#seriesContext)
  }

  get quotes(): Quotes {
    return new StoreQuotes(this.#seriesContext)
  }

  get series(): SeriesOfStore {
    return this.#series
  }

  get collectionNames(): readonly string[] {
    return [...this.#allStates.keys()]
  }

  async transaction<T>(callback: (scope: never) => T): Promise<T> {
    return await traceWork('transaction', async (annotate) => {
      let result: T | undefined
      const operations = gatherTransaction(this.#states, this.#audit.state, (scope) => {
        result = callback(scope)
        return result
      })
      annotate({ 'db.operation.batch.size': operations.length })
      await this.#core.acceptUnit(operations)
      this.#audit.announce(operations)
      return result as T
    })
  }

  async sql(text: string, parameters: readonly SqlParameter[] = [], options: SqlOptions = {}): Promise<SqlRow[]> {
    return [...(await this.#core.supervisor.read('sql', await this.#sqlRequest(text, parameters, options)))]
  }

  async sqlTable(text: string, parameters: readonly SqlParameter[] = [], options: SqlOptions = {}): Promise<SqlTable> {
    return await this.#core.supervisor.read('sqlTable', await this.#sqlRequest(text, parameters, options))
  }

  /** Once everything accepted so far can be read. */
  async #sqlRequest(sql: string, parameters: readonly SqlParameter[], options: SqlOptions): Promise<SqlRequest> {
    assertSqlArguments(sql, parameters, options)
    this.#core.assertOpen()
    const { file = 'state', maxRows = DEFAULT_MAX_ROWS, wideIntegers = 'refuse' } = options
    const queue = this.#core.queue(file)
    await queue.settledThrough(queue.acceptedUnits)
    return { sql, parameters, file, maxRows, wideIntegers }
  }

  async flush(): Promise<void> {
    await this.#core.flush()
  }

  async ready(): Promise<void> {
    this.#core.assertOpen()
    for (const queue of this.#core.queues) await queue.room()
  }

  stats(): StoreStats {
    const hot = [...this.#states.values()].filter((state) => state.mirror !== undefined)
    return {
      ...this.#core.queue('state').stats(),
      market: this.#core.queue('market').stats(),
      sessionCache: this.#sessionCache.stats,
      books: this.#books.stats,
      skills: { depth: this.#skills.depth },
      series: this.#seriesContext.queue.stats(),
      hotDocuments: Object.fromEntries(hot.map((state) => [state.spec.name, state.mirror?.size ?? 0])),
      artifacts: this.#artifacts.stats,
      workerRestarts: this.#core.supervisor.restarts,
    }
  }

  async status(): Promise<StoreStatus> {
    this.#core.assertOpen()
    const worker = await this.#core.supervisor.read('status')
    return { dir: this.dir, storeId: this.storeId, ...worker, stats: this.stats() }
  }

  async check({ maxKeyAgeMs, blobs = 'full' }: CheckOptions = {}): Promise<readonly CheckFinding[]> {
    this.#core.assertOpen()
    if (maxKeyAgeMs !== undefined && !(typeof maxKeyAgeMs === 'number' && maxKeyAgeMs > 0)) {
      throw new StoreError('INVALID_ARGUMENT', 'maxKeyAgeMs must be a number above 0.')
    }
    if (blobs !== 'full' && blobs !== 'quick') {
      throw new StoreError('INVALID_ARGUMENT', 'blobs must be full or quick.')
    }
    return await this.#core.supervisor.read('check', { maxKeyAgeMs: maxKeyAgeMs ?? null, blobs })
  }

  async repair(options: RepairOptions): Promise<RepairResult> {
    this.#core.assertOpen()
    const actor: unknown = options?.actor
    if (typeof actor !== 'string' || actor === '') {
      throw new StoreError('INVALID_ARGUMENT', 'repair needs an actor: who asks for it, for the audit trail.')
    }
    return await this.#core.supervisor.callOnce('repair', { actor })
  }

  async maintain({ fullVacuum = false }: MaintainOptions = {}): Promise<MaintenanceResult> {
    this.#core.assertOpen()
    if (typeof fullVacuum !== 'boolean') throw new StoreError('INVALID_ARGUMENT', 'fullVacuum must be true or false.')
    return await this.#core.supervisor.callOnce('maintain', { fullVacuum })
  }

  async sizes(): Promise<StoreSizes> {
    this.#core.assertOpen()
    return await this.#core.supervisor.read('sizes')
  }

  async metrics(): Promise<string> {
    return storeMetrics({
      status: await this.status(),
      isOwner: !this.#core.isReadOnly,
      restoredKeyringCopies: this.restoredKeyringCopies.length,
    })
  }

  async archiveTrades(options: ArchiveTradesOptions): Promise<ArchiveTradesResult> {
    const request = archiveTradesRequest(options)
    this.#core.assertOpen()
    const queue = this.#core.queue('state')
    await queue.settledThrough(queue.acceptedUnits)
    return await this.#core.supervisor.callOnce('archiveTrades', request)
  }

  async rotatePassword(next: string | Uint8Array, options?: RotatePasswordOptions): Promise<KeyslotInfo> {
    return await this.keys.rotatePassword(next, options)
  }

  async rotateDataKey(options?: RotateDataKeyOptions): Promise<DataKeyRotation> {
    return await this.keys.rotateDataKey(options)
  }

  async checkpoint(): Promise<void> {
    this.#core.assertOpen()
    await this.#core.supervisor.read('checkpoint')
  }

  async backup(target: string, options: BackupOptions = {}): Promise<BackupResult> {
    this.#core.assertOpen()
    return await backUp(this.#core.supervisor, target, options)
  }

  collection(name: string): StoreCollection {
    const state = this.#allStates.get(name)
    if (state === undefined) {
      throw new StoreError(
        'UNKNOWN_COLLECTION',
        `There is no collection "${name}". There are: ${this.collectionNames.join(', ')}.`,
        {
          details: { collection: name },
        },
      )
    }
    return new StoreCollection(this.#core, state)
  }

  on<E extends keyof StoreEvents>(event: E, listener: StoreEvents[E]): () => void {
    const listeners = this.#listeners[event] as Set<StoreEvents[E]>
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit(event: keyof StoreEvents, error: StoreError): void {
    for (const listener of this.#listeners[event]) listener(error)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#core.markClosed()
    this.#undoSignals()
    try {
      await this.#core.flush()
      await this.#books.settled()
      await this.#core.supervisor.close()
    } finally {
      forgetOnExit(this.#core)
    }
  }
}

/** A program without types may pass anything; the driver would bind it as something else, or as null. */
function assertSqlArguments(text: unknown, parameters: readonly unknown[], options: SqlOptions): void {
  const { file, maxRows, wideIntegers } = options
  const problems: string[] = []
  if (typeof text !== 'string') problems.push('the statement must be a text')
  if (!Array.isArray(parameters) || !parameters.every(isSqlParameter)) {
    problems.push('parameters must be texts, finite numbers, booleans or null, in an array')
  }
  if (file !== undefined && !DATABASE_FILES.includes(file)) problems.push(`file must be ${DATABASE_FILES.join(' or ')}`)
  if (maxRows !== undefined && !(Number.isSafeInteger(maxRows) && maxRows >= 0))
    problems.push('maxRows must be 0 or more')
  if (wideIntegers !== undefined && wideIntegers !== 'refuse' && wideIntegers !== 'text') {
    problems.push('wideIntegers must be refuse or text')
  }
  if (problems.length > 0) throw new StoreError('INVALID_ARGUMENT', `sql can't take this: ${problems.join('; ')}.`)
}

function isSqlParameter(value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}
