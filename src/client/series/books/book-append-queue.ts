/**
 * Appends on their way to the worker: one call at a time, and all that comes meanwhile goes with the next, so that a feed of small deltas
 * costs one transaction for many of them. Bounded: beyond the bound an append is refused instead of filling memory.
 */
import type { BookAppend } from '../../../protocol/books.ts'
import { StoreError } from '../../../protocol/store-error.ts'

export const MAX_WAITING_LEVELS = 1_000_000

export interface BookQueueStats {
  readonly waitingEvents: number
  readonly waitingLevels: number
}

interface Waiting {
  readonly append: BookAppend
  readonly levels: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class BookAppendQueue {
  readonly #send: (appends: readonly BookAppend[]) => Promise<void>
  #waiting: Waiting[] = []
  #sending: Waiting[] = []
  #work: Promise<void> | undefined

  constructor(send: (appends: readonly BookAppend[]) => Promise<void>) {
    this.#send = send
  }

  get stats(): BookQueueStats {
    const all = [...this.#sending, ...this.#waiting]
    return {
      waitingEvents: all.reduce((sum, { append }) => sum + append.events.length, 0),
      waitingLevels: all.reduce((sum, { levels }) => sum + levels, 0),
    }
  }

  push(append: BookAppend): Promise<void> {
    const levels = append.events.reduce((sum, { bids, asks }) => sum + bids.length + asks.length + 1, 0)
    const { waitingLevels } = this.stats
    if (waitingLevels > 0 && waitingLevels + levels > MAX_WAITING_LEVELS) {
      return Promise.reject(
        new StoreError(
          'QUEUE_FULL',
          `More than ${MAX_WAITING_LEVELS} levels of order books wait to be written. Await earlier appends before more.`,
          { details: { waitingLevels } },
        ),
      )
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ append, levels, resolve, reject })
      this.#work ??= this.#run().finally(() => {
        this.#work = undefined
      })
    })
  }

  /** Once everything accepted is written or refused. */
  async settled(): Promise<void> {
    await this.#work
  }

  async #run(): Promise<void> {
    // The rest of this turn goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      this.#sending = this.#waiting
      this.#waiting = []
      try {
        await this.#send(this.#sending.map(({ append }) => append))
        for (const { resolve } of this.#sending) resolve()
      } catch (error) {
        for (const { reject } of this.#sending) reject(error)
      } finally {
        this.#sending = []
      }
    }
  }
}
