/**
 * Bars of the running session, by symbol: appended to sealed files, because a row table would put the bars of every symbol
 * through the log that orders wait for. `state.db` keeps the key of each file and vouches for what is in it, a moment
 * later and all files at once: a commit for each append would cost what the files are there to save
 * (docs/decisions/0020-session-cache.md).
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { transfer } from 'comlink'
import { openBytes, sealBytes } from '../../crypto/sealed-bytes.ts'
import { zero } from '../../crypto/zero.ts'
import type {
  CacheAppendRequest,
  CachedColumns,
  CachedSymbol,
  CacheKey,
  CacheReadRequest,
  SessionCacheMethods,
  SessionCacheSettings,
  SessionCacheStatus,
} from '../../protocol/session-cache.ts'
import { isStoreError, StoreError } from '../../protocol/store-error.ts'
import type { Committer } from '../committer.ts'
import { type BindValue, type Connection, queryOnce, type Row } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { toStoreError } from '../io-error.ts'
import type { ReadPool } from '../read-pool.ts'
import { ReadSlots } from '../read-slots.ts'
import { decodeBars, encodeBars, payloadBytes } from './bar-payload.ts'
import { keepNewest, mergeBars, NO_BARS, sliceBars } from './bar-table.ts'
import { CacheFolder } from './cache-folder.ts'
import {
  DamagedFile,
  FIRST_CHECKSUM,
  HEADER_BYTES,
  nextChecksum,
  type OpenedFile,
  openFile,
  RECORD_OVERHEAD_BYTES,
  RecordSeal,
  type Vouched,
} from './cache-format.ts'
import { type SnapshotFile, snapshotFiles } from './snapshot-files.ts'

export const SESSION_CACHE_METHODS = [
  'cacheAppend',
  'cacheRead',
  'cacheList',
  'cacheClear',
] as const satisfies readonly (keyof SessionCacheMethods)[]

export interface SessionCacheOptions {
  readonly dir: string
  readonly settings: SessionCacheSettings
  /** Of the keys of files, so that SQL, which anyone with the API can write, shows none. Zeroed at the end. */
  readonly wrappingKey: Buffer
  readonly readers: ReadPool
  /** Null for a store that is only read. */
  readonly committer: Committer | null
}

const KEY_BYTES = 32
/** How long an append may stand on disk before the database vouches for it. */
const VOUCH_AFTER_MS = 1_000
/** Files whose state is remembered; others are read again. */
const MAX_REMEMBERED = 2_000
/** What a rewritten file may take of its bound, so that the next one is some appends away. */
const REWRITTEN_SHARE = 0.75

/** What is known of a file of which nothing is under way. */
interface FileState extends Vouched {
  readonly file: string
  readonly key: Buffer
  generation: number
  records: number
  checksum: Uint8Array
  bytes: number
  rows: number
  lastTs: number | null
  /** False until the database knows the above. */
  isVouched: boolean
  writtenAt: number
}

interface Entry {
  readonly key: CacheKey
  /** The work under way; one at a time for each file. */
  tail: Promise<unknown>
  waiting: number
  state: FileState | undefined
  /** Set when the disk failed to say whether an append is there: what follows must not stand behind a hole. */
  isDoubtful: boolean
}

export class SessionCache implements SessionCacheMethods {
  readonly #dir: string
  readonly #settings: SessionCacheSettings
  readonly #wrappingKey: Buffer
  readonly #readers: ReadPool
  readonly #committer: Committer | null
  readonly #folder: CacheFolder
  readonly #entries = new Map<string, Entry>()
  /** Two files at a time: the threads that do it are those of all file work of the process. */
  readonly #slots = new ReadSlots()
  #swept: Promise<void> | undefined
  #vouching: NodeJS.Timeout | undefined
  #isClosed = false
  #hits = 0
  #misses = 0
  #damaged = 0
  /** Files and where they were torn: each is found again until it is written behind. */
  readonly #tornEnds = new Set<string>()

  constructor({ dir, settings, wrappingKey, readers, committer }: SessionCacheOptions) {
    this.#dir = dir
    this.#settings = settings
    this.#wrappingKey = wrappingKey
    this.#readers = readers
    this.#committer = committer
    this.#folder = new CacheFolder(dir)
  }

