/**
 * Group commit. Units wait here in order of acceptance; while a batch is under way, everything accepted forms the next,
 * so that the cost of a message and of an fsync is shared by as many writes as arrived in its time. Only a burst that
 * fills whole batches sends them ahead of the answers, so that both threads work. After a worker crash the queue asks what was applied and sends the rest: each write happens exactly once.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { segmentOperations, type UnitFailure, type WireOperation, type Witness, witnessOf } from '../protocol/batch.ts'
import { type LatencyCounts, LatencyHistogram } from '../protocol/latency-histogram.ts'
import type { AppliedRequest, AppliedResult } from '../protocol/methods.ts'
import { deserializeError, isStoreError, StoreError } from '../protocol/store-error.ts'
import type { DatabaseFile } from '../schema/database-file.ts'
import { isWorkerLost, type WorkerSupervisor } from './worker-supervisor.ts'

/** Operations that are written together or not at all. */
export interface Unit {
  readonly operations: WireOperation[]
  /** Estimate of the memory its operations take. */
  bytes: number
  /** When the first of them was accepted. */
  readonly acceptedAt: number
  /** True while it takes further operations: puts that can only fail together. */
  readonly isOpen: boolean
  onDurable(): void
  /** `laterOf` finds the next write of the same document that may still succeed or already has. */
  onFailed(error: StoreError, laterOf: (operation: WireOperation) => WireOperation | undefined): void
}

export interface QueueLimits {
  readonly maxQueueOperations: number
  readonly maxQueueBytes: number
  readonly maxBatchOperations: number
  readonly maxBatchBytes: number
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = Object.freeze({
  maxQueueOperations: 200_000,
  maxQueueBytes: 256 * 1024 * 1024,
  maxBatchOperations: 4_096,
  maxBatchBytes: 4 * 1024 * 1024,
})

/** Puts that share a unit: enough to make what a unit costs vanish, few enough to fill a batch evenly. */
const MAX_SHARED_OPERATIONS = 64

/** A turn that issues this many writes does not have to end before the worker begins with them. */
const EARLY_BATCH_OPERATIONS = 1_024

/** Batches under way at once: one works in the worker while the next are made. */
const MAX_FLIGHTS = 4

/** Room is reported again when the queue has fallen to this share of its limits. */
const LOW_WATER = 0.5

export interface LatencySummary {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export interface QueueStats {
  /** Operations accepted and not yet durable. */
  readonly depth: number
  readonly bytes: number
  readonly oldestAgeMs: number
  readonly acceptedOperations: number
  readonly durableOperations: number
  readonly failedOperations: number
  readonly batches: number
  readonly batchOperationsMean: number
  readonly batchOperationsMax: number
  /** From acceptance to durable. */
  readonly latency: LatencySummary
  /** The same, counted in buckets. */
  readonly latencyCounts: LatencyCounts
}

/** A batch on its way. Several may be at once; they are applied and settled in order. */
class Flight {
  readonly sequence: number
  readonly units: readonly Unit[]
  readonly operations: number
  /** Set once the batch has to go unit by unit. */
  byUnit = false
  /** Set while it waits for those before it: nothing may be sent behind it. */
  isHeld = false
  settled = false
  readonly done: Promise<void>
  markDone!: () => void

  constructor(sequence: number, units: readonly Unit[], operations: number) {
    this.sequence = sequence
    this.units = units
    this.operations = operations
    this.done = new Promise((resolve) => {
      this.markDone = resolve
    })
  }
}

interface Survivor {
  /** Order of acceptance, counted from the batch that failed. */
  readonly position: number
  readonly operation: WireOperation
}

interface Waiter {
  readonly target: number
  readonly resolve: () => void
}

export class CommitQueue {
  readonly #file: DatabaseFile
  readonly #supervisor: WorkerSupervisor
  readonly limits: QueueLimits
  readonly #latencyUs: RecordableHistogram = createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 })
  readonly #latencyCounts = new LatencyHistogram()
  #units: Unit[] = []
  #head = 0
  readonly #flights: Flight[] = []
  #flyingOperations = 0
  #sequence: number
  #scheduled = false
  #depth = 0
  #bytes = 0
  #acceptedUnits = 0
  #lastAcceptedAt = Number.NEGATIVE_INFINITY
  #settledUnits = 0
  #waiters: Waiter[] = []
  #roomWaiters: (() => void)[] = []
  #acceptedOperations = 0
  #durableOperations = 0
  #failedOperations = 0
  #batches = 0
  #batchOperationsMax = 0

