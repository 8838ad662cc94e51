/** Why: errors of ccxt say by their class what happened; classes are told by name, since ccxt is not imported. */
import { StoreError } from '../../protocol/store-error.ts'

/** The exchange has answered that it did not take the order. */
const REFUSALS = [
  'InvalidOrder',
  'InsufficientFunds',
  'BadRequest',
  'ArgumentsRequired',
  'NotSupported',
  'AuthenticationError',
  'OperationRejected',
]
/** Subclasses of the above that do not say so. */
const NO_REFUSALS = ['OrderNotFound', 'OrderNotCached', 'DuplicateOrderId', 'NoChange']

/** True when the error is of the ccxt class, or of one derived from it. */
export function isCcxtError(error: unknown, className: string): boolean {
  return error instanceof Error && classNames(error).includes(className)
}

/** True when the order was not taken for certain; a time-out or a lost connection is none. */
export function isRefusal(error: unknown): boolean {
  return REFUSALS.some((name) => isCcxtError(error, name)) && !NO_REFUSALS.some((name) => isCcxtError(error, name))
}

/** The class of the error, as ccxt names it. */
export function errorName(error: unknown): string {
  return error instanceof Error ? (classNames(error)[0] ?? error.name) : 'UnknownError'
}

/** An `EXCHANGE_ERROR` that keeps the class and the stack of the error, not its text: that quotes what was sent. */
export function exchangeError(exchangeId: string, method: string, error: unknown): StoreError {
  const name = errorName(error)
  const message = `${exchangeId}.${method} failed with ${name}. Nothing is concluded from it: reconcile again when the exchange answers.`
  return new StoreError('EXCHANGE_ERROR', message, {
    details: { exchange: exchangeId, method, error: name },
    cause: error,
  })
}

function classNames(error: Error): string[] {
  const names: string[] = []
  for (let prototype = Object.getPrototypeOf(error); prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const { name } = (prototype as { constructor: { name: string } }).constructor
    if (name !== '') names.push(name)
  }
  return names
}
