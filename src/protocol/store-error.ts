/**
 * Every failure the store reports is a `StoreError`: a `code` a program can switch on, a message that tells a
 * person what to do next, and the original error as `cause`. Errors cross the thread boundary as plain data
 * (`SerializedError`) because structured clone drops both the class and its fields.
 *
 * Messages, details and causes never carry a value, a key or a password. Errors of the driver and of zod may quote
 * what they were given, so `cause` keeps their class, code and stack but not their text (see `sanitizedCause`).
 */

export const STORE_ERROR_CODES = [
  'PASSWORD_MISSING',
  'PASSWORD_TOO_WEAK',
  'WRONG_PASSWORD',
  'STORE_NOT_FOUND',
  'STORE_EXISTS',
  'STORE_LOCKED',
  'NOT_A_STORE',
  'STORE_CORRUPT',
  'KEYRING_CORRUPT',
  'KEYRING_OUTDATED',
  'STORE_FROM_FUTURE',
  'MIGRATION_FAILED',
  'MIGRATION_PENDING',
  'MIGRATION_CHANGED',
  'MIGRATION_INVALID',
  'INVALID_ARGUMENT',
  'INVALID_COLLECTION',
  'INVALID_DOCUMENT',
  'UNKNOWN_COLLECTION',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'VERSION_CONFLICT',
  'CONSTRAINT',
  'INVALID_QUERY',
  'RESULT_TOO_LARGE',
  'QUEUE_FULL',
  'DISK_FULL',
  'OUT_OF_MEMORY',
  'PERMISSION_DENIED',
  'IO_ERROR',
  'READ_ONLY',
  'TIMEOUT',
  'WORKER_LOST',
  'STORE_CLOSED',
  'BACKUP_NOT_FOUND',
  'BACKUP_DAMAGED',
  'TARGET_FILE_MISSING',
  'TARGET_BUSY',
  'BUSY_OPERATION',
  'LAST_KEYSLOT',
  'RECOVERY_KEY_MISTYPED',
  'UNLOCK_COMMAND_FAILED',
  'ARCHIVE_DAMAGED',
  'ARCHIVE_BEHIND',
  'CACHE_DAMAGED',
  'STANDBY_NOT_READY',
  'ARTIFACT_DAMAGED',
  'BOOK_GAP',
  'EXCHANGE_ERROR',
  'INTERNAL',
] as const

/** What went wrong, as one word that programs can rely on. */
export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number]

/** Facts about the failure that are safe to log: names, paths, pids, counts, positions; never values. */
export type StoreErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>

export interface StoreErrorOptions {
  readonly details?: StoreErrorDetails
  readonly cause?: unknown
}

/**
 * The error class of Holdfast.
 *
 * @example
 * try {
 *   await store.orders.insert(order)
 * } catch (error) {
 *   if (error instanceof StoreError && error.code === 'ALREADY_EXISTS') return
 *   throw error
 * }
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  readonly details: StoreErrorDetails

  constructor(code: StoreErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: sanitizedCause(options.cause) })
    this.code = code
    this.details = Object.freeze({ ...options.details })
  }
}

/** True for any `StoreError`, also one made by another copy of this package in the same process. */
export function isStoreError(error: unknown): error is StoreError {
  return (
    error instanceof StoreError ||
    (error instanceof Error && error.name === 'StoreError' && typeof (error as { code?: unknown }).code === 'string')
  )
}

/** What remains of a foreign error: enough to find the fault, nothing that could quote a value. */
export class CauseError extends Error {
  readonly code: string | undefined

  constructor(name: string, code: string | undefined, frames: string | undefined) {
    super(code === undefined ? name : `${name} (${code})`)
    this.name = name
    this.code = code
    this.stack = frames === undefined ? `${name}: ${this.message}` : `${name}: ${this.message}\n${frames}`
  }
}

/** Reduces a foreign error to its class, code and stack frames; a `StoreError` is kept whole. */
export function sanitizedCause(cause: unknown): StoreError | CauseError {
  if (cause instanceof StoreError || cause instanceof CauseError) return cause
  if (cause instanceof Error) {
    const code = (cause as { code?: unknown }).code
    return new CauseError(cause.name, typeof code === 'string' ? code : undefined, stackFrames(cause))
  }
  return new CauseError('UnknownError', undefined, undefined)
}

/** What follows the message in the stack: a message may have lines that look like frames. */
function stackFrames({ message, stack = '' }: Error): string | undefined {
  const frames = stack
    .slice(stack.indexOf(message) + message.length)
    .split('\n')
    .filter((line) => FRAME.test(line))
  return frames.length === 0 ? undefined : frames.join('\n')
}

const FRAME = /^\s+at (?:.+ \()?(?:.+:\d+:\d+|<anonymous>|native)\)?$/

/** A `StoreError` as data that survives structured clone. */
export interface SerializedError {
  readonly code: StoreErrorCode
  readonly message: string
  readonly details: StoreErrorDetails
  readonly cause: SerializedCause | null
}

type SerializedCause =
  | { readonly kind: 'store'; readonly error: SerializedError }
  | { readonly kind: 'foreign'; readonly name: string; readonly code: string | null; readonly frames: string | null }

/** Turns anything thrown into data; what is not a `StoreError` becomes `INTERNAL` without its text. */
export function serializeError(thrown: unknown): SerializedError {
  const error = isStoreError(thrown)
    ? thrown
    : new StoreError('INTERNAL', 'The store met an error it does not know. Please report it with its stack.', {
        cause: thrown,
      })
  return { code: error.code, message: error.message, details: error.details, cause: serializeCause(error.cause) }
}

function serializeCause(cause: unknown): SerializedCause | null {
  if (cause === undefined) return null
  const kept = sanitizedCause(cause)
  if (kept instanceof StoreError) return { kind: 'store', error: serializeError(kept) }
  return { kind: 'foreign', name: kept.name, code: kept.code ?? null, frames: stackFrames(kept) ?? null }
}

/** The inverse of `serializeError`: a real `StoreError` with code, details and cause. */
export function deserializeError(data: SerializedError): StoreError {
  return new StoreError(data.code, data.message, { details: data.details, ...deserializeCause(data.cause) })
}

function deserializeCause(cause: SerializedCause | null): { cause?: Error } {
  if (cause === null) return {}
  if (cause.kind === 'store') return { cause: deserializeError(cause.error) }
  return { cause: new CauseError(cause.name, cause.code ?? undefined, cause.frames ?? undefined) }
}
