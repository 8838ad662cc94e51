/**
 * The blocking twin of the store, for start-up, shutdown and scripts: each call returns when it is done and holds the
 * event loop for as long. Not for the hot path.
 */
import type { AnyCollection, DocumentOf, InputOf } from '../schema/define-collection.ts'
import type { Query, QueryWire, Where, WhereWire } from '../schema/query.ts'
import {
  assertArchived,
  isAnsweredInMemory,
  parseQuery,
  prepareDelete,
  prepareInsert,
  prepareInserts,
  preparePut,
  type ReadOptions,
  type WriteOptions,
} from './collection.ts'
import type { CollectionState } from './collection-state.ts'
import type { Document } from './document-query.ts'
import { pageRequests } from './page-stream.ts'
import type { StoreCore } from './store-core.ts'

/** Throws `StoreError` with the codes its asynchronous twin rejects with, or `TIMEOUT`. */
export interface SyncCollection<C extends AnyCollection> {
  put(document: InputOf<C>, options?: WriteOptions): void
  insert(document: InputOf<C>): void
  insertMany(documents: readonly InputOf<C>[]): void
  delete(key: string, options?: WriteOptions): void
  get(key: string, options?: ReadOptions): DocumentOf<C> | undefined
  find(where: Where<C>, options?: ReadOptions): DocumentOf<C>[]
  list(query?: Query<C>): DocumentOf<C>[]
  count(where?: Where<C>, options?: ReadOptions): number
}

export type SyncScope<Cs extends Readonly<Record<string, AnyCollection>>> = {
  readonly [K in keyof Cs]: SyncCollection<Cs[K]>
} & {
  /** Blocks until everything accepted is durable. */
  flush(): void
}

export const SYNC_TIMEOUT_MS = 30_000

export class StoreSyncCollection {
  readonly #core: StoreCore
  readonly #state: CollectionState

  constructor(core: StoreCore, state: CollectionState) {
    this.#core = core
    this.#state = state
  }

  put(document: unknown, options?: WriteOptions): void {
    this.#core.acceptSync([preparePut(this.#state, document, options)], SYNC_TIMEOUT_MS)
  }

  insert(document: unknown): void {
    this.#core.acceptSync([prepareInsert(this.#state, document)], SYNC_TIMEOUT_MS)
  }

  insertMany(documents: readonly unknown[]): void {
    this.#core.acceptSync(prepareInserts(this.#state, documents), SYNC_TIMEOUT_MS)
  }

  delete(key: string, options?: WriteOptions): void {
    this.#core.acceptSync([prepareDelete(this.#state, key, options)], SYNC_TIMEOUT_MS)
  }

  get(key: string, { includeArchived = false }: ReadOptions = {}): Document | undefined {
    const { mirror, spec } = this.#state
    this.#core.assertNotClosed()
    if (includeArchived) assertArchived(this.#state)
    const hot = mirror?.get(key)
    if (hot !== undefined || mirror?.isWhole === true) return hot
    this.#settle()
    const json = this.#core.supervisor.callSync('get', SYNC_TIMEOUT_MS, { collection: spec.name, key, includeArchived })
    return json === null ? undefined : (JSON.parse(json) as Document)
  }

  find(where: WhereWire, options?: ReadOptions): Document[] {
    return this.list({ where, ...options })
  }

  list(query: QueryWire = {}): Document[] {
    const parsed = parseQuery(this.#state, query)
    this.#core.assertNotClosed()
    if (isAnsweredInMemory(this.#state, parsed)) return this.#state.mirror?.list(parsed) ?? []
    this.#settle()
    const documents: Document[] = []
    const pages = pageRequests(this.#state.spec.name, parsed)
    let request = pages.first()
    while (request !== undefined) {
      const page = this.#core.supervisor.callSync('page', SYNC_TIMEOUT_MS, request)
      for (const document of JSON.parse(page.json) as Document[]) documents.push(document)
      request = pages.next(page)
    }
    return documents
  }

  count(where: WhereWire = {}, options?: ReadOptions): number {
    const { where: parsed = {}, includeArchived = false } = parseQuery(this.#state, { where, ...options })
    if (this.#state.mirror?.isWhole === true) return this.#state.mirror.find(parsed).length
    this.#settle()
    return this.#core.supervisor.callSync('count', SYNC_TIMEOUT_MS, {
      collection: this.#state.spec.name,
      where: parsed,
      includeArchived,
    })
  }

  #settle(): void {
    this.#core.assertOpen()
    this.#core.drainSync(SYNC_TIMEOUT_MS)
  }
}
