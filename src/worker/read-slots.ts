/**
 * How many reads work at a time, over all database files. libuv's pool has four threads for the whole process by default,
 * and the writers and the host's own DNS, fs and crypto need the rest. What waits is bounded too.
 */
import { type LatencyCounts, LatencyHistogram } from '../protocol/latency-histogram.ts'
import { StoreError } from '../protocol/store-error.ts'

const MAX_ACTIVE = 2
const MAX_WAITING = 10_000

export class ReadSlots {
  readonly #waiting: (() => void)[] = []
  readonly #latency = new LatencyHistogram()
  #active = 0

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Of reads that ended, with the wait for a slot. */
  get latency(): LatencyCounts {
    return this.#latency.counted
  }

  /** Runs `read` when a slot is free, in order of the calls. @throws StoreError `QUEUE_FULL` */
  async use<T>(read: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    if (this.#active < MAX_ACTIVE) this.#active += 1
    else await this.#wait()
    try {
      return await read()
    } finally {
      this.#latency.record(performance.now() - startedAt)
      const next = this.#waiting.shift()
      if (next === undefined) this.#active -= 1
      else next()
    }
  }

  /** The slot is handed over, so the number of active reads stays as it is. */
  async #wait(): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new StoreError('QUEUE_FULL', `${MAX_WAITING} reads are waiting already. Await some of them first.`)
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
