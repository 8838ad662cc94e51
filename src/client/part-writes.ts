/**
 * Writes to a part of the store that keeps its own tables: one at a time, in order of the calls, and sent again when a
 * worker died before it answered. The worker knows a request it has seen by its content, so nothing is done twice.
 */
import type { MethodName, RequestOf, ResultOf } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { StoreCore } from './store-core.ts'
import { isWorkerLost } from './worker-supervisor.ts'

export class PartWrites {
  readonly #core: StoreCore
  readonly #maxWaiting: number
  #tail: Promise<unknown> = Promise.resolve()
  #depth = 0

  constructor(core: StoreCore, maxWaiting: number) {
    this.#core = core
    this.#maxWaiting = maxWaiting
    core.onFlush(() => this.settled())
  }

  /** Accepted and not yet answered. */
  get depth(): number {
    return this.#depth
  }

  /** Resolves when everything accepted so far is durable or has failed. */
  async settled(): Promise<void> {
    await this.#tail
  }

  /** @throws StoreError `QUEUE_FULL`, `READ_ONLY`, `STORE_CLOSED`, or what the method rejects with */
  async send<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    this.#core.assertWritable()
    if (this.#depth >= this.#maxWaiting) {
      throw new StoreError('QUEUE_FULL', `${this.#maxWaiting} writes are waiting already. Await some of them first.`)
    }
    this.#depth += 1
    const answer = this.#tail.then(() => sendUntilAnswered(this.#core, method, ...request))
    this.#tail = answer.then(
      () => undefined,
      () => undefined,
    )
    try {
      return await answer
    } finally {
      this.#depth -= 1
    }
  }
}

/** For requests that may be sent again. Rejects with `WORKER_LOST` only when there will be no worker any more. */
export async function sendUntilAnswered<M extends MethodName>(
  { supervisor }: StoreCore,
  method: M,
  ...request: RequestOf<M>
): Promise<ResultOf<M>> {
  for (;;) {
    try {
      return await supervisor.callOnce(method, ...request)
    } catch (error) {
      if (!isWorkerLost(error) || supervisor.isEnding) throw error
      await supervisor.recovered()
    }
  }
}
