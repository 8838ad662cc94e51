/**
 * Keeps a worker behind the store. A worker that dies is replaced by a new one that opens the same store in the same
 * session; reads that were under way are asked once more, and the commit queues find out what was applied. When
 * workers keep dying the store fails loudly instead of trying for ever.
 */
import type { KeyOperation, KeyResult, RotateDataKeyResult } from '../protocol/keys.ts'
import type { MethodName, OpenRequest, OpenResult, RequestOf, ResultOf } from '../protocol/methods.ts'
import { isStoreError, StoreError } from '../protocol/store-error.ts'
import { WorkerLink } from './worker-link.ts'

const MAX_DEATHS = 3
const DEATH_WINDOW_MS = 60_000
const REOPEN_DELAYS_MS = [0, 100, 400, 1_600] as const
const CLOSE_TIMEOUT_MS = 60_000

export interface SupervisorListener {
  /** A worker died and another has taken over. */
  onRestart(cause: StoreError): void
  /** The store can't go on; everything is rejected with this error from now on. */
  onFailure(error: StoreError): void
}

export type OpenTemplate = Omit<OpenRequest, 'password' | 'session' | 'keyring'>

export class WorkerSupervisor {
  readonly #template: OpenTemplate
  #password: Uint8Array
  readonly #listener: SupervisorListener
  readonly #deaths: number[] = []
  #link: WorkerLink
  #session: number
  #keyring: string
  #restarting: Promise<void> | undefined
  #failure: StoreError | undefined
  #closing = false
  #restarts = 0

  private constructor(
    template: OpenTemplate,
    password: Uint8Array,
    listener: SupervisorListener,
    link: WorkerLink,
    opened: OpenResult,
  ) {
    this.#template = template
    this.#password = password
    this.#listener = listener
    this.#link = link
    this.#session = opened.session
    this.#keyring = opened.keyring
    this.#watch(link)
  }

  /** Starts the first worker and opens the store. `password` is kept, to reopen after a crash, until `close`. */
  static async start(
    template: OpenTemplate,
    password: Uint8Array,
    listener: SupervisorListener,
  ): Promise<{ readonly supervisor: WorkerSupervisor; readonly opened: OpenResult }> {
    const link = await WorkerLink.start()
    try {
      // The message carries a copy, made as it is posted.
      const opened = await link.call('open', { ...template, password, session: null, keyring: null })
      return {
        supervisor: new WorkerSupervisor({ ...template, create: false }, password, listener, link, opened),
        opened,
      }
    } catch (error) {
      password.fill(0)
      await link.terminate()
      throw error
    }
  }

  get restarts(): number {
    return this.#restarts
  }

  get failure(): StoreError | undefined {
    return this.#failure
  }

  /** True when no worker will take over from one that dies. */
  get isEnding(): boolean {
    return this.#closing || this.#failure !== undefined
  }

  /** One call, once: rejects with `WORKER_LOST` when the worker dies meanwhile. */
  async callOnce<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#restarting !== undefined) await this.#restarting
    return await this.#link.call(method, ...request)
  }

  /** A call without side effects: asked again once when the worker dies meanwhile. */
  async read<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    try {
      return await this.callOnce(method, ...request)
    } catch (error) {
      if (!isWorkerLost(error) || this.#failure !== undefined || this.#closing) throw error
      await this.recovered()
      return await this.callOnce(method, ...request)
    }
  }

  /** A change of the keyring with the password at hand, which is another one after it when that was the change. */
  async changeKeys(change: KeyOperation, actor: string): Promise<KeyResult> {
    const next = change.operation === 'rotate-password' ? Uint8Array.from(change.next) : undefined
    const { dir } = this.#template
    const result = await this.callOnce('keys', { dir, password: this.#password, actor, change })
    const isStillOpen = result.slots.some(({ id }) => id === result.openedSlot)
    if (next !== undefined && !isStillOpen) {
      this.#password.fill(0)
      this.#password = next
    } else next?.fill(0)
    // Who removes the own way in keeps the keyring that it was in, to take over with.
    if (isStillOpen || change.operation !== 'remove') this.#keyring = result.keyring
    return result
  }

  async rotateDataKey(actor: string): Promise<RotateDataKeyResult> {
    const result = await this.callOnce('rotateDataKey', { password: this.#password, actor })
    this.#keyring = result.keyring
    return result
  }

  callSync<M extends MethodName>(method: M, timeoutMs: number, ...request: RequestOf<M>): ResultOf<M> {
    if (this.#failure !== undefined) throw this.#failure
    return this.#link.callSync(method, timeoutMs, ...request)
  }

  /** Resolves when a worker is at work again; rejects when there will be none. */
  async recovered(): Promise<void> {
    if (this.#restarting !== undefined) await this.#restarting
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Ends the worker by protocol: checkpoint, close the files, release the lock. */
  async close(): Promise<void> {
    if (this.#restarting !== undefined) await this.#restarting.catch(() => undefined)
    this.#closing = true
    try {
      if (this.#failure === undefined && !this.#link.lost) await withTimeout(this.#link.call('close'), CLOSE_TIMEOUT_MS)
    } finally {
      this.#password.fill(0)
      await this.#link.terminate()
    }
  }

  #watch(link: WorkerLink): void {
    link.onLost((error) => {
      if (this.#closing || link !== this.#link) return
      this.#restarting = this.#restart(error).finally(() => {
        this.#restarting = undefined
      })
      this.#restarting.catch(() => undefined)
    })
  }

  async #restart(cause: StoreError): Promise<void> {
    const now = performance.now()
    this.#deaths.push(now)
    while ((this.#deaths[0] as number) < now - DEATH_WINDOW_MS) this.#deaths.shift()
    if (this.#deaths.length >= MAX_DEATHS) throw this.#fail(cause, `died ${MAX_DEATHS} times within a minute`)
    let lastError: unknown = cause
    for (const delayMs of REOPEN_DELAYS_MS) {
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      try {
        await this.#reopen()
        this.#restarts += 1
        this.#listener.onRestart(cause)
        return
      } catch (error) {
        lastError = error
      }
    }
    throw this.#fail(lastError, 'died and could not be started again')
  }

  async #reopen(): Promise<void> {
    const link = await WorkerLink.start()
    try {
      await link.call('open', {
        ...this.#template,
        password: this.#password,
        session: this.#session,
        keyring: this.#keyring,
      })
    } catch (error) {
      await link.terminate()
      throw error
    }
    this.#link = link
    this.#watch(link)
  }

  #fail(cause: unknown, how: string): StoreError {
    this.#failure = new StoreError(
      'WORKER_LOST',
      `The store worker ${how}. What was durable is safe; writes still pending are rejected. Open the store again.`,
      { cause },
    )
    this.#listener.onFailure(this.#failure)
    return this.#failure
  }
}

export function isWorkerLost(error: unknown): boolean {
  return isStoreError(error) && error.code === 'WORKER_LOST'
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StoreError('TIMEOUT', `The store worker did not close within ${timeoutMs} ms and was ended.`)),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
