/** What the worker is started with, and the messages beside Comlink's: the ready handshake and blocking requests. */
import type { MessagePort } from 'node:worker_threads'
import type { MethodName } from './methods.ts'
import type { SerializedError } from './store-error.ts'

export interface WorkerBoot {
  /** Answers to blocking requests. */
  readonly syncPort: MessagePort
  /** One 32-bit cell, raised and notified with every answer, and when the worker ends. */
  readonly syncSignal: SharedArrayBuffer
}

/** Posted by the worker once it listens; before that nothing may be sent. */
export const READY_MESSAGE = 'holdfast:ready'

/**
 * A request whose caller is blocked. It travels on the same port as Comlink's messages, so that it is handled after
 * every commit sent before it.
 */
export interface SyncRequest {
  readonly holdfastSync: true
  readonly method: MethodName
  readonly request: readonly unknown[]
}

export function isSyncRequest(message: unknown): message is SyncRequest {
  return typeof message === 'object' && message !== null && 'holdfastSync' in message
}

export type SyncAnswer = { readonly value: unknown } | { readonly error: SerializedError }