  async cacheAppend({ symbol, interval, batches }: CacheAppendRequest): Promise<void> {
    const bars = keepNewest(mergeBars(batches), this.#settings)
    if (bars.ts.length === 0) return
    await this.#sweep()
    await this.#alone({ symbol, interval }, async (entry) => {
      const { syncEveryMs } = this.#settings
      const restMs = entry.state === undefined ? 0 : entry.state.writtenAt + syncEveryMs - performance.now()
      if (restMs > 0 && !this.#isClosed) await sleep(restMs)
      await this.#slots.use(() => this.#append(entry, bars))
    })
  }

  async cacheRead({ symbol, interval, from, to, limit }: CacheReadRequest): Promise<CachedColumns> {
    const bars = await this.#alone({ symbol, interval }, (entry) =>
      this.#slots.use(async () => sliceBars(await this.#read(entry.key), { from, to, limit })),
    )
    if (bars.ts.length > 0) this.#hits += 1
    else this.#misses += 1
    const columns = [bars.ts, ...bars.values]
    return transfer(
      bars,
      columns.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer && buffer.byteLength > 0 ? [buffer] : [])),
    )
  }

  async cacheList(): Promise<readonly CachedSymbol[]> {
    const rows = await this.#query(
      'SELECT "symbol", "interval", "bytes" FROM "_sessionCache" ORDER BY "symbol", "interval"',
    )
    const hasFiles = rows.length > 0 && (await this.#folder.exists())
    const listed: CachedSymbol[] = []
    for (const row of hasFiles ? rows : []) {
      const key = { symbol: String(row.symbol), interval: String(row.interval) }
      const found = await this.#alone(key, (entry) => this.#slots.use(() => this.#summary(entry)))
      if (found !== null) listed.push({ ...key, ...found })
    }
    return listed
  }

  async cacheClear({ symbol, interval }: { readonly symbol: string | null; readonly interval: string | null }) {
    await this.#sweep()
    const rows = await this.#query(
      'SELECT "symbol", "interval" FROM "_sessionCache" WHERE (?1 IS NULL OR "symbol" = ?1) AND (?2 IS NULL OR "interval" = ?2)',
      [symbol, interval],
    )
    let cleared = 0
    for (const row of rows) {
      const key = { symbol: String(row.symbol), interval: String(row.interval) }
      if (await this.#alone(key, (entry) => this.#clear(entry))) cleared += 1
    }
    return cleared
  }

  async status(): Promise<SessionCacheStatus> {
    const [row] = await this.#query(
      'SELECT count(*) AS "files", coalesce(sum("bytes"), 0) AS "bytes" FROM "_sessionCache"',
    )
    return {
      files: Number(row?.files),
      bytes: Number(row?.bytes),
      hits: this.#hits,
      misses: this.#misses,
      droppedTails: this.#tornEnds.size,
      damaged: this.#damaged,
    }
  }

  /** For a backup: the files that a snapshot of `state.db` has rows of. */
  async filesIn(snapshot: Connection): Promise<readonly SnapshotFile[]> {
    return await snapshotFiles(snapshot, {
      keyIn: (row) => this.#keyIn(row),
      hasRow: async (file) => (await this.#query('SELECT 1 FROM "_sessionCache" WHERE "file" = ?', [file])).length > 0,
    })
  }

  /** Before the files close: what is under way ends, and the database vouches for all of it. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#entries.values()].map(({ tail }) => tail))
    clearTimeout(this.#vouching)
    await this.#vouch().catch(() => undefined)
    for (const { state } of this.#entries.values()) zero(state?.key)
    this.#entries.clear()
    zero(this.#wrappingKey)
  }

  async #append(entry: Entry, bars: CachedColumns): Promise<void> {
    const state = entry.state ?? (await this.#load(entry))
    if (state === undefined) {
      entry.state = await this.#create(entry.key, bars)
      return
    }
    try {
      const bytes = payloadBytes(bars) + RECORD_OVERHEAD_BYTES
      const { compactEveryWrites, maxBytes } = this.#settings
      if (entry.isDoubtful || state.records > compactEveryWrites || state.bytes + bytes > maxBytes) {
        await this.#rewrite(entry.key, state, bars)
        entry.isDoubtful = false
      } else {
        await this.#appendRecord(state, bars)
      }
    } catch (error) {
      // What has become of the file is found out by the next one who asks.
      this.#forget(entry)
      entry.isDoubtful ||= (error as NodeJS.ErrnoException).code === 'EIO'
      throw error
    }
    state.writtenAt = performance.now()
    this.#vouchSoon(state)
  }

  async #appendRecord(state: FileState, bars: CachedColumns): Promise<void> {
    const seal = new RecordSeal(state.key, Buffer.from(state.file, 'hex'), state.generation)
    const record = seal.seal(state.records, encodeBars(bars))
    seal.zero()
    await this.#folder.append(state.file, state.bytes, record)
    await failpoint('cache:appended')
    state.checksum = nextChecksum(state.checksum, record)
    state.records += 1
    state.bytes += record.length
    state.rows += bars.ts.length
    state.lastTs = Math.max(state.lastTs ?? Number.NEGATIVE_INFINITY, bars.ts.at(-1) as number)
  }

  /** As the next generation: each bar once, and those that are kept. */
  async #rewrite(key: CacheKey, state: FileState, bars: CachedColumns): Promise<void> {
    const { payloads } = await this.#openFile(key, state)
    const merged = this.#kept(mergeBars([...payloads.map(decodeBars), bars]))
    Object.assign(state, await this.#writeGeneration(state, state.generation + 1, merged))
  }

  #kept(bars: CachedColumns): CachedColumns {
    const newest = keepNewest(bars, this.#settings)
    const room = Math.floor(this.#settings.maxBytes * REWRITTEN_SHARE)
    const bytesPerRow = (newest.names.length + 1) * Float64Array.BYTES_PER_ELEMENT
    const overhead = HEADER_BYTES + RECORD_OVERHEAD_BYTES + payloadBytes({ ...newest, ts: new Float64Array() })
    return sliceBars(newest, { limit: Math.max(1, Math.floor((room - overhead) / bytesPerRow)) })
  }

  async #writeGeneration(
    { file, key }: Pick<FileState, 'file' | 'key'>,
    generation: number,
    bars: CachedColumns,
  ): Promise<Pick<FileState, 'generation' | 'records' | 'checksum' | 'bytes' | 'rows' | 'lastTs'>> {
    const seal = new RecordSeal(key, Buffer.from(file, 'hex'), generation)
    const record = seal.seal(0, encodeBars(bars))
    const { header } = seal
    seal.zero()
    await this.#folder.write(file, [header, record])
    return {
      generation,
      records: 1,
      checksum: nextChecksum(FIRST_CHECKSUM, record),
      bytes: header.length + record.length,
      rows: bars.ts.length,
      lastTs: bars.ts.at(-1) ?? null,
    }
  }

  /** The file first, then the row with its key: a file without a row is nobody's, a row without its file is damage. */
  async #create(key: CacheKey, bars: CachedColumns): Promise<FileState> {
    const file = this.#folder.newFile()
    const fileKey = randomBytes(KEY_BYTES)
    const written = await this.#writeGeneration({ file, key: fileKey }, 1, this.#kept(bars))
    const state: FileState = {
      ...written,
      file,
      key: fileKey,
      isVouched: true,
      writtenAt: performance.now(),
    }
    await failpoint('cache:file-made')
    try {
      await this.#writer().transact(async (connection) => {
        await queryOnce(
          connection,
          `INSERT INTO "_sessionCache" ("symbol", "interval", "file", "key", "generation", "records", "checksum", "bytes", "rows", "lastTs", "updatedAt")
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            key.symbol,
            key.interval,
            file,
            sealBytes(fileKey, this.#wrappingKey, Buffer.from(file, 'hex')),
            ...vouchedValues(state),
          ],
        )
      })
    } catch (error) {
      zero(fileKey)
      throw error
    }
    return state
  }

  async #clear(entry: Entry): Promise<boolean> {
    const [row] = await this.#rowOf(entry.key)
    if (row === undefined) return false
    await this.#writer().transact(async (connection) => {
      await queryOnce(connection, 'DELETE FROM "_sessionCache" WHERE "symbol" = ? AND "interval" = ?', [
        entry.key.symbol,
        entry.key.interval,
      ])
    })
    await failpoint('cache:key-shredded')
    this.#forget(entry)
    await this.#folder.remove(String(row.file))
    return true
  }

  /** What is kept of a symbol; empty without any. */
  async #read(key: CacheKey): Promise<CachedColumns> {
    const opened = await this.#openRow(key)
    if (opened === undefined) return NO_BARS
    return keepNewest(mergeBars(opened.payloads.map(decodeBars)), this.#settings)
  }

  async #summary({ key }: Entry): Promise<Omit<CachedSymbol, keyof CacheKey> | null> {
    try {
      const opened = await this.#openRow(key)
      if (opened === undefined) return null
      const { ts } = keepNewest(mergeBars(opened.payloads.map(decodeBars)), this.#settings)
      return {
        bars: ts.length,
        firstTs: ts[0] ?? null,
        lastTs: ts.at(-1) ?? null,
        bytes: opened.bytes,
        isDamaged: false,
      }
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'CACHE_DAMAGED') throw error
      return { bars: 0, firstTs: null, lastTs: null, bytes: 0, isDamaged: true }
    }
  }

  async #openRow(key: CacheKey): Promise<OpenedFile | undefined> {
    const [row] = await this.#rowOf(key)
    if (row === undefined) return undefined
    const fileKey = this.#keyIn(row)
    try {
      return await this.#openFile(key, { file: String(row.file), key: fileKey, ...vouchedBy(row) })
    } catch (error) {
      const [again] = await this.#rowOf(key)
      // An owner beside this reader has cleared it meanwhile.
      if (again === undefined || again.file !== row.file) return undefined
      if (!(await this.#folder.exists())) return undefined
      throw error
    } finally {
      zero(fileKey)
    }
  }

  /** @throws StoreError `CACHE_DAMAGED` */
  async #openFile(key: CacheKey, state: Pick<FileState, 'file' | 'key'> & Vouched): Promise<OpenedFile> {
    const content = await this.#folder.read(state.file)
    try {
      if (content === undefined) throw new DamagedFile('its file is missing')
      const opened = openFile(content, state.key, Buffer.from(state.file, 'hex'), state)
      if (opened.bytes < content.length) this.#tornEnds.add(`${state.file}/${opened.generation}/${opened.records}`)
      return opened
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error
      this.#damaged += 1
      throw damaged(key, error.message)
    }
  }

  /** Undefined when there is nothing of this symbol yet. */
  async #load(entry: Entry): Promise<FileState | undefined> {
    const [row] = await this.#rowOf(entry.key)
    if (row === undefined) return undefined
    const state = { file: String(row.file), key: this.#keyIn(row), ...vouchedBy(row) }
    if (!(await this.#folder.exists())) {
      await this.#clear(entry)
      return undefined
    }
    const opened = await this.#openFile(entry.key, state)
    const parts = opened.payloads.map(decodeBars)
    entry.state = {
      ...state,
      generation: opened.generation,
      records: opened.records,
      checksum: opened.checksum,
      bytes: opened.bytes,
      rows: parts.reduce((sum, { ts }) => sum + ts.length, 0),
      lastTs: mergeBars(parts).ts.at(-1) ?? null,
      isVouched: opened.generation === state.generation && opened.records === state.records,
      writtenAt: Number.NEGATIVE_INFINITY,
    }
    return entry.state
  }

  #vouchSoon(state: FileState): void {
    state.isVouched = false
    if (this.#isClosed) return
    this.#vouching ??= setTimeout(() => {
      this.#vouching = undefined
      // What can't be written now is written with the next one.
      void this.#vouch().catch(() => undefined)
    }, VOUCH_AFTER_MS).unref()
  }

  /** For everything that is on disk by the time of the transaction. */
  async #vouch(): Promise<void> {
    const unvouched = () =>
      [...this.#entries.values()].flatMap(({ state }) => (state?.isVouched === false ? [state] : []))
    if (this.#committer === null || unvouched().length === 0) return
    const vouched = await this.#committer.transact(async (connection) => {
      const states = unvouched().map((state) => ({ state, ...copyOf(state) }))
      const statement = await connection.prepare(
        `UPDATE "_sessionCache" SET "generation" = ?, "records" = ?, "checksum" = ?, "bytes" = ?, "rows" = ?, "lastTs" = ?, "updatedAt" = ?
         WHERE "file" = ?`,
      )
      try {
        for (const each of states) await statement.run([...vouchedValues(each), each.file])
      } finally {
        await statement.finalize()
      }
      return states
    })
    await failpoint('cache:vouched')
    for (const { state, generation, records } of vouched) {
      if (state.generation === generation && state.records === records) state.isVouched = true
    }
    const left = unvouched()[0]
    if (left !== undefined) this.#vouchSoon(left)
  }

  /** Once, before anything is written: what a crash or a restore has left without a key is removed. */
  #sweep(): Promise<void> {
    const writer = this.#writer()
    this.#swept ??= this.#query('SELECT "file" FROM "_sessionCache"').then(async (rows) => {
      await this.#ownErrors(async () => {
        if (rows.length > 0 && !(await this.#folder.exists())) {
          // From an archive: what is about to be written makes the folder, and would make damage of all other symbols.
          await writer.transact((connection) => queryOnce(connection, 'DELETE FROM "_sessionCache"'))
        }
        await this.#folder.removeAllBut(new Set(rows.map(({ file }) => String(file))))
      })
    })
    this.#swept.catch(() => {
      this.#swept = undefined
    })
    return this.#swept
  }

  #keyIn({ key, file }: Row): Buffer {
    const opened = openBytes(key as Uint8Array, this.#wrappingKey, Buffer.from(String(file), 'hex'))
    if (opened !== undefined) return opened
    throw new StoreError(
      'STORE_CORRUPT',
      'The key of a session cache file does not open. Restore a backup of the store.',
    )
  }

  async #rowOf({ symbol, interval }: CacheKey): Promise<Row[]> {
    return await this.#query(
      'SELECT "file", "key", "generation", "records", "checksum" FROM "_sessionCache" WHERE "symbol" = ? AND "interval" = ?',
      [symbol, interval],
    )
  }

  #writer(): Committer {
    if (this.#committer !== null) return this.#committer
    throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
  }

  /** Runs `work` when what was asked before about the same file is done. */
  async #alone<T>(key: CacheKey, work: (entry: Entry) => Promise<T>): Promise<T> {
    const name = JSON.stringify([key.symbol, key.interval])
    const entry = this.#entries.get(name) ?? {
      key,
      tail: Promise.resolve(),
      waiting: 0,
      state: undefined,
      isDoubtful: false,
    }
    this.#entries.set(name, entry)
    entry.waiting += 1
    const result = entry.tail.then(() => this.#ownErrors(() => work(entry)))
    entry.tail = result.catch(() => undefined)
    try {
      return await result
    } finally {
      entry.waiting -= 1
      if (entry.state === undefined || this.#entries.size > MAX_REMEMBERED) this.#dropIdle(name, entry)
    }
  }

  #dropIdle(name: string, entry: Entry): void {
    if (entry.waiting > 0 || entry.isDoubtful || entry.state?.isVouched === false) return
    this.#forget(entry)
    this.#entries.delete(name)
  }

  #forget(entry: Entry): void {
    zero(entry.state?.key)
    entry.state = undefined
  }

  async #query(sql: string, parameters: readonly BindValue[] = []): Promise<Row[]> {
    return await this.#ownErrors(() => this.#readers.query(sql, parameters))
  }

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}

function copyOf({ file, generation, records, checksum, bytes, rows, lastTs }: FileState) {
  return { file, generation, records, checksum, bytes, rows, lastTs }
}

function vouchedValues({
  generation,
  records,
  checksum,
  bytes,
  rows,
  lastTs,
}: Pick<FileState, 'generation' | 'records' | 'checksum' | 'bytes' | 'rows' | 'lastTs'>): BindValue[] {
  return [generation, records, checksum, bytes, rows, lastTs, Date.now()]
}

function vouchedBy(row: Row): Vouched {
  return {
    generation: Number(row.generation),
    records: Number(row.records),
    checksum: row.checksum as Uint8Array,
  }
}

function damaged({ symbol, interval }: CacheKey, problem: string): StoreError {
  return new StoreError(
    'CACHE_DAMAGED',
    `The session cache of ${symbol} (${interval}) is damaged: ${problem}. Nothing was changed, other symbols are not affected. Restore its file from a backup, or clear it (holdfast cache clear) and let it fill again.`,
    { details: { symbol, interval } },
  )
}
