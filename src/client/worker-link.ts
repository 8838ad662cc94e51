/**
 * Comlink, hardened. By itself it has no ready handshake, drops error classes and never settles a call when the worker
 * dies; this link waits for the worker to listen, gives back real `StoreError`s, and rejects everything pending with
 * `WORKER_LOST` the moment the worker is gone.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { type Remote, wrap } from 'comlink'
import type { MethodName, RequestOf, ResultOf, StoreWorkerMethods } from '../protocol/methods.ts'
import { nodeEndpoint } from '../protocol/node-endpoint.ts'
import { deserializeError, isStoreError, type SerializedError, StoreError } from '../protocol/store-error.ts'
import {
  READY_MESSAGE,
  SIGNAL_ANSWERS,
  SIGNAL_CELLS,
  SIGNAL_ENDED,
  SIGNAL_STARTED,
  type SyncAnswer,
  type SyncRequest,
  type WorkerBoot,
} from '../protocol/worker-boot.ts'
import { forgetHalt, haltOnExit } from './process-exit.ts'
import { loadTracing, traceCall, traceCallSync } from './tracing.ts'
import { workerEntryUrl } from './worker-entry-url.ts'

const START_TIMEOUT_MS = 30_000
const HALT_TIMEOUT_MS = 2_000

type RemoteMethod<M extends MethodName> = (...request: RequestOf<M>) => Promise<ResultOf<M>>

export class WorkerLink {
  readonly #worker: Worker
  readonly #remote: Remote<StoreWorkerMethods>
  readonly #methods = new Map<MethodName, unknown>()
  readonly #pending = new Set<(error: StoreError) => void>()
  readonly #syncPort: MessagePort
  readonly #signal: Int32Array
  readonly #lostListeners: ((error: StoreError) => void)[] = []
  #lost: StoreError | undefined
  #lastSyncId = 0

  private constructor(worker: Worker, syncPort: MessagePort, signal: Int32Array) {
    this.#worker = worker
    this.#syncPort = syncPort
    this.#signal = signal
    this.#remote = wrap<StoreWorkerMethods>(nodeEndpoint(worker))
  }

  /** Starts a worker and waits until it listens. Rejects with `WORKER_LOST` when it can't start. */
  static async start(): Promise<WorkerLink> {
    const { port1, port2 } = new MessageChannel()
    const syncSignal = new SharedArrayBuffer(SIGNAL_CELLS * Int32Array.BYTES_PER_ELEMENT)
    const workerData: WorkerBoot = { syncPort: port2, syncSignal }
    const { HOLDFAST_PASSWORD: _password, ...env } = process.env
    const worker = new Worker(workerEntryUrl, {
      name: 'holdfast',
      workerData,
      transferList: [port2],
      env,
      execArgv: [],
    })
    const tracing = loadTracing()
    const link = new WorkerLink(worker, port1, new Int32Array(syncSignal))
    haltOnExit(link)
    try {
      await ready(worker)
      await tracing
    } catch (error) {
      forgetHalt(link)
      throw error
    }
    worker.unref()
    link.#watch()
    return link
  }

  get lost(): boolean {
    return this.#lost !== undefined
  }

  onLost(listener: (error: StoreError) => void): void {
    this.#lostListeners.push(listener)
  }

  call<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    return traceCall(method, request, () => this.#call(method, request))
  }

  #call<M extends MethodName>(method: M, request: RequestOf<M>): Promise<ResultOf<M>> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) this.#worker.ref()
      this.#pending.add(reject)
      const settle = () => {
        this.#pending.delete(reject)
        if (this.#pending.size === 0) this.#worker.unref()
      }
      this.#method(method)(...request).then(
        (value) => {
          settle()
          resolve(value)
        },
        (error: unknown) => {
          settle()
          reject(revive(error))
        },
      )
    })
  }

  /** Blocks this thread until the worker has answered. @throws StoreError `TIMEOUT`, `WORKER_LOST`, or the method's own. */
  callSync<M extends MethodName>(method: M, timeoutMs: number, ...request: RequestOf<M>): ResultOf<M> {
    return traceCallSync(method, request, () => this.#callSync(method, timeoutMs, request))
  }

  #callSync<M extends MethodName>(method: M, timeoutMs: number, request: RequestOf<M>): ResultOf<M> {
    if (this.#lost !== undefined) throw this.#lost
    this.#lastSyncId += 1
    const id = this.#lastSyncId
    const message: SyncRequest = { holdfastSync: true, id, method, request }
    const deadline = performance.now() + timeoutMs
    let seen = Atomics.load(this.#signal, SIGNAL_ANSWERS)
    this.#worker.postMessage(message)
    let answer = this.#receiveAnswer(id)
    while (answer === undefined) {
      if (Atomics.wait(this.#signal, SIGNAL_ANSWERS, seen, Math.max(0, deadline - performance.now())) === 'timed-out') {
        throw new StoreError(
          'TIMEOUT',
          `The store did not answer within ${timeoutMs} ms. The call may still take effect.`,
        )
      }
      seen = Atomics.load(this.#signal, SIGNAL_ANSWERS)
      const ended = Atomics.load(this.#signal, SIGNAL_ENDED) !== 0
      answer = this.#receiveAnswer(id)
      if (answer === undefined && ended) throw workerLost('while a call was waiting for it')
    }
    if ('error' in answer) throw deserializeError(answer.error)
    return answer.value as ResultOf<M>
  }

  /** Passes over answers to calls that were given up. */
  #receiveAnswer(id: number): SyncAnswer | undefined {
    let received = receiveMessageOnPort(this.#syncPort)
    while (received !== undefined) {
      const answer = received.message as SyncAnswer
      if (answer.id === id) return answer
      received = receiveMessageOnPort(this.#syncPort)
    }
    return undefined
  }

  /** Blocks until this thread can end without harm: see `StoreWorkerMethods.halt`. The link is of no use afterwards. */
  haltSync(timeoutMs: number): void {
    try {
      // Loading a native package is a call of it, too.
      Atomics.wait(this.#signal, SIGNAL_STARTED, 0, timeoutMs)
      this.callSync('halt', timeoutMs)
    } catch (error) {
      if (!isStoreError(error)) throw error
    }
  }

  /** Ends the worker without protocol; only after `close`, or when it no longer answers. */
  async terminate(): Promise<void> {
    if (!this.lost) {
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, HALT_TIMEOUT_MS)
      })
      await Promise.race([this.call('halt').catch(() => undefined), timeout])
      clearTimeout(timer)
    }
    await this.#worker.terminate()
    this.#syncPort.close()
  }

  #method<M extends MethodName>(method: M): RemoteMethod<M> {
    const known = this.#methods.get(method)
    if (known !== undefined) return known as RemoteMethod<M>
    const made = this.#remote[method]
    this.#methods.set(method, made)
    return made as unknown as RemoteMethod<M>
  }

  #watch(): void {
    let fault: unknown
    this.#worker.on('error', (error) => {
      fault = error
    })
    this.#worker.on('exit', (exitCode) => {
      const lost = workerLost(`with exit code ${exitCode}`, fault)
      this.#lost = lost
      forgetHalt(this)
      this.#syncPort.close()
      const pending = [...this.#pending]
      this.#pending.clear()
      for (const reject of pending) reject(lost)
      for (const listener of this.#lostListeners) listener(lost)
    })
  }
}

