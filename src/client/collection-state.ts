/** The run-time side of a collection: its definition, its mirror when it is hot, and who listens to its changes. */
import type { z } from 'zod'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { Document } from './document-query.ts'
import { Mirror } from './mirror.ts'

/** A change as it was accepted, or taken back after its transaction failed. */
export interface ChangeEvent<D> {
  readonly key: string
  /** Undefined when the document is gone, or has left the hot part of the collection. */
  readonly document: D | undefined
  /** Undefined when there was none, and for collections that are not hot. */
  readonly previous: D | undefined
}

export type ChangeListener<D> = (event: ChangeEvent<D>) => void

export class CollectionState {
  readonly spec: CollectionSpec
  readonly schema: z.ZodType
  readonly mirror: Mirror | undefined
  /** True when the database has no reason of its own to refuse a single document. */
  isUnconstrained: boolean
  /** The last accepted unit that writes to this collection. */
  lastUnit = 0
  readonly #listeners = new Set<ChangeListener<Document>>()

  constructor(spec: CollectionSpec, schema: z.ZodType) {
    this.spec = spec
    this.schema = schema
    this.isUnconstrained =
      spec.unique.length === 0 && spec.sealed.length === 0 && Object.keys(spec.references).length === 0
    this.mirror = spec.hot === false ? undefined : new Mirror(spec, this.emit)
  }

  listen(listener: ChangeListener<Document>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A listener that throws does not stop the write or the other listeners; its error surfaces as uncaught. */
  readonly emit = (key: string, document: Document | undefined, previous: Document | undefined): void => {
    for (const listener of this.#listeners) {
      try {
        listener({ key, document, previous })
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
  }
}
