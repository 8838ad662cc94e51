/**
 * One write on its way from the caller to the worker. A busy bot has thousands of these pending, so it is one object
 * with everything its stages need: what is sent, and what the mirror showed before and after.
 */
import type { WireOperation, WriteKind } from '../protocol/batch.ts'
import type { CollectionState } from './collection-state.ts'
import type { Document } from './document-query.ts'
import type { MirrorEntry } from './mirror.ts'

export class Operation implements WireOperation {
  readonly target: CollectionState
  readonly kind: WriteKind
  readonly key: string
  readonly document: Document | undefined
  readonly ifVersion: number | null
  /** Estimate of the memory it takes while it is pending. */
  readonly bytes: number
  /** What the mirror showed before this write, set when it is accepted. */
  before: MirrorEntry | undefined = undefined
  after: MirrorEntry | undefined = undefined

  constructor(
    target: CollectionState,
    kind: WriteKind,
    key: string,
    document: Document | undefined,
    ifVersion: number | null,
    bytes: number,
  ) {
    this.target = target
    this.kind = kind
    this.key = key
    this.document = document
    this.ifVersion = ifVersion
    this.bytes = bytes
  }

  get collection(): string {
    return this.target.spec.name
  }

  /** Made when it is sent: the document is frozen, and a text of its own for every pending write would double what waits. */
  get json(): string | null {
    return this.document === undefined ? null : JSON.stringify(this.document)
  }

  /**
   * True for a put that no constraint can refuse by itself: it fails only when its whole batch does. Such puts share
   * a unit, and with it a promise.
   */
  get isUnconditional(): boolean {
    return this.kind === 'put' && this.ifVersion === null && this.target.isUnconstrained
  }
}
