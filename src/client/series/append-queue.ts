/**
 * Points on their way to the worker. Each series has a lane, in which order of acceptance is order of writing; lanes take
 * turns, so that a load of years holds up no live feed. What is in a message is sent again when the worker dies under it:
 * points that arrived are not written twice.
 *
 * The copy that a message hands over is made as it is sent; what is kept is what would be sent again.
 */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { transfer } from 'comlink'
import type { Points, SeriesAppend, SeriesAppended, SeriesKey, SeriesShape } from '../../protocol/series.ts'
import { deserializeError, isStoreError, StoreError } from '../../protocol/store-error.ts'
import type { QueueLimits } from '../commit-queue.ts'
import type { StoreCore } from '../store-core.ts'
import { isWorkerLost } from '../worker-supervisor.ts'
import type { PointSource } from './point-source.ts'

/** As many as are copied and looked at in one go: well under a millisecond. */
const SLICE_POINTS = 8_192
const MESSAGE_POINTS = 32_768
const MESSAGES_AHEAD = 3
/** Beside trading (docs/decisions/0012). */
const URGENT_MESSAGE_POINTS = 2_048
const MAX_REST_MS = 10

export interface AppendResult {
  /** How many points were given. */
  readonly points: number
  /** How many of them were new, or other than before. */
  readonly written: number
}

/** Gauges and counters of `store.stats().series`. */
export interface SeriesQueueStats {
  readonly queuedAppends: number
  readonly queuedBytes: number
  readonly acceptedPoints: number
  readonly durablePoints: number
}

/** One append: points that are copied already, or a source that is read as it goes. */
interface Job {
  readonly key: SeriesKey
  readonly shape: SeriesShape
  readonly count: number
  readonly bytes: number
  readonly slice: (start: number, end: number) => Points
  sent: number
  written: number
  readonly resolve: (result: AppendResult) => void
  readonly reject: (error: StoreError) => void
}

interface Part {
  readonly job: Job
  readonly append: SeriesAppend
}

type Message = readonly Part[]

export class AppendQueue {
  readonly #core: StoreCore
  readonly #limits: Pick<QueueLimits, 'maxQueueOperations' | 'maxQueueBytes'>
  readonly #lanes = new Map<string, Job[]>()
  /** By the lane of each. */
  readonly #settling = new Map<Promise<unknown>, string>()
  #flying: Message[] = []
  #running = false
  #jobs = 0
  #bytes = 0
  #accepted = 0
  #durable = 0

  constructor(core: StoreCore, limits: Pick<QueueLimits, 'maxQueueOperations' | 'maxQueueBytes'>) {
    this.#core = core
    this.#limits = limits
  }

  stats(): SeriesQueueStats {
    return {
      queuedAppends: this.#jobs,
      queuedBytes: this.#bytes,
      acceptedPoints: this.#accepted,
      durablePoints: this.#durable,
    }
  }

  get isIdle(): boolean {
    return this.#jobs === 0
  }

  /**
   * Resolves when all points are durable. Those of a small append are copied before this returns; a large one is read
   * piece by piece, first to see that all of it is valid.
   */
  async append(key: SeriesKey, source: PointSource): Promise<AppendResult> {
    const { count, shape } = source
    if (count === 0) return { points: 0, written: 0 }
    if (count <= SLICE_POINTS) {
      const points = source.slice(0, count)
      return await this.#accept(key, shape, count, bytesOf(points), (start, end) => part(points, start, end))
    }
    this.#assertRoom(0)
    for (let start = 0; start < count; start += SLICE_POINTS) {
      source.slice(start, Math.min(count, start + SLICE_POINTS))
      await setImmediate()
    }
    this.#core.assertOpen()
    return await this.#accept(key, shape, count, 0, (start, end) => source.slice(start, end))
  }

