/**
 * Collections as a program sees them. Hot ones answer from memory at once, cold ones with a promise; `await` works on
 * both. Writes are the same everywhere: accepted when the call returns, durable when the promise resolves.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { StoreError } from '../protocol/store-error.ts'
import { ARCHIVED_COLLECTIONS } from '../schema/built-in/trading.ts'
import type {
  AnyCollection,
  DocumentOf,
  HeatOf,
  HotWhile,
  InputOf,
  SealedFieldOf,
} from '../schema/define-collection.ts'
import { type Query, type QueryWire, querySchema, type Where, type WhereWire } from '../schema/query.ts'
import type { ChangeListener, CollectionState } from './collection-state.ts'
import { assertKey, OPERATION_BYTES, prepareWrite } from './document.ts'
import type { Document } from './document-query.ts'
import { Operation } from './operation.ts'
import { type PageSource, streamPages } from './page-stream.ts'
import type { StoreCore } from './store-core.ts'

/** Operations in one transaction; larger loads go through `load`. */
export const MAX_UNIT_OPERATIONS = 10_000
const LOAD_PIECE_ROWS = 250
/** The same beside trading. */
const YIELDING_PIECE_ROWS = 100
const LOAD_PIECE_BYTES = 1024 * 1024
/** A piece takes at most this part of a small queue. */
const LOAD_QUEUE_SHARE = 4
/** Pieces that may wait: few where urgent writes pass, many where there are none. */
const LOAD_PIECES_AHEAD = { state: 4, market: 32 } as const
/** A load beside trading rests as long as its last piece took, but no longer than this. */
const MAX_PAUSE_MS = 10
/** How long a load keeps the event loop before it lets others in. */
const LOAD_TURN_MS = 1

export interface WriteOptions {
  /** Write only if the stored document has this version (1 after its insert, one more with each put; 0: none). */
  readonly ifVersion?: number
}

/** What a read of one document, a search or a count takes. */
export interface ReadOptions {
  /** Reads on into the yearly files; trades, orders and fills only. */
  readonly includeArchived?: boolean
}

/** A document with what the store keeps about it. Times are Unix milliseconds. */
export interface Entry<D> {
  readonly document: D
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
}

/** What all collections can do. */
export interface CollectionWrites<C extends AnyCollection> {
  readonly name: string
  /**
   * Inserts or replaces. Rejects with `INVALID_DOCUMENT`, `VERSION_CONFLICT`, `CONSTRAINT`, `QUEUE_FULL`, `DISK_FULL`.
   *
   * @example
   * store.positions.put(position)        // accepted: visible to get and find from now on
   * await store.orders.put(order)        // durable: survives a crash from now on
   */
  put(document: InputOf<C>, options?: WriteOptions): Promise<void>
  /** Like `put`, but rejects with `ALREADY_EXISTS` when there is a document with this key. */
  insert(document: InputOf<C>): Promise<void>
  /** Inserts all of them or none, in one transaction of at most 10,000 documents. */
  insertMany(documents: readonly InputOf<C>[]): Promise<void>
  /**
   * Puts any number of documents in pieces of up to 250, each a transaction of its own, with back-pressure, so that urgent
   * writes pass in between. Resolves to the number of documents, all durable. When it rejects, some pieces may be.
   */
  load(documents: Iterable<InputOf<C>> | AsyncIterable<InputOf<C>>): Promise<number>
  /** Deletes a document; one that does not exist is no error. */
  delete(key: string, options?: WriteOptions): Promise<void>
  /** The document with its version and times, as stored. */
  entry(key: string): Promise<Entry<DocumentOf<C>> | undefined>
  /** Documents one by one, in pages: bounded memory at any size. Each page is consistent by itself. */
  stream(query?: Query<C>): AsyncIterable<DocumentOf<C>>
  /** Calls `listener` with every change as it is accepted, or taken back. Returns a function that ends it. */
  on(event: 'change', listener: ChangeListener<DocumentOf<C>>): () => void
}

/** A collection that is in memory whole. */
export interface HotCollection<C extends AnyCollection> extends CollectionWrites<C> {
  readonly size: number
  get(key: string): DocumentOf<C> | undefined
  find(where: Where<C>): DocumentOf<C>[]
  list(query?: Query<C>): DocumentOf<C>[]
  count(where?: Where<C>): number
}

/** A collection on disk. */
export interface ColdCollection<C extends AnyCollection> extends CollectionWrites<C> {
  get(key: string, options?: ReadOptions): Promise<DocumentOf<C> | undefined>
  find(where: Where<C>, options?: ReadOptions): Promise<DocumentOf<C>[]>
  list(query?: Query<C>): Promise<DocumentOf<C>[]>
  count(where?: Where<C>, options?: ReadOptions): Promise<number>
}

