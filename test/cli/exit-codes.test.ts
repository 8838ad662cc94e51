import { describe, expect, test } from 'vitest'
import { EXIT, exitCodeOf } from '../../src/cli/exit-codes.ts'
import { STORE_ERROR_CODES, type StoreErrorCode } from '../../src/index.ts'

/** Scripts rely on these: a change here breaks somebody's deployment. */
const PROMISED: Partial<Record<StoreErrorCode, number>> = {
  INVALID_ARGUMENT: 2,
  INVALID_QUERY: 2,
  NOT_FOUND: 3,
  UNKNOWN_COLLECTION: 3,
  STORE_NOT_FOUND: 4,
  NOT_A_STORE: 4,
  PASSWORD_MISSING: 5,
  WRONG_PASSWORD: 5,
  STORE_LOCKED: 6,
  STORE_CORRUPT: 7,
  KEYRING_CORRUPT: 7,
  STORE_FROM_FUTURE: 8,
  MIGRATION_PENDING: 8,
  INVALID_DOCUMENT: 9,
  ALREADY_EXISTS: 10,
  VERSION_CONFLICT: 10,
  CONSTRAINT: 10,
  DISK_FULL: 12,
}

describe('exit codes', () => {
  test('keep their meaning', () => {
    for (const [code, exit] of Object.entries(PROMISED)) expect(exitCodeOf(code as StoreErrorCode)).toBe(exit)
  })

  test('are never 0 for an error', () => {
    for (const code of STORE_ERROR_CODES) expect(exitCodeOf(code)).toBeGreaterThan(0)
  })

  test('are a general failure for a code of a later version', () => {
    expect(exitCodeOf('NEVER_HEARD_OF' as StoreErrorCode)).toBe(1)
  })

  test('are all different', () => {
    expect(new Set(Object.values(EXIT)).size).toBe(Object.values(EXIT).length)
  })
})