  /** Resolves when everything accepted so far is durable or has failed; of one series, if it is given. */
  async settled(key?: SeriesKey): Promise<void> {
    if (this.isIdle) return
    const lane = key === undefined ? undefined : laneOf(key)
    const waiting = [...this.#settling].filter(([, name]) => lane === undefined || name === lane)
    await Promise.allSettled(waiting.map(([settled]) => settled))
  }

  /** Sends everything that is not known to be durable, and blocks until it is; `timeoutMs` is for each message. */
  drainSync(timeoutMs: number): void {
    const send = (message: Message) => {
      const appends = message.map(({ append }) => append)
      const results = this.#core.supervisor.callSync('seriesAppend', timeoutMs, { appends })
      this.#settle(message, results)
    }
    for (const message of this.#flying.splice(0)) send(message)
    for (let message = this.#next(MESSAGE_POINTS); message.length > 0; message = this.#next(MESSAGE_POINTS))
      send(message)
  }

  #accept(
    key: SeriesKey,
    shape: SeriesShape,
    count: number,
    bytes: number,
    slice: Job['slice'],
  ): Promise<AppendResult> {
    this.#assertRoom(bytes)
    const name = laneOf(key)
    const settled = new Promise<AppendResult>((resolve, reject) => {
      const { columns, identity } = shape
      const plain = { columns: columns.map(({ name, type }) => ({ name, type })), identity }
      const job: Job = { key, shape: plain, count, bytes, slice, sent: 0, written: 0, resolve, reject }
      const lane = this.#lanes.get(name)
      if (lane === undefined) this.#lanes.set(name, [job])
      else lane.push(job)
    })
    this.#jobs += 1
    this.#bytes += bytes
    this.#accepted += count
    this.#settling.set(settled, name)
    const forget = () => this.#settling.delete(settled)
    settled.then(forget, forget)
    if (!this.#running) {
      this.#running = true
      void this.#run()
    }
    return settled
  }

  #assertRoom(bytes: number): void {
    const { maxQueueOperations, maxQueueBytes } = this.#limits
    if (this.#jobs < maxQueueOperations && (this.#jobs === 0 || this.#bytes + bytes <= maxQueueBytes)) return
    throw new StoreError(
      'QUEUE_FULL',
      'Too many points wait to be written. Await earlier appends first, or append more of them at once.',
      { details: { queuedAppends: this.#jobs, queuedBytes: this.#bytes } },
    )
  }

  async #run(): Promise<void> {
    // What is appended within one turn goes together.
    await setImmediate()
    while (this.#jobs > 0) {
      const isUrgent = this.#core.isUrgentWorkBeside('market')
      const startedAt = performance.now()
      const isBulk = await this.#fill(isUrgent)
      await this.#send()
      if (isUrgent && isBulk) await setTimeout(Math.min(MAX_REST_MS, performance.now() - startedAt))
    }
    this.#running = false
  }

  /** Makes the next messages. True when there is more than they hold. */
  async #fill(isUrgent: boolean): Promise<boolean> {
    const messages = isUrgent ? 1 : MESSAGES_AHEAD
    const points = isUrgent ? URGENT_MESSAGE_POINTS : MESSAGE_POINTS
    for (let made = 0; made < messages; made++) {
      const message = this.#next(points)
      if (message.length === 0) return false
      this.#flying.push(message)
      await setImmediate()
    }
    return this.#lanes.size > 0
  }

  /** One part of each lane, the lanes in turn. */
  #next(maxPoints: number): Message {
    const message: Part[] = []
    let room = maxPoints
    for (const [name, lane] of [...this.#lanes]) {
      if (room <= 0) break
      const job = lane[0] as Job
      const end = Math.min(job.count, job.sent + room)
      try {
        message.push({ job, append: { key: job.key, shape: job.shape, points: job.slice(job.sent, end) } })
        room -= end - job.sent
        job.sent = end
      } catch (error) {
        // The caller has changed it meanwhile.
        this.#failed(job, error as StoreError)
      }
      if (job.sent === job.count) lane.shift()
      this.#lanes.delete(name)
      if (lane.length > 0) this.#lanes.set(name, lane)
    }
    return message
  }

  async #send(): Promise<void> {
    while (this.#flying.length > 0) {
      const messages = this.#flying
      const answers = await Promise.allSettled(messages.map((message) => this.#post(message)))
      // Those that were drained meanwhile are settled.
      const lost: Message[] = []
      for (const [index, message] of messages.entries()) {
        if (!this.#flying.includes(message)) continue
        const answer = answers[index] as PromiseSettledResult<readonly SeriesAppended[]>
        if (answer.status === 'fulfilled') this.#settle(message, answer.value)
        else if (isWorkerLost(answer.reason) && this.#core.supervisor.failure === undefined) lost.push(message)
        else for (const { job } of message) this.#failed(job, toStoreError(answer.reason))
      }
      this.#flying = lost
      if (lost.length > 0) await this.#core.supervisor.recovered().catch(() => undefined)
    }
  }

  async #post(message: Message): Promise<readonly SeriesAppended[]> {
    const buffers: ArrayBuffer[] = []
    const appends = message.map(({ append: { key, shape, points } }) => {
      const values = points.values.map((each) => (each instanceof Float64Array ? copied(each, buffers) : each))
      return { key, shape, points: { ts: copied(points.ts, buffers), values } }
    })
    return await this.#core.supervisor.callOnce('seriesAppend', transfer({ appends }, buffers))
  }

  #settle(message: Message, results: readonly SeriesAppended[]): void {
    for (const [index, { job, append }] of message.entries()) {
      const result = results[index] as SeriesAppended
      if ('error' in result) {
        this.#failed(job, deserializeError(result.error))
        continue
      }
      job.written += result.written
      this.#durable += append.points.ts.length
      const isLast = job.sent === job.count && !this.#isFlying(job, message)
      if (isLast) this.#end(job, () => job.resolve({ points: job.count, written: job.written }))
    }
  }

  /** In a message behind this one. */
  #isFlying(job: Job, message: Message): boolean {
    return this.#flying.slice(this.#flying.indexOf(message) + 1).some((other) => other.some((each) => each.job === job))
  }

  #failed(job: Job, error: StoreError): void {
    for (const [name, lane] of this.#lanes) {
      const rest = lane.filter((each) => each !== job)
      if (rest.length === 0) this.#lanes.delete(name)
      else this.#lanes.set(name, rest)
    }
    job.sent = job.count
    this.#end(job, () => job.reject(error))
  }

  readonly #ended = new WeakSet<Job>()

  #end(job: Job, settle: () => void): void {
    if (this.#ended.has(job)) return
    this.#ended.add(job)
    this.#jobs -= 1
    this.#bytes -= job.bytes
    settle()
  }
}

function laneOf({ kind, symbol, interval }: SeriesKey): string {
  return `${kind}\0${interval}\0${symbol}`
}

function copied(values: Float64Array, buffers: ArrayBuffer[]): Float64Array {
  const copy = values.slice()
  buffers.push(copy.buffer)
  return copy
}

/** All of them as they are, else views. */
function part(points: Points, start: number, end: number): Points {
  if (start === 0 && end === points.ts.length) return points
  return { ts: points.ts.slice(start, end), values: points.values.map((values) => values.slice(start, end)) }
}

function bytesOf({ ts, values }: Points): number {
  let bytes = ts.byteLength
  for (const each of values) {
    if (each instanceof Float64Array) bytes += each.byteLength
    else for (const text of each) bytes += 16 + text.length * 2
  }
  return bytes
}

function toStoreError(error: unknown): StoreError {
  if (isStoreError(error)) return error
  return new StoreError('INTERNAL', 'An append met an error the store does not know. Please report it.', {
    cause: error,
  })
}
