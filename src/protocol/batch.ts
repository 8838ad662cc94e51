/**
 * Writes as they cross to the worker.
 *
 * A batch first travels in its fast form (`Batch`): operations of the same kind on the same collection sit side by
 * side, so that the worker runs one multi-row statement for many documents. When any of them fails, the worker rolls
 * the whole transaction back and the client sends the same operations again unit by unit (`UnitBatch`), where a
 * savepoint around each unit finds the one at fault and lets the others through.
 */

import type { DatabaseFile } from '../schema/database-file.ts'
import { AUDIT_COLLECTION } from './audit.ts'
import type { SerializedError } from './store-error.ts'

export type WriteKind = 'put' | 'insert' | 'delete'

/** One operation. `json` is the document, null for a delete; `ifVersion` guards put and delete. */
export interface WireOperation {
  readonly collection: string
  readonly kind: WriteKind
  readonly key: string
  readonly json: string | null
  readonly ifVersion: number | null
}

/** Operations of one kind on one collection, in order. `documents` is empty for deletes. */
export interface Segment {
  readonly collection: string
  readonly kind: WriteKind
  readonly keys: readonly string[]
  readonly documents: readonly string[]
  /** Set for the only operation of a guarded segment. */
  readonly ifVersion: number | null
}

/**
 * A document whose stored sequence proves that the batch was applied: the last write of its key in this batch. The audit
 * trail is a better one where the batch appends to it, because nothing that comes after takes anything away there. A
 * batch of deletes alone has none and is recorded in the session row instead.
 */
export interface Witness {
  readonly collection: string
  readonly key: string
}

interface BatchHead {
  readonly file: DatabaseFile
  /** Rising over the life of the store; see `sequence.ts`. */
  readonly sequence: number
}

export interface Batch extends BatchHead {
  readonly segments: readonly Segment[]
  readonly witness: Witness | null
}

export interface UnitBatch extends BatchHead {
  readonly units: readonly (readonly WireOperation[])[]
}

export interface UnitFailure {
  /** Index into `UnitBatch.units`. */
  readonly unit: number
  readonly error: SerializedError
}

/**
 * `conflict`: nothing was written; send the batch again unit by unit. `deferred`: nothing was written, because a batch
 * before this one has to be sent unit by unit first; send it again after that.
 */
export interface CommitResult {
  readonly outcome: 'committed' | 'conflict' | 'deferred'
}

export interface UnitCommitResult {
  readonly failures: readonly UnitFailure[]
}

/**
 * Orders operations into segments. Those of different collections may change places, never those of one: the order in
 * which documents are first written is the order of lists, and uniqueness is judged write by write.
 */
export function segmentOperations(operations: readonly WireOperation[]): Segment[] {
  const segments: MutableSegment[] = []
  const lastOf = new Map<string, MutableSegment>()
  for (const operation of operations) {
    const { collection, kind, ifVersion } = operation
    let segment = lastOf.get(collection)
    if (segment === undefined || segment.kind !== kind || segment.ifVersion !== null || ifVersion !== null) {
      segment = { collection, kind, keys: [], documents: [], ifVersion }
      segments.push(segment)
      lastOf.set(collection, segment)
    }
    append(segment, operation)
  }
  return segments
}

interface MutableSegment extends Segment {
  readonly keys: string[]
  readonly documents: string[]
}

function append(segment: MutableSegment, operation: WireOperation): void {
  segment.keys.push(operation.key)
  const { json } = operation
  if (json !== null) segment.documents.push(json)
}

const AUDIT_WITNESS: Witness = Object.freeze({ collection: AUDIT_COLLECTION, key: '' })

/** What proves that the batch of `operations` was applied; their segments, where there are any, tell its collections faster. */
export function witnessOf(
  operations: readonly WireOperation[],
  segments: readonly { readonly collection: string }[] = operations,
): Witness | null {
  return segments.some(({ collection }) => collection === AUDIT_COLLECTION) ? AUDIT_WITNESS : findWitness(operations)
}

/** The last operation whose document will still be there after the batch, if any. */
export function findWitness(operations: readonly WireOperation[]): Witness | null {
  const deletedLater = new Set<string>()
  for (let index = operations.length - 1; index >= 0; index--) {
    const { collection, kind, key } = operations[index] as WireOperation
    const id = `${collection}\u0000${key}`
    if (kind === 'delete') deletedLater.add(id)
    else if (!deletedLater.has(id)) return { collection, key }
  }
  return null
}