type HotValueOf<C extends AnyCollection> = HeatOf<C> extends HotWhile<string, infer V> ? V : never
type HotFieldOf<C extends AnyCollection> = HeatOf<C> extends HotWhile<infer F, string> ? F : never

/** Conditions that only documents in memory can meet. */
type HotWhere<C extends AnyCollection> = Where<C> & {
  readonly [F in HotFieldOf<C>]: HotValueOf<C> | { readonly in: readonly HotValueOf<C>[] }
}

/**
 * A collection of which the documents in certain states are in memory, such as open orders. What memory can answer
 * comes at once; everything else is a promise, so that an order that was filled is never mistaken for none.
 */
export interface PartlyHotCollection<C extends AnyCollection> extends CollectionWrites<C> {
  /** The number of documents in memory. */
  readonly size: number
  get(key: string, options?: ReadOptions): DocumentOf<C> | Promise<DocumentOf<C> | undefined>
  /** The document if it is in memory. */
  peek(key: string): DocumentOf<C> | undefined
  find(where: HotWhere<C>): DocumentOf<C>[]
  find(where: Where<C>, options?: ReadOptions): DocumentOf<C>[] | Promise<DocumentOf<C>[]>
  list(query?: Query<C>): Promise<DocumentOf<C>[]>
  count(where?: Where<C>, options?: ReadOptions): Promise<number>
}

/** What `reveal` records in the audit trail. */
export interface RevealOptions {
  readonly actor: string
  readonly reason: string
}

/** A collection with sealed fields. */
export interface SealedCollection<C extends AnyCollection> {
  /** Opens the sealed fields of a document; the audit entry is durable before they are returned. Rejects with `NOT_FOUND`. */
  reveal(key: string, options: RevealOptions): Promise<{ readonly [F in SealedFieldOf<C>]: string | null }>
}

/** A collection of `{ key, value }` documents. */
export interface KeyValueCollection<V> {
  /** Shorthand for `put({ key, value })`. */
  set(key: string, value: V): Promise<void>
  /** Shorthand for `get(key)?.value`. */
  value(key: string): V | undefined
}

type ByHeat<C extends AnyCollection> =
  HeatOf<C> extends true
    ? HotCollection<C>
    : HeatOf<C> extends false
      ? ColdCollection<C>
      : HeatOf<C> extends HotWhile
        ? PartlyHotCollection<C>
        : ColdCollection<C>

type WithReveal<C extends AnyCollection> = [SealedFieldOf<C>] extends [never] ? unknown : SealedCollection<C>

/** The values of a collection of `{ key, value }` documents in memory; never, of any other. */
export type KeyedValueOf<C extends AnyCollection> =
  DocumentOf<C> extends { readonly key: string; readonly value: infer V } ? (HeatOf<C> extends true ? V : never) : never

type WithKeyValue<C extends AnyCollection> = [KeyedValueOf<C>] extends [never]
  ? unknown
  : KeyValueCollection<KeyedValueOf<C>>

/** The interface of a collection, from its definition. */
export type Collection<C extends AnyCollection> = ByHeat<C> & WithReveal<C> & WithKeyValue<C>

/** The one implementation behind the three interfaces. */
export class StoreCollection {
  readonly #core: StoreCore
  readonly #state: CollectionState

  constructor(core: StoreCore, state: CollectionState) {
    this.#core = core
    this.#state = state
  }

  get name(): string {
    return this.#state.spec.name
  }

  get size(): number {
    return this.#state.mirror?.size ?? 0
  }

