/**
 * What every collection and transaction of one open store shares: the worker behind it, a commit queue for each
 * database file, and the one way in for writes. A unit is taken into the mirrors and its queue together, or refused
 * before either has changed.
 */
import type { WireOperation } from '../protocol/batch.ts'
import { StoreError } from '../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import type { CollectionState } from './collection-state.ts'
import { CommitQueue, type QueueLimits, type Unit } from './commit-queue.ts'
import type { Document } from './document-query.ts'
import type { Operation } from './operation.ts'
import type { WorkerSupervisor } from './worker-supervisor.ts'

/** How recent a write to `state` makes other work step back. */
const URGENT_WITHIN_MS = 20

/** What is accepted and not durable yet, beside the commit queues. */
export interface PendingWrites {
  readonly isIdle: boolean
  drainSync(timeoutMs: number): void
}

export class StoreCore {
  readonly supervisor: WorkerSupervisor
  readonly #queues: Readonly<Record<DatabaseFile, CommitQueue>>
  readonly #readOnly: boolean
  readonly #flushes: (() => Promise<void>)[] = []
  /** Writes that don't go through the commit queues. */
  readonly #otherWrites: PendingWrites[] = []
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

  /** `writes` are drained when the process ends. */
  addWrites(writes: PendingWrites): void {
    this.#otherWrites.push(writes)
  }

  get isReadOnly(): boolean {
    return this.#readOnly
  }

  /** True while state is being written: bulk work in the other file then takes turns with it. */
  isUrgentWorkBeside(file: DatabaseFile): boolean {
    return file !== 'state' && performance.now() - this.#queues.state.lastAcceptedAt < URGENT_WITHIN_MS
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

  /** @throws StoreError `STORE_CLOSED`, `READ_ONLY`, or the failure of the store. */
  assertWritable(): void {
    this.assertOpen()
    if (this.#readOnly) throw readOnly()
  }

  /** What is in memory can be read even when the worker is gone for good. @throws StoreError `STORE_CLOSED` */
  assertNotClosed(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'The store is closed. Open it again with openStore.')
  }

  /**
   * Accepts one operation. Resolves when durable; rejects, with nothing kept, otherwise. Throws when it is refused,
   * before anything has changed.
   */
  acceptOne(operation: Operation): Promise<void> {
    const queue = this.#admit(operation.target.spec.file, 1, operation.bytes)
    assertExpected(operation)
    show(operation)
    const shares = operation.isUnconditional
    const open = shares ? queue.openUnit() : undefined
    if (open !== undefined) {
      queue.extend(open, operation)
      operation.target.lastUnit = queue.acceptedUnits
      return (open as PendingUnit).durable
    }
    const unit = new PendingUnit([operation], operation.bytes, shares)
    queue.accept(unit)
    operation.target.lastUnit = queue.acceptedUnits
    return unit.durable
  }

  /** Accepts operations of one file as one unit, whole or absent; otherwise like `acceptOne`, but rejects when refused. */
  async acceptUnit(operations: readonly Operation[]): Promise<void> {
    if (operations.length > 0) await this.#acceptUnit(operations).durable
  }

  /** The blocking twin of `acceptUnit`: returns when durable. */
  acceptSync(operations: readonly Operation[], timeoutMs: number): void {
    const [first] = operations
    if (first === undefined) return
    const unit = this.#acceptUnit(operations)
    unit.durable.catch(() => undefined)
    this.#queues[first.target.spec.file].drainSync(timeoutMs)
    if (unit.error !== undefined) throw unit.error
  }

  #acceptUnit(operations: readonly Operation[]): PendingUnit {
    const file = assertOneFile(operations)
    const bytes = operations.reduce((sum, operation) => sum + operation.bytes, 0)
    const queue = this.#admit(file, operations.length, bytes)
    for (const operation of firstOfEachDocument(operations)) assertExpected(operation)
    for (const operation of operations) show(operation)
    const unit = new PendingUnit([...operations], bytes, false)
    queue.accept(unit)
    for (const { target } of operations) target.lastUnit = queue.acceptedUnits
    return unit
  }

  #admit(file: DatabaseFile, operations: number, bytes: number): CommitQueue {
    this.assertWritable()
    const queue = this.#queues[file]
    const refusal = queue.refusal(operations, bytes)
    if (refusal !== undefined) throw refusal
    return queue
  }

  /** Resolves when every write to `target` accepted so far is settled, so that a read sees it. */
  async settled(target: CollectionState): Promise<void> {
    await this.#queues[target.spec.file].settledThrough(target.lastUnit)
  }

  /** `settled` resolves when all that was accepted beside the queues is durable or has failed. */
  onFlush(settled: () => Promise<void>): void {
    this.#flushes.push(settled)
  }

  async flush(): Promise<void> {
    for (const queue of this.queues) await queue.settledThrough(queue.acceptedUnits)
    for (const settled of this.#flushes) await settled()
  }

  drainSync(timeoutMs: number): void {
    for (const queue of [...this.queues, ...this.#otherWrites]) if (!queue.isIdle) queue.drainSync(timeoutMs)
  }

  fail(error: StoreError): void {
    for (const queue of this.queues) queue.fail(error)
  }
}

/** What a unit writes twice is for the database to judge: the mirror does not show the first write yet. */
function* firstOfEachDocument(operations: readonly Operation[]): Iterable<Operation> {
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
function assertExpected({ target, kind, key, ifVersion }: Operation): void {
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

function show(operation: Operation): void {
  const { target } = operation
  if (target.mirror === undefined) target.emit(operation.key, withoutSealed(operation), undefined)
  else target.mirror.apply(operation)
}

/** Listeners get what readers get. */
function withoutSealed({ target, document }: Operation): Document | undefined {
  const { sealed } = target.spec
  if (document === undefined || sealed.length === 0) return document
  return Object.freeze(Object.fromEntries(Object.entries(document).filter(([field]) => !sealed.includes(field))))
}

class PendingUnit implements Unit {
  readonly operations: Operation[]
  readonly acceptedAt = performance.now()
  readonly isOpen: boolean
  readonly durable: Promise<void>
  bytes: number
  error: StoreError | undefined = undefined
  #resolve!: () => void
  #reject!: (error: StoreError) => void

  /** `isOpen`: unconditional puts may still join while it waits. */
  constructor(operations: Operation[], bytes: number, isOpen: boolean) {
    this.operations = operations
    this.bytes = bytes
    this.isOpen = isOpen
    this.durable = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  onDurable(): void {
    this.#resolve()
  }

  onFailed(error: StoreError, laterOf: (operation: WireOperation) => WireOperation | undefined): void {
    for (const operation of this.operations.toReversed()) {
      operation.target.mirror?.revert(operation, laterOf(operation) as Operation | undefined)
    }
    this.error = error
    this.#reject(error)
  }
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

function assertOneFile([first, ...others]: readonly Operation[]): DatabaseFile {
  const { target } = first as Operation
  for (const other of others) if (other.target.spec.file !== target.spec.file) throw twoFiles(target, other.target)
  return target.spec.file
}

function twoFiles(a: CollectionState, b: CollectionState): StoreError {
  return new StoreError(
    'INVALID_ARGUMENT',
    `"${a.spec.name}" and "${b.spec.name}" live in different database files; a transaction can't span both.`,
  )
}
