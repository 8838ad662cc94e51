import { expect, test } from 'vitest'
import { firstSequence } from '../../src/protocol/sequence.ts'

test('every batch of a session comes after all of the session before', () => {
  const lastOfSession7 = firstSequence(7) + 2 ** 32 - 1
  expect(firstSequence(8)).toBeGreaterThan(lastOfSession7)
})

test('the last batch of the last session is still a safe integer', () => {
  expect(Number.isSafeInteger(firstSequence(2 ** 21 - 1) + 2 ** 32 - 1)).toBe(true)
})

test.each([0, -1, 1.5, Number.NaN, 2 ** 21])('session %d is out of range', (session) => {
  expect(() => firstSequence(session)).toThrow(RangeError)
})
