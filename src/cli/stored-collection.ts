/** A collection whose shape is only known when the command runs, as the commands use it. */
import type { Condition, Entry, ReadOptions, Store, WriteOptions } from '../index.ts'

export type StoredDocument = Readonly<Record<string, unknown>>

export interface DocumentQuery extends ReadOptions {
  readonly where?: Readonly<Record<string, Condition<unknown>>>
  readonly orderBy?: string
  readonly order?: 'asc' | 'desc'
  readonly limit?: number
}

export interface StoredCollection {
  readonly name: string
  put(document: unknown, options?: WriteOptions): Promise<void>
  insert(document: unknown): Promise<void>
  insertMany(documents: readonly unknown[]): Promise<void>
  load(documents: AsyncIterable<unknown>): Promise<number>
  delete(key: string, options?: WriteOptions): Promise<void>
  entry(key: string): Promise<Entry<StoredDocument> | undefined>
  stream(query?: DocumentQuery): AsyncIterable<StoredDocument>
  count(where?: DocumentQuery['where'], options?: ReadOptions): number | Promise<number>
}

/** @throws StoreError `UNKNOWN_COLLECTION` */
export function storedCollection(store: Store, name: string): StoredCollection {
  return store.collection(name) as unknown as StoredCollection
}