function ready(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    // Each by itself: removeAllListeners would also remove those by which Node delivers the worker's messages.
    const stopListening = () => {
      clearTimeout(timer)
      worker.off('error', onError).off('exit', onExit).off('message', onMessage)
    }
    const fail = (how: string, cause?: unknown) => {
      stopListening()
      worker.on('error', () => undefined)
      void worker.terminate()
      reject(workerLost(how, cause))
    }
    const onError = (error: unknown) => fail('while it started', error)
    const onExit = (exitCode: number) => fail(`while it started, with exit code ${exitCode}`)
    const onMessage = (message: unknown) => {
      if (message !== READY_MESSAGE) return fail('while it started, by not saying that it is ready')
      stopListening()
      resolve()
    }
    const timer = setTimeout(() => fail(`before it was ready (${START_TIMEOUT_MS} ms)`), START_TIMEOUT_MS)
    worker.on('error', onError).on('exit', onExit).on('message', onMessage)
  })
}

function workerLost(how: string, cause?: unknown): StoreError {
  return new StoreError(
    'WORKER_LOST',
    `The store worker ended ${how}. Writes that were not durable are resent when it is back; repeat the read.`,
    cause === undefined ? {} : { cause },
  )
}

/** An error of this thread that is none of the store's is structured clone's, which quotes what it could not clone. */
function revive(error: unknown): StoreError {
  if (isStoreError(error)) return error
  if (!(error instanceof Error)) return deserializeError(error as SerializedError)
  return new StoreError('INVALID_ARGUMENT', 'An argument of this call is neither text nor number nor plain data.', {
    cause: error,
  })
}