  constructor(file: DatabaseFile, supervisor: WorkerSupervisor, firstSequence: number, limits: QueueLimits) {
    this.#file = file
    this.#supervisor = supervisor
    this.#sequence = firstSequence
    this.limits = limits
  }

  /** Counts units; `settledThrough` takes it. */
  get acceptedUnits(): number {
    return this.#acceptedUnits
  }

  get isIdle(): boolean {
    return this.#settledUnits === this.#acceptedUnits
  }

  /** Undefined when there is room for a unit, otherwise why there is none. */
  refusal(operations: number, bytes: number): StoreError | undefined {
    const { maxQueueOperations, maxQueueBytes } = this.limits
    if (this.#depth + operations <= maxQueueOperations && this.#bytes + bytes <= maxQueueBytes) return undefined
    if (operations > maxQueueOperations || bytes > maxQueueBytes) {
      return new StoreError(
        'INVALID_ARGUMENT',
        `A write of ${operations} operations and ${bytes} bytes is more than the commit queue ever takes. Split it, or raise the limits of the queue.`,
        { details: { operations, bytes, maxQueueOperations, maxQueueBytes } },
      )
    }
    return new StoreError(
      'QUEUE_FULL',
      `The commit queue is full (${this.#depth} operations, ${this.#bytes} bytes); nothing was accepted. Await store.ready() and try again.`,
      { details: { depth: this.#depth, bytes: this.#bytes } },
    )
  }

  /** When the newest unit was accepted; `performance.now()`. */
  get lastAcceptedAt(): number {
    return this.#lastAcceptedAt
  }

  accept(unit: Unit): void {
    this.#lastAcceptedAt = unit.acceptedAt
    this.#units.push(unit)
    this.#acceptedUnits += 1
    this.#acceptedOperations += unit.operations.length
    this.#depth += unit.operations.length
    this.#bytes += unit.bytes
    if (this.#depth - this.#flyingOperations >= EARLY_BATCH_OPERATIONS) this.#pump()
    else if (this.#flights.length === 0 && !this.#scheduled) {
      this.#scheduled = true
      process.nextTick(this.#pump)
    }
  }

  /** The last unit that waits, if it takes another operation. */
  openUnit(): Unit | undefined {
    const last = this.#units[this.#units.length - 1]
    return last?.isOpen === true && last.operations.length < MAX_SHARED_OPERATIONS ? last : undefined
  }

  /** Adds an operation to the open unit. */
  extend(unit: Unit, operation: WireOperation & { readonly bytes: number }): void {
    unit.operations.push(operation)
    unit.bytes += operation.bytes
    this.#acceptedOperations += 1
    this.#depth += 1
    this.#bytes += operation.bytes
  }

  /** Resolves when every unit up to `target` has become durable or failed. */
  settledThrough(target: number): Promise<void> | undefined {
    if (this.#settledUnits >= target) return undefined
    return new Promise((resolve) => this.#waiters.push({ target, resolve }))
  }

  /** Resolves when the queue has room again. */
  async room(): Promise<void> {
    if (this.#hasRoom()) return
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
  }

  /** True when a unit of this size fits, or when there is nothing to wait for. */
  hasRoomFor(operations: number, bytes: number): boolean {
    return this.isIdle || this.refusal(operations, bytes) === undefined
  }

  /** Resolves when another unit has become durable or failed. */
  async nextSettled(): Promise<void> {
    if (!this.isIdle) await this.settledThrough(this.#settledUnits + 1)
  }

  stats(): QueueStats {
    const oldest = this.#flights[0]?.units[0] ?? this.#units[this.#head]
    const histogram = this.#latencyUs
    const toMs = (us: number) => us / 1_000
    return {
      depth: this.#depth,
      bytes: this.#bytes,
      oldestAgeMs: oldest === undefined ? 0 : performance.now() - oldest.acceptedAt,
      acceptedOperations: this.#acceptedOperations,
      durableOperations: this.#durableOperations,
      failedOperations: this.#failedOperations,
      batches: this.#batches,
      batchOperationsMean: this.#batches === 0 ? 0 : (this.#durableOperations + this.#failedOperations) / this.#batches,
      batchOperationsMax: this.#batchOperationsMax,
      latency: {
        count: histogram.count,
        p50Ms: histogram.count === 0 ? 0 : toMs(histogram.percentile(50)),
        p99Ms: histogram.count === 0 ? 0 : toMs(histogram.percentile(99)),
        p999Ms: histogram.count === 0 ? 0 : toMs(histogram.percentile(99.9)),
        maxMs: histogram.count === 0 ? 0 : toMs(histogram.max),
      },
      latencyCounts: this.#latencyCounts.counted,
    }
  }

  /**
   * Commits everything accepted while this thread is blocked, in order; for shutdown and the blocking twin. When the
   * worker does not answer within `timeoutMs` for a batch this throws, and what is pending goes on in the background.
   */
  drainSync(timeoutMs: number): void {
    const flights = [...this.#flights]
    // Asked for behind all that is under way.
    for (const flight of flights) this.#finishFlightSync(flight, remainingOf(timeoutMs * flights.length))
    while (this.#head < this.#units.length) {
      const flight = this.#take()
      try {
        this.#commitSync(flight, remainingOf(timeoutMs))
      } catch (error) {
        if (isUnanswered(error)) void this.#send(flight, true)
        throw error
      }
    }
  }

  /** Rejects everything pending: the store can't go on. */
  fail(error: StoreError): void {
    for (const flight of [...this.#flights]) this.#settleFailed(flight, error)
    while (this.#head < this.#units.length) this.#settleFailed(this.#take(), error)
  }

  /** Sends what waits: at once when nothing is under way, ahead of the answers when a burst has made a full batch. */
  readonly #pump = (): void => {
    this.#scheduled = false
    while (this.#head < this.#units.length) {
      const waiting = this.#depth - this.#flyingOperations
      const mayFly = this.#flights.length === 0 || waiting >= EARLY_BATCH_OPERATIONS
      if (!mayFly || this.#flights.length >= MAX_FLIGHTS || this.#flights.some(isHeld)) return
      void this.#send(this.#take())
    }
  }

  #take(): Flight {
    const { maxBatchOperations, maxBatchBytes } = this.limits
    let end = this.#head
    let operations = 0
    let bytes = 0
    while (end < this.#units.length) {
      const unit = this.#units[end] as Unit
      const fits = operations + unit.operations.length <= maxBatchOperations && bytes + unit.bytes <= maxBatchBytes
      if (!fits && end > this.#head) break
      operations += unit.operations.length
      bytes += unit.bytes
      end += 1
    }
    const units = this.#head === 0 && end === this.#units.length ? this.#units : this.#units.slice(this.#head, end)
    if (end === this.#units.length) {
      this.#units = []
      this.#head = 0
    } else {
      this.#head = end
    }
    this.#sequence += 1
    this.#batches += 1
    this.#batchOperationsMax = Math.max(this.#batchOperationsMax, operations)
    const flight = new Flight(this.#sequence, units, operations)
    this.#flights.push(flight)
    this.#flyingOperations += operations
    return flight
  }

  async #send(flight: Flight, resending = false): Promise<void> {
    try {
      this.#settle(flight, await this.#commit(flight, resending))
    } catch (error) {
      this.#settleFailed(flight, error as StoreError)
    }
    this.#pump()
  }

  /** The units that failed. Goes on until the worker has answered; a flight that was settled meanwhile ends it. */
  async #commit(flight: Flight, isResent: boolean): Promise<readonly UnitFailure[]> {
    let resending = isResent
    /** An error of the whole batch. It says what went wrong, not whether the batch was committed before it did. */
    let refusal: unknown
    while (!flight.settled) {
      try {
        if (resending) await this.#holdBehindOthers(flight)
        if (resending || refusal !== undefined) {
          const applied: AppliedResult = await this.#supervisor.callOnce('wasApplied', this.#appliedRequest(flight))
          if (applied.applied) return applied.failures
          if (applied.error !== undefined) refusal ??= deserializeError(applied.error)
        }
        if (refusal === undefined) {
          const failures = await this.#commitOnce(flight)
          if (failures !== undefined) return failures
        }
      } catch (error) {
        if (isWorkerLost(error)) {
          flight.isHeld = true
          await this.#supervisor.recovered()
          resending = true
        } else if (refusal === undefined) refusal = error
        else throw refusal
        continue
      }
      if (refusal !== undefined) throw refusal
    }
    return []
  }

  /** Undefined when it has to be tried again, in another form or behind those before it. */
  async #commitOnce(flight: Flight): Promise<readonly UnitFailure[] | undefined> {
    if (flight.byUnit) {
      return (await this.#supervisor.callOnce('commitUnits', unitBatch(this.#file, flight))).failures
    }
    const { outcome } = await this.#supervisor.callOnce('commit', this.#fastBatch(flight))
    if (outcome === 'committed') return []
    if (outcome === 'deferred') await this.#holdBehindOthers(flight)
    else {
      flight.isHeld = true
      flight.byUnit = true
    }
    return undefined
  }

  async #holdBehindOthers(flight: Flight): Promise<void> {
    flight.isHeld = true
    const before = this.#flights[this.#flights.indexOf(flight) - 1]
    await before?.done
  }

  /** What is under way was sent before this call, so the worker answers behind it. */
  #finishFlightSync(flight: Flight, remainingMs: () => number): void {
    const applied = this.#supervisor.callSync('wasApplied', remainingMs(), this.#appliedRequest(flight))
    if (applied.applied) this.#settle(flight, applied.failures)
    else if (applied.error !== undefined) this.#settleFailed(flight, deserializeError(applied.error))
    else this.#commitUnitsSync(flight, remainingMs)
  }

  #commitSync(flight: Flight, remainingMs: () => number): void {
    const result = this.#answered(flight, remainingMs, () =>
      this.#supervisor.callSync('commit', remainingMs(), this.#fastBatch(flight)),
    )
    if (result?.outcome === 'committed') this.#settle(flight, [])
    else if (result?.outcome === 'conflict') this.#commitUnitsSync(flight, remainingMs)
  }

  #commitUnitsSync(flight: Flight, remainingMs: () => number): void {
    flight.byUnit = true
    const result = this.#answered(flight, remainingMs, () =>
      this.#supervisor.callSync('commitUnits', remainingMs(), unitBatch(this.#file, flight)),
    )
    if (result !== undefined) this.#settle(flight, result.failures)
  }

  /** A refusal of the whole batch is the answer of its writes, unless it was committed before; only silence is thrown on. */
  #answered<T>(flight: Flight, remainingMs: () => number, call: () => T): T | undefined {
    try {
      return call()
    } catch (error) {
      if (isUnanswered(error)) throw error
      const applied = this.#supervisor.callSync('wasApplied', remainingMs(), this.#appliedRequest(flight))
      if (applied.applied) this.#settle(flight, applied.failures)
      else this.#settleFailed(flight, error as StoreError)
      return undefined
    }
  }

  #fastBatch({ sequence, units }: Flight) {
    const operations = units.length === 1 ? (units[0] as Unit).operations : units.flatMap((unit) => unit.operations)
    const segments = segmentOperations(operations)
    return { file: this.#file, sequence, segments, witness: witnessOf(operations, segments) }
  }

  #appliedRequest(flight: Flight): AppliedRequest {
    const later = this.#flights
      .slice(this.#flights.indexOf(flight) + 1)
      .map((each) => ({ sequence: each.sequence, witness: flightWitness(each) }))
      .filter((each): each is { sequence: number; witness: Witness } => each.witness !== null)
    return { file: this.#file, sequence: flight.sequence, witness: flightWitness(flight), later }
  }

  #settle(flight: Flight, failures: readonly UnitFailure[]): void {
    if (flight.settled) return
    const errors = new Map(failures.map(({ unit, error }) => [unit, deserializeError(error)]))
    this.#finish(flight)
    const now = performance.now()
    if (errors.size === 0) {
      for (const unit of flight.units) {
        this.#durableOperations += unit.operations.length
        this.#recordLatency(now - unit.acceptedAt)
        unit.onDurable()
      }
    } else {
      this.#settleMixed(flight, errors, now)
    }
    this.#wake()
  }

  /** Failed units are taken back newest first, so that each restores what was there before it. */
  #settleMixed({ units }: Flight, errors: ReadonlyMap<number, StoreError>, now: number): void {
    const survivors = this.#survivorsByDocument(units, errors)
    for (let index = units.length - 1; index >= 0; index--) {
      const error = errors.get(index)
      const unit = units[index] as Unit
      if (error === undefined) continue
      this.#failedOperations += unit.operations.length
      unit.onFailed(error, (operation) => {
        const later = survivors.get(documentId(operation))?.find((survivor) => survivor.position > index)
        return later?.operation
      })
    }
    for (const [index, unit] of units.entries()) {
      if (errors.has(index)) continue
      this.#durableOperations += unit.operations.length
      this.#recordLatency(now - unit.acceptedAt)
      unit.onDurable()
    }
  }

  #recordLatency(latencyMs: number): void {
    this.#latencyUs.record(Math.max(1, Math.round(latencyMs * 1_000)))
    this.#latencyCounts.record(latencyMs)
  }

  #survivorsByDocument(units: readonly Unit[], errors: ReadonlyMap<number, StoreError>): Map<string, Survivor[]> {
    const survivors = new Map<string, Survivor[]>()
    const add = (unit: Unit, position: number) => {
      for (const operation of unit.operations) {
        const id = documentId(operation)
        const known = survivors.get(id)
        if (known === undefined) survivors.set(id, [{ position, operation }])
        else known.push({ position, operation })
      }
    }
    for (const [index, unit] of units.entries()) if (!errors.has(index)) add(unit, index)
    let position = units.length
    for (const later of this.#flights) for (const unit of later.units) add(unit, position++)
    for (const unit of this.#units.slice(this.#head)) add(unit, position++)
    return survivors
  }

  #settleFailed(flight: Flight, error: StoreError): void {
    if (flight.settled) return
    this.#finish(flight)
    this.#settleMixed(flight, new Map(flight.units.map((_, index) => [index, error])), 0)
    this.#wake()
  }

  #finish(flight: Flight): void {
    flight.settled = true
    this.#flights.splice(this.#flights.indexOf(flight), 1)
    this.#flyingOperations -= flight.operations
    this.#settledUnits += flight.units.length
    for (const unit of flight.units) {
      this.#depth -= unit.operations.length
      this.#bytes -= unit.bytes
    }
    flight.markDone()
  }

  #wake(): void {
    if (this.#waiters.length > 0) {
      const due = this.#waiters.filter(({ target }) => target <= this.#settledUnits)
      this.#waiters = this.#waiters.filter(({ target }) => target > this.#settledUnits)
      for (const { resolve } of due) resolve()
    }
    if (this.#roomWaiters.length > 0 && this.#hasRoom()) for (const resolve of this.#roomWaiters.splice(0)) resolve()
  }

  #hasRoom(): boolean {
    const { maxQueueOperations, maxQueueBytes } = this.limits
    return this.#depth <= maxQueueOperations * LOW_WATER && this.#bytes <= maxQueueBytes * LOW_WATER
  }
}

function flightWitness({ units, byUnit }: Flight): Witness | null {
  return byUnit ? null : witnessOf(units.flatMap((unit) => unit.operations))
}

function isHeld(flight: Flight): boolean {
  return flight.isHeld
}

function remainingOf(timeoutMs: number): () => number {
  const deadline = performance.now() + timeoutMs
  return () => Math.max(1, deadline - performance.now())
}

/** True when it is open whether the worker has done it. */
function isUnanswered(error: unknown): boolean {
  return isWorkerLost(error) || (isStoreError(error) && error.code === 'TIMEOUT')
}

function unitBatch(file: DatabaseFile, { sequence, units }: Flight) {
  return { file, sequence, units: units.map((unit) => unit.operations.map(toWire)) }
}

function documentId({ collection, key }: WireOperation): string {
  return `${collection}\0${key}`
}

/** Operations may carry more on this side than the worker is to see. */
function toWire({ collection, kind, key, json, ifVersion }: WireOperation): WireOperation {
  return { collection, kind, key, json, ifVersion }
}
