/** What the worker is started with, and the messages beside Comlink's: the ready handshake and blocking requests. */
import type { MessagePort } from 'node:worker_threads'
import type { MethodName } from './methods.ts'
import type { SerializedError } from './store-error.ts'

export interface WorkerBoot {
  /** Answers to blocking requests. */
  readonly syncPort: MessagePort
  /** 32-bit cells, see below. */
  readonly syncSignal: SharedArrayBuffer
}

/** The cell that is raised and notified with every answer, and when the worker ends. */
export const SIGNAL_ANSWERS = 0
/** The cell that is 1 once the worker ends. */
export const SIGNAL_ENDED = 1
/** The cell that is 1, and was notified, once the worker has loaded what it needs. */
export const SIGNAL_STARTED = 2
export const SIGNAL_CELLS = 3

/** Posted by the worker once it listens; before that nothing may be sent. */
export const READY_MESSAGE = 'holdfast:ready'

/**
 * A request whose caller is blocked. It travels on the same port as Comlink's messages, so that it is handled after
 * every commit sent before it.
 */
export interface SyncRequest {
  readonly holdfastSync: true
  /** The answer bears it too: that of a call which was given up may still arrive. */
  readonly id: number
  readonly method: MethodName
  readonly request: readonly unknown[]
}

export function isSyncRequest(message: unknown): message is SyncRequest {
  return typeof message === 'object' && message !== null && 'holdfastSync' in message
}

export type SyncAnswer = { readonly id: number } & ({ readonly value: unknown } | { readonly error: SerializedError })
