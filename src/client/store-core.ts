/**
 * What every collection and transaction of one open store shares: the worker behind it, a commit queue for each
 * database file, and the one way in for writes. A unit is taken into the mirrors and its queue together, or refused
 * before either has changed.
 */
import type { WireOperation, WriteKind } from '../protocol/batch.ts'
import { StoreError } from '../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/define-collection.ts'
import type { CollectionState } from './collection-state.ts'
import { CommitQueue, type QueueLimits } from './commit-queue.ts'
import type { Document } from './document-query.ts'
import type { MirrorChange } from './mirror.ts'
import type { WorkerSupervisor } from './worker-supervisor.ts'

/** An operation that has passed validation and is not yet accepted. */
export interface PreparedOperation {
  readonly target: CollectionState
  readonly kind: WriteKind
  readonly key: string
  readonly document: Document | undefined
  readonly json: string | null
  readonly ifVersion: number | null
}

interface PendingOperation extends WireOperation {
  readonly target: CollectionState
  readonly change: MirrorChange | undefined
}

/** Memory an operation takes beside its document. */
const OPERATION_OVERHEAD_BYTES = 200

export class StoreCore {
  readonly supervisor: WorkerSupervisor
  readonly #queues: Readonly<Record<DatabaseFile, CommitQueue>>
  readonly #readOnly: boolean
  #closed = false

  constructor(supervisor: WorkerSupervisor, firstSequence: number, limits: QueueLimits, readOnly: boolean) {
    this.supervisor = supervisor
    this.#readOnly = readOnly
    const [state, market] = DATABASE_FILES.map((file) => new CommitQueue(file, supervisor, firstSequence, limits)) as [
      CommitQueue,
      CommitQueue,
    ]
    this.#queues = { state, market }
  }

  queue(file: DatabaseFile): CommitQueue {
    return this.#queues[file]
  }

  get queues(): readonly CommitQueue[] {
    return Object.values(this.#queues)
  }

  get isIdle(): boolean {
    return this.queues.every((queue) => queue.isIdle)
  }

  /** Refuses everything from now on; what was accepted goes on. */
  markClosed(): void {
    this.#closed = true
  }

  /** @throws StoreError `STORE_CLOSED`, or the failure of the store. */
  assertOpen(): void {
    this.assertNotClosed()
    const { failure } = this.supervisor
    if (failure !== undefined) throw failure
  }

  /** What is in memory can be read even when the worker is gone for good. @throws StoreError `STORE_CLOSED` */
  assertNotClosed(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'The store is closed. Open it again with openStore.')
  }

  /** Accepts operations of one file as one unit. Resolves when durable; rejects, with nothing kept, otherwise. */
  accept(operations: readonly PreparedOperation[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#accept(operations, resolve, reject)
    })
  }

  /** The blocking twin of `accept`: returns when durable. */
  acceptSync(operations: readonly PreparedOperation[], timeoutMs: number): void {
    let outcome: { readonly error?: StoreError } | undefined
    this.#accept(
      operations,
      () => {
        outcome = {}
      },
      (error) => {
        outcome = { error: error as StoreError }
      },
    )
    const file = operations[0]?.target.spec.file
    if (outcome === undefined && file !== undefined) this.#queues[file].drainSync(timeoutMs)
    if (outcome?.error !== undefined) throw outcome.error
  }

  #accept(operations: readonly PreparedOperation[], resolve: () => void, reject: (error: unknown) => void): void {
    const [first] = operations
    if (first === undefined) return resolve()
    let queue: CommitQueue
    let bytes = 0
    try {
      this.assertOpen()
      if (this.#readOnly) throw readOnly()
      queue = this.#queues[first.target.spec.file]
      for (const operation of operations) {
        bytes += OPERATION_OVERHEAD_BYTES + (operation.json?.length ?? 0)
        if (operation.target.spec.file !== first.target.spec.file) throw twoFiles(first.target, operation.target)
      }
      const refusal = queue.refusal(operations.length, bytes)
      if (refusal !== undefined) throw refusal
      if (operations.length === 1) assertExpected(first)
      else for (const operation of firstOfEachDocument(operations)) assertExpected(operation)
    } catch (error) {
      return reject(error)
    }
    const pending = operations.map(show)
    queue.accept({
      operations: pending,
      bytes,
      acceptedAt: performance.now(),
      onDurable: resolve,
      onFailed: (error, laterOf) => {
        for (const operation of pending.toReversed()) takeBack(operation, laterOf(operation))
        reject(error)
      },
    })
    for (const { target } of operations) target.lastUnit = queue.acceptedUnits
  }

  /** Resolves when every write to `target` accepted so far is settled, so that a read sees it. */
  async settled(target: CollectionState): Promise<void> {
    await this.#queues[target.spec.file].settledThrough(target.lastUnit)
  }

  async flush(): Promise<void> {
    for (const queue of this.queues) await queue.settledThrough(queue.acceptedUnits)
  }

  drainSync(timeoutMs: number): void {
    for (const queue of this.queues) if (!queue.isIdle) queue.drainSync(timeoutMs)
  }

  fail(error: StoreError): void {
    for (const queue of this.queues) queue.fail(error)
  }
}

/** What a unit writes twice is for the database to judge: the mirror does not show the first write yet. */
function* firstOfEachDocument(operations: readonly PreparedOperation[]): Iterable<PreparedOperation> {
  const seen = new Map<CollectionState, Set<string>>()
  for (const operation of operations) {
    const keys = seen.get(operation.target) ?? new Set()
    seen.set(operation.target, keys)
    if (keys.has(operation.key)) continue
    keys.add(operation.key)
    yield operation
  }
}

/** What the mirror can already tell is refused now, before anything shows; the database has the last word. */
function assertExpected({ target, kind, key, ifVersion }: PreparedOperation): void {
  const version = target.mirror?.version(key)
  if (version === undefined) {
    if (kind === 'insert' && target.mirror?.get(key) !== undefined) throw alreadyExists(target, key)
    return
  }
  if (kind === 'insert' && version !== 0) throw alreadyExists(target, key)
  if (ifVersion !== null && version !== ifVersion) {
    throw new StoreError(
      'VERSION_CONFLICT',
      `The document in "${target.spec.name}" is at version ${version}, not ${ifVersion}. Read it again and decide anew.`,
      { details: { collection: target.spec.name, key, expected: ifVersion, actual: version } },
    )
  }
}

function show(operation: PreparedOperation): PendingOperation {
  const { target, kind, key, document, json, ifVersion } = operation
  const change = target.mirror?.apply(key, document, kind === 'insert')
  if (target.mirror === undefined) target.emit(key, document, undefined)
  return { collection: target.spec.name, kind, key, json, ifVersion, target, change }
}

function takeBack(operation: PendingOperation, later: WireOperation | undefined): void {
  if (operation.change === undefined) return
  operation.target.mirror?.revert(operation.change, (later as PendingOperation | undefined)?.change)
}

function alreadyExists(target: CollectionState, key: string): StoreError {
  const { name } = target.spec
  return new StoreError('ALREADY_EXISTS', `"${name}" already has a document with this key. Use put to replace it.`, {
    details: { collection: name, key },
  })
}

function readOnly(): StoreError {
  return new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
}

function twoFiles(a: CollectionState, b: CollectionState): StoreError {
  return new StoreError(
    'INVALID_ARGUMENT',
    `"${a.spec.name}" and "${b.spec.name}" live in different database files; a transaction can't span both.`,
  )
}
