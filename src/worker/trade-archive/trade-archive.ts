/** The yearly files of an open store: what is read through them, and what moves into them. */
import { withSecret } from '../../crypto/zero.ts'
import type { Page, PageRequest } from '../../protocol/methods.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { ArchiveTradesRequest, ArchiveTradesResult } from '../../protocol/trade-archive.ts'
import { ARCHIVED_COLLECTIONS } from '../../schema/built-in/trading.ts'
import type { CollectionSpec } from '../../schema/define-collection.ts'
import type { WhereWire } from '../../schema/query.ts'
import type { Committer } from '../committer.ts'
import type { Connection, Row } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import type { MaintenanceLock } from '../maintenance-lock.ts'
import { ReadPool } from '../read-pool.ts'
import type { ReadSlots } from '../read-slots.ts'
import { databasePath, type StoreDatabase } from '../store-files.ts'
import type { MovedSpecs } from './archive-plan.ts'
import { ArchivedReads } from './archived-reads.ts'
import { TradeMover } from './trade-mover.ts'
import { attachYearlyFile, type YearlyFileAccess } from './yearly-file.ts'

const BUSY_TIMEOUT_MS = 10_000

export interface TradeArchiveOptions extends YearlyFileAccess {
  readonly readSlots: ReadSlots
  readonly collections: ReadonlyMap<string, CollectionSpec>
  /** Of `state.db`; null for a read-only store. */
  readonly committer: Committer | null
  readonly maintenanceLock: MaintenanceLock
  /** Runs a query on a reader of `state.db`. */
  readonly queryState: (sql: string) => Promise<Row[]>
}

export class TradeArchive {
  readonly #options: TradeArchiveOptions
  readonly #reads: ArchivedReads
  #running: Promise<unknown> = Promise.resolve()
  #isEnding = false

  constructor(options: TradeArchiveOptions) {
    this.#options = options
    this.#reads = new ArchivedReads({
      readSlots: options.readSlots,
      years: async () => {
        const rows = await options.queryState('SELECT "year" FROM main."_yearlyFiles" ORDER BY "year"')
        return rows.map((row) => Number(row.year))
      },
      open: (years) => this.#openReader(years),
    })
  }

  async page(request: PageRequest): Promise<Page> {
    return await this.#reads.page(request, this.#archived(request.collection))
  }

  async count(collection: string, where: WhereWire): Promise<number> {
    return await this.#reads.count(this.#archived(collection), where)
  }

  async get(collection: string, key: string): Promise<string | null> {
    return await this.#reads.get(this.#archived(collection), key)
  }

  /** @throws StoreError `READ_ONLY`, `BUSY_OPERATION`, and what `TradeMover.run` throws */
  async run(request: ArchiveTradesRequest): Promise<ArchiveTradesResult> {
    const { committer } = this.#options
    if (committer === null) {
      throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to archive.')
    }
    const specs = Object.fromEntries(ARCHIVED_COLLECTIONS.map((name) => [name, this.#archived(name)]))
    const running = this.#options.maintenanceLock.exclusiveOperation('archiving of trades', () =>
      TradeMover.run(
        {
          ...this.#options,
          committer,
          specs: specs as unknown as MovedSpecs,
          open: () => this.#openState('read-write'),
          isEnding: () => this.#isEnding,
        },
        request,
      ),
    )
    this.#running = Promise.allSettled([this.#running, running])
    return await running
  }

  /** Readers of one yearly file by itself, for the caller to close: what a check needs. */
  readersOf(database: StoreDatabase): ReadPool {
    return new ReadPool(this.#options.readSlots, () =>
      this.#openDatabase(database, this.#options.committer === null ? 'read-only' : 'read-write'),
    )
  }

  /** Runs SQL on one yearly file by itself: what a repair needs. */
  async exec(database: StoreDatabase, sql: string): Promise<void> {
    const connection = await this.#openDatabase(database, 'read-write')
    try {
      await connection.exec(sql)
    } finally {
      await connection.close()
    }
  }

  /** Closes the readers of the yearly files until the next read: what a change of their keys needs. */
  async closeReaders(): Promise<void> {
    await this.#reads.close()
  }

  /** Ends a run after the piece under way. */
  async close(): Promise<void> {
    this.#isEnding = true
    await this.#running
    await this.#reads.close()
  }

  async #openReader(years: readonly number[]): Promise<Connection> {
    // Where the store may be written to, the last reader to close also puts the log of a yearly file in order.
    const connection = await this.#openState(this.#options.committer === null ? 'read-only' : 'read-write')
    try {
      for (const year of years) await attachYearlyFile(connection, this.#options, year)
      await connection.exec('PRAGMA query_only = ON')
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  async #openState(mode: 'read-only' | 'read-write'): Promise<Connection> {
    const path = databasePath(this.#options.dir, 'state')
    return await this.#openDatabase({ path, keyPurpose: 'database:state' }, mode)
  }

  async #openDatabase(
    { path, keyPurpose }: Pick<StoreDatabase, 'path' | 'keyPurpose'>,
    mode: 'read-only' | 'read-write',
  ): Promise<Connection> {
    const { driver, keyOf } = this.#options
    return await withSecret(keyOf({ keyPurpose }), (key) =>
      openKeyedDatabase(driver, path, {
        key,
        mode,
        role: 'reader',
        durability: 'full',
        busyTimeoutMs: BUSY_TIMEOUT_MS,
      }),
    )
  }

  #archived(collection: string): CollectionSpec {
    const spec = this.#options.collections.get(collection)
    if (spec === undefined) throw new StoreError('UNKNOWN_COLLECTION', `There is no collection "${collection}".`)
    return spec
  }
}