  put(document: unknown, options?: WriteOptions): Promise<void> {
    try {
      return this.#core.acceptOne(preparePut(this.#state, document, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  insert(document: unknown): Promise<void> {
    try {
      return this.#core.acceptOne(prepareInsert(this.#state, document))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async insertMany(documents: readonly unknown[]): Promise<void> {
    await this.#core.acceptUnit(prepareInserts(this.#state, documents))
  }

  async load(documents: Iterable<unknown> | AsyncIterable<unknown>): Promise<number> {
    const queue = this.#core.queue(this.#state.spec.file)
    const maxRows = Math.min(LOAD_PIECE_ROWS, Math.ceil(queue.limits.maxQueueOperations / LOAD_QUEUE_SHARE))
    const maxBytes = Math.min(LOAD_PIECE_BYTES, queue.limits.maxQueueBytes / LOAD_QUEUE_SHARE)
    let failure: { readonly error: unknown } | undefined
    let piece: Operation[] = []
    let pieceBytes = 0
    let count = 0
    let turnStartedAt = performance.now()
    let pieceStartedAt = turnStartedAt
    let yields = false
    const send = async () => {
      const operations = piece
      const bytes = pieceBytes
      piece = []
      pieceBytes = 0
      await queue.room()
      while (!queue.hasRoomFor(operations.length, bytes)) await queue.nextSettled()
      if (failure !== undefined) throw failure.error
      count += operations.length
      this.#core.acceptUnit(operations).catch((error: unknown) => {
        failure ??= { error }
      })
      yields = this.#core.isUrgentWorkBeside(this.#state.spec.file)
      await queue.settledThrough(queue.acceptedUnits - (yields ? 1 : LOAD_PIECES_AHEAD[this.#state.spec.file]))
      if (yields) await pause(Math.min(MAX_PAUSE_MS, performance.now() - pieceStartedAt))
      pieceStartedAt = performance.now()
    }
    for await (const document of documents) {
      const operation = preparePut(this.#state, document, undefined)
      if (
        piece.length >= (yields ? YIELDING_PIECE_ROWS : maxRows) ||
        (piece.length > 0 && pieceBytes + operation.bytes > maxBytes)
      )
        await send()
      piece.push(operation)
      pieceBytes += operation.bytes
      if (performance.now() - turnStartedAt > LOAD_TURN_MS) {
        await nextTurn()
        turnStartedAt = performance.now()
      }
    }
    if (piece.length > 0) await send()
    await queue.settledThrough(queue.acceptedUnits)
    await nextTurn()
    if (failure !== undefined) throw failure.error
    return count
  }

  delete(key: string, options?: WriteOptions): Promise<void> {
    try {
      return this.#core.acceptOne(prepareDelete(this.#state, key, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  get(key: string, options?: ReadOptions): Document | undefined | Promise<Document | undefined> {
    const { mirror } = this.#state
    if (mirror === undefined) return this.#getStored(key, options)
    this.#core.assertNotClosed()
    if (options?.includeArchived) assertArchived(this.#state)
    const found = mirror.get(key)
    return found !== undefined || mirror.isWhole ? found : this.#getStored(key, options)
  }

  peek(key: string): Document | undefined {
    this.#core.assertNotClosed()
    return this.#state.mirror?.get(key)
  }

  find(where: WhereWire, options?: ReadOptions): Document[] | Promise<Document[]> {
    if (this.#state.mirror === undefined) return this.#listStored({ where, ...options })
    const query = parseQuery(this.#state, { where, ...options })
    return isAnsweredInMemory(this.#state, query) ? this.#listHot(query) : this.#listStored(query)
  }

  list(query: QueryWire = {}): Document[] | Promise<Document[]> {
    if (this.#state.mirror?.isWhole !== true) return this.#listStored(query)
    return this.#listHot(parseQuery(this.#state, query))
  }

  count(where: WhereWire = {}, options?: ReadOptions): number | Promise<number> {
    if (this.#state.mirror?.isWhole !== true) return this.#countStored(where, options)
    return this.#listHot(parseQuery(this.#state, { where, ...options })).length
  }

  async entry(key: string): Promise<Entry<Document> | undefined> {
    this.#core.assertOpen()
    await this.#core.settled(this.#state)
    const found = await this.#core.supervisor.read('entry', { collection: this.name, key })
    if (found === null) return undefined
    const { json, version, createdAt, updatedAt } = found
    return { document: JSON.parse(json) as Document, version, createdAt, updatedAt }
  }

  async *stream(query: QueryWire = {}): AsyncIterable<Document> {
    const parsed = parseQuery(this.#state, query)
    if (this.#state.mirror?.isWhole === true) {
      yield* this.#listHot(parsed)
      return
    }
    this.#core.assertOpen()
    await this.#core.settled(this.#state)
    yield* streamPages(this.#pages, this.name, parsed)
  }

  on(_event: 'change', listener: ChangeListener<Document>): () => void {
    return this.#state.listen(listener)
  }

  async reveal(key: string, options: RevealOptions): Promise<Readonly<Record<string, string | null>>> {
    this.#core.assertOpen()
    const { actor, reason } = options ?? {}
    if (typeof actor !== 'string' || typeof reason !== 'string' || actor === '' || reason === '') {
      throw new StoreError('INVALID_ARGUMENT', 'reveal is recorded: say who asks (actor) and why (reason), as texts.')
    }
    await this.#core.settled(this.#state)
    return await this.#core.supervisor.callOnce('reveal', { collection: this.name, key, actor, reason })
  }

  async set(key: string, value: unknown): Promise<void> {
    await this.put({ key, value })
  }

  value(key: string): unknown {
    return this.peek(key)?.value
  }

  readonly #pages: PageSource = (request) => this.#core.supervisor.read('page', request)

  async #getStored(key: string, { includeArchived = false }: ReadOptions = {}): Promise<Document | undefined> {
    this.#core.assertOpen()
    if (includeArchived) assertArchived(this.#state)
    await this.#core.settled(this.#state)
    const json = await this.#core.supervisor.read('get', { collection: this.name, key, includeArchived })
    return json === null ? undefined : (JSON.parse(json) as Document)
  }

  #listHot(query: QueryWire): Document[] {
    this.#core.assertNotClosed()
    return this.#state.mirror?.list(query) ?? []
  }

  async #listStored(query: QueryWire): Promise<Document[]> {
    const parsed = parseQuery(this.#state, query)
    const documents: Document[] = []
    this.#core.assertOpen()
    await this.#core.settled(this.#state)
    for await (const document of streamPages(this.#pages, this.name, parsed)) documents.push(document)
    return documents
  }

  async #countStored(where: WhereWire, options?: ReadOptions): Promise<number> {
    const { where: parsed = {}, includeArchived = false } = parseQuery(this.#state, { where, ...options })
    this.#core.assertOpen()
    await this.#core.settled(this.#state)
    return await this.#core.supervisor.read('count', { collection: this.name, where: parsed, includeArchived })
  }
}

export function preparePut(state: CollectionState, input: unknown, options: WriteOptions | undefined): Operation {
  return prepareWrite(state, 'put', input, expectedVersion(options))
}

export function prepareInsert(state: CollectionState, input: unknown): Operation {
  return prepareWrite(state, 'insert', input, null)
}

export function prepareInserts(state: CollectionState, inputs: readonly unknown[]): Operation[] {
  if (inputs.length > MAX_UNIT_OPERATIONS) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      `insertMany takes up to ${MAX_UNIT_OPERATIONS} documents, which are written whole or not at all. Use load for more.`,
      { details: { documents: inputs.length } },
    )
  }
  return inputs.map((input) => prepareInsert(state, input))
}

export function prepareDelete(state: CollectionState, key: string, options: WriteOptions | undefined): Operation {
  return new Operation(
    state,
    'delete',
    assertKey(state.spec, key),
    undefined,
    expectedVersion(options),
    OPERATION_BYTES,
  )
}

function expectedVersion(options: WriteOptions | undefined): number | null {
  const ifVersion = options?.ifVersion
  if (ifVersion === undefined) return null
  if (Number.isSafeInteger(ifVersion) && ifVersion >= 0) return ifVersion
  throw new StoreError('INVALID_ARGUMENT', 'ifVersion must be a whole number: 0 for no document, 1 after the insert.')
}

/** @throws StoreError `INVALID_QUERY` for a shape that is none, or a field that is not indexed. */
export function parseQuery({ spec }: CollectionState, query: QueryWire): QueryWire {
  const parsed = querySchema.safeParse(query)
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.map(String).join('.') || '(query)')
    throw new StoreError('INVALID_QUERY', `Not a valid query of "${spec.name}": ${paths.join(', ')}.`, {
      details: { collection: spec.name, paths },
    })
  }
  const { where, orderBy, includeArchived } = parsed.data
  if (includeArchived) assertArchived({ spec })
  for (const field of [...Object.keys(where ?? {}), ...(orderBy === undefined ? [] : [orderBy])]) {
    if (field === spec.key || spec.indexes.includes(field)) continue
    const known = [spec.key, ...spec.indexes].join(', ')
    throw new StoreError(
      'INVALID_QUERY',
      `"${spec.name}" can't be searched by "${field}". Indexed fields are: ${known}. Add it to indexes, or use sql().`,
      { details: { collection: spec.name, field } },
    )
  }
  return parsed.data
}

/** @throws StoreError `INVALID_QUERY` for a collection whose documents never move into yearly files */
export function assertArchived({ spec }: Pick<CollectionState, 'spec'>): void {
  if ((ARCHIVED_COLLECTIONS as readonly string[]).includes(spec.name)) return
  throw new StoreError(
    'INVALID_QUERY',
    `Nothing of "${spec.name}" is ever archived: includeArchived is for ${ARCHIVED_COLLECTIONS.join(', ')}.`,
    { details: { collection: spec.name } },
  )
}

/** True when every document that could match is in memory. */
export function isAnsweredInMemory({ spec, mirror }: CollectionState, { where, includeArchived }: QueryWire): boolean {
  if (mirror === undefined || includeArchived) return false
  if (typeof spec.hot === 'boolean') return spec.hot
  const condition = where?.[spec.hot.field]
  const values = typeof condition === 'string' ? [condition] : typeof condition === 'object' ? condition?.in : undefined
  return values?.every((value) => (spec.hot as HotWhile).in.includes(value as string)) ?? false
}
