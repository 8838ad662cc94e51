/** What a promise was refused with. */
import { expect } from 'vitest'
import type { StoreError, StoreErrorCode } from '../../src/protocol/store-error.ts'
import { isStoreError } from './compiled-store.ts'

/** The error a promise rejects with; undefined when it resolves. Anything that is no `StoreError` fails the test. */
export async function refusalOf(promise: Promise<unknown>): Promise<StoreError | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (!isStoreError(error)) throw error
    expect(error.message.length).toBeGreaterThan(0)
    return error
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | undefined> {
  return (await refusalOf(promise))?.code
}
