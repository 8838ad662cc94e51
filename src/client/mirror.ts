/**
 * The documents of a hot collection in memory. A write shows here the moment it is accepted; when its transaction
 * fails it is taken back, and what was accepted after it stays. The documents are frozen: nobody changes the mirror by
 * changing what it gave out.
 */
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { QueryWire, WhereWire } from '../schema/query.ts'
import { comparable, type Document, matches, sortDocuments } from './document-query.ts'
import type { Operation } from './operation.ts'

export interface MirrorEntry {
  readonly document: Document
  /** 0 while the database alone knows it. */
  version: number
  /** Rises with the time a document first came in: the order of lists. */
  readonly order: number
}

type Listener = (key: string, document: Document | undefined, previous: Document | undefined) => void

export class Mirror {
  readonly #spec: CollectionSpec
  readonly #entries = new Map<string, MirrorEntry>()
  /** Keys by value of an indexed field, built by the first query that can use them. */
  readonly #indexes = new Map<string, Map<unknown, Set<string>>>()
  readonly #onChange: Listener
  #lastOrder = 0

  constructor(spec: CollectionSpec, onChange: Listener) {
    this.#spec = spec
    this.#onChange = onChange
  }

  get size(): number {
    return this.#entries.size
  }

  /** True when every document of the collection is here, not only those in hot states. */
  get isWhole(): boolean {
    return this.#spec.hot === true
  }

  hydrate(key: string, document: Document, version: number): void {
    this.#entries.set(key, { document, version, order: this.#nextOrder() })
  }

  get(key: string): Document | undefined {
    return this.#entries.get(key)?.document
  }

  /** The version of a document, 0 when there is none, undefined when only the database can tell. */
  version(key: string): number | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return this.isWhole ? 0 : undefined
    return entry.version === 0 ? undefined : entry.version
  }

  /** Shows a write. Its version follows from what is known; a document that is not hot leaves the mirror. */
  apply(operation: Operation): void {
    const { key, document } = operation
    const before = this.#entries.get(key)
    const after =
      document === undefined || !this.isHot(document)
        ? undefined
        : {
            document,
            version: this.#nextVersion(before, operation.kind === 'insert'),
            order: before?.order ?? this.#nextOrder(),
          }
    operation.before = before
    operation.after = after
    this.#set(key, after, before)
  }

  /**
   * Takes a failed write back. `later` is the next write of the same key, pending or durable: then what shows is not
   * this write's, and what came before that one is now what came before this.
   */
  revert(operation: Operation, later: Operation | undefined): void {
    if (later === undefined) {
      this.#set(operation.key, operation.before, operation.after)
      return
    }
    later.before = operation.before
    const shown = this.#entries.get(operation.key)
    if (shown !== undefined) shown.version = 0
  }

  find(where: WhereWire): Document[] {
    return this.#matching(where).map((entry) => entry.document)
  }

  list(query: QueryWire): Document[] {
    const found = this.find(query.where ?? {})
    if (query.orderBy !== undefined) sortDocuments(found, query.orderBy, query.order ?? 'asc')
    else if (query.order === 'desc') found.reverse()
    const offset = query.offset ?? 0
    const end = query.limit === undefined ? found.length : offset + query.limit
    return offset === 0 && end >= found.length ? found : found.slice(offset, end)
  }

  isHot(document: Document): boolean {
    const { hot } = this.#spec
    return typeof hot === 'boolean' ? hot : hot.in.includes(document[hot.field] as string)
  }

  #nextVersion(before: MirrorEntry | undefined, isInsert: boolean): number {
    if (before !== undefined) return before.version === 0 ? 0 : before.version + 1
    return isInsert || this.isWhole ? 1 : 0
  }

  #set(key: string, entry: MirrorEntry | undefined, previous: MirrorEntry | undefined): void {
    if (entry === undefined) this.#entries.delete(key)
    else this.#entries.set(key, entry)
    if (this.#indexes.size > 0) this.#reindex(key, entry?.document, previous?.document)
    this.#onChange(key, entry?.document, previous?.document)
  }

  #matching(where: WhereWire): MirrorEntry[] {
    const found: MirrorEntry[] = []
    let sorted = true
    let lastOrder = 0
    for (const entry of this.#candidates(where)) {
      if (!matches(entry.document, where)) continue
      sorted &&= entry.order > lastOrder
      lastOrder = entry.order
      found.push(entry)
    }
    return sorted ? found : found.sort((a, b) => a.order - b.order)
  }

  #candidates(where: WhereWire): Iterable<MirrorEntry> {
    for (const [field, condition] of Object.entries(where)) {
      if (typeof condition !== 'string') continue
      if (field === this.#spec.key) {
        const entry = this.#entries.get(condition)
        return entry === undefined ? [] : [entry]
      }
      return this.#byKeys(this.#index(field).get(condition))
    }
    return this.#entries.values()
  }

  *#byKeys(keys: ReadonlySet<string> | undefined): Iterable<MirrorEntry> {
    if (keys === undefined) return
    for (const key of keys) yield this.#entries.get(key) as MirrorEntry
  }

  #nextOrder(): number {
    this.#lastOrder += 1
    return this.#lastOrder
  }

  #index(field: string): Map<unknown, Set<string>> {
    const known = this.#indexes.get(field)
    if (known !== undefined) return known
    const index = new Map<unknown, Set<string>>()
    for (const [key, { document }] of this.#entries) addToIndex(index, comparable(document[field]), key)
    this.#indexes.set(field, index)
    return index
  }

  #reindex(key: string, document: Document | undefined, previous: Document | undefined): void {
    for (const [field, index] of this.#indexes) {
      if (previous !== undefined) removeFromIndex(index, comparable(previous[field]), key)
      if (document !== undefined) addToIndex(index, comparable(document[field]), key)
    }
  }
}

function addToIndex(index: Map<unknown, Set<string>>, value: unknown, key: string): void {
  const keys = index.get(value)
  if (keys === undefined) index.set(value, new Set([key]))
  else keys.add(key)
}

function removeFromIndex(index: Map<unknown, Set<string>>, value: unknown, key: string): void {
  const keys = index.get(value)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(value)
}
