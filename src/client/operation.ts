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
  readonly json: string | null
  readonly ifVersion: number | null
  /** What the mirror showed before this write, set when it is accepted. */
  before: MirrorEntry | undefined = undefined
  after: MirrorEntry | undefined = undefined

  constructor(
    target: CollectionState,
    kind: WriteKind,
    key: string,
    document: Document | undefined,
    json: string | null,
    ifVersion: number | null,
  ) {
    this.target = target
    this.kind = kind
    this.key = key
    this.document = document
    this.json = json
    this.ifVersion = ifVersion
  }

  get collection(): string {
    return this.target.spec.name
  }
}
