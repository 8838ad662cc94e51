import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  deserializeError,
  isStoreError,
  STORE_ERROR_CODES,
  StoreError,
  type StoreErrorCode,
  type StoreErrorDetails,
  sanitizedCause,
  serializeError,
} from '../../src/protocol/store-error.ts'

const MARKER = 'marker-4711'

/** Through the thread boundary and back. */
const carried = (error: unknown): StoreError => deserializeError(structuredClone(serializeError(error)))

describe('a StoreError', () => {
  test('is an Error with a name, a code, a message and details', () => {
    const error = new StoreError('STORE_LOCKED', 'In use by process 7.', { details: { pid: 7 } })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'StoreError', code: 'STORE_LOCKED', details: { pid: 7 } })
    expect(String(error)).toBe('StoreError: In use by process 7.')
  })

  test('has no cause unless it was given one', () => {
    expect('cause' in new StoreError('INTERNAL', 'x')).toBe(false)
  })

  test('keeps its details as they were', () => {
    const details = { pid: 7 }
    const error = new StoreError('STORE_LOCKED', 'x', { details })
    details.pid = 8
    expect(error.details).toEqual({ pid: 7 })
    expect(Object.isFrozen(error.details)).toBe(true)
  })

  test('keeps a StoreError as its cause whole', () => {
    const cause = new StoreError('DISK_FULL', 'Free some space.')
    expect(new StoreError('MIGRATION_FAILED', 'x', { cause }).cause).toBe(cause)
  })

  test('keeps class, code and frames of a foreign cause, and none of its text', () => {
    const cause = Object.assign(new RangeError(`bad value ${MARKER}`), { code: 'ERR_X', value: MARKER })
    const error = new StoreError('INTERNAL', 'x', { cause })
    expect(error.cause).toMatchObject({ name: 'RangeError', code: 'ERR_X' })
    expect((error.cause as Error).stack).toContain('store-error.test.ts')
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(MARKER)
    expect(JSON.stringify(error)).not.toContain(MARKER)
  })

  test.each([
    [MARKER],
    [{ value: MARKER }],
    [null],
    [Symbol(MARKER)],
  ])('says nothing of a cause that is no error: %#', (cause) => {
    const error = new StoreError('INTERNAL', 'x', { cause })
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(MARKER)
  })

  test('drops a multi-line message from the stack of a foreign cause', () => {
    const cause = new Error(`first\n${MARKER}\n  at odds with ${MARKER}`)
    expect(sanitizedCause(cause).stack).not.toContain(MARKER)
  })
})

describe('across the thread boundary', () => {
  const details: fc.Arbitrary<StoreErrorDetails> = fc.dictionary(
    fc.string().filter((name) => name !== '__proto__'),
    fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null), fc.array(fc.string())),
  )
  const leaf = fc
    .tuple(fc.constantFrom<StoreErrorCode>(...STORE_ERROR_CODES), fc.string(), details)
    .map(([code, message, facts]) => new StoreError(code, message, { details: facts }))

  test('code, message and details stay the same', () => {
    fc.assert(
      fc.property(leaf, (error) => {
        const arrived = carried(error)
        expect(arrived).toBeInstanceOf(StoreError)
        expect([arrived.code, arrived.message, arrived.details]).toEqual([error.code, error.message, error.details])
      }),
    )
  })

  test('a chain of causes stays a chain of StoreErrors', () => {
    fc.assert(
      fc.property(fc.array(leaf, { minLength: 2, maxLength: 5 }), (chain) => {
        const nested = chain.reduce((cause, { code, message }) => new StoreError(code, message, { cause }))
        const codes = (error: unknown): string[] =>
          error instanceof StoreError ? [error.code, ...codes(error.cause)] : []
        expect(codes(carried(nested))).toEqual(codes(nested))
      }),
    )
  })

  test('a foreign cause keeps class, code and frames', () => {
    const cause = Object.assign(new TypeError(MARKER), { code: 'EACCES' })
    const arrived = carried(new StoreError('PERMISSION_DENIED', 'x', { cause })).cause as Error & { code: string }
    expect(arrived).toMatchObject({ name: 'TypeError', code: 'EACCES' })
    expect(arrived.stack).toContain('store-error.test.ts')
    expect(inspect(arrived)).not.toContain(MARKER)
  })

  test.each([
    ['an error', new Error(MARKER)],
    ['a text', MARKER],
    ['nothing', undefined],
  ])('%s thrown inside becomes INTERNAL without its text', (_, thrown) => {
    const arrived = carried(thrown)
    expect(arrived.code).toBe('INTERNAL')
    expect(inspect(arrived, { depth: null, showHidden: true })).not.toContain(MARKER)
  })
})

describe('isStoreError', () => {
  test('knows the errors of another copy of this package', () => {
    const foreign = Object.assign(new Error('x'), { name: 'StoreError', code: 'QUEUE_FULL' })
    expect(isStoreError(foreign)).toBe(true)
  })

  test.each([
    [new Error('x')],
    [{ name: 'StoreError', code: 'QUEUE_FULL' }],
    [null],
    ['StoreError'],
  ])('does not take %s for one', (thrown) => {
    expect(isStoreError(thrown)).toBe(false)
  })
})

test('no code is listed twice, and all are in capitals', () => {
  expect(new Set(STORE_ERROR_CODES).size).toBe(STORE_ERROR_CODES.length)
  for (const code of STORE_ERROR_CODES) expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
})
