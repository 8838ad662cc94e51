import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inexactNumberOffset } from '../../src/cli/exact-numbers.ts'

describe('numbers that JSON keeps', () => {
  test.each([
    '{"a":0.1,"b":-1e-7,"c":1E+21,"d":123456789012345}',
    '{"a":0.30000000000000004}',
    '{"a":9007199254740992}',
    '{"a":1.50000000000000000000}',
    '{"a":100000000000000000000000}',
    '{"a":"0.12345678901234567890"}',
    '{"12345678901234567890":true}',
    '{"a":"\\"0.12345678901234567890"}',
    '[true,false,null,0.000000000000000000]',
  ])('are let through: %s', (json) => {
    expect(inexactNumberOffset(json)).toBeUndefined()
  })

  test.each([
    ['{"a":0.12345678901234567890}', 5],
    ['[1,9007199254740993]', 3],
    ['{"x":"1","a":-12345678901234567.25e3}', 13],
    ['[1e99999999999999999]', 1],
  ])('are told from those it would round: %s', (json, offset) => {
    expect(inexactNumberOffset(json)).toBe(offset)
  })

  test('are all those that JavaScript itself writes', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(inexactNumberOffset(JSON.stringify(JSON.parse(json)))).toBeUndefined()
      }),
    )
  })
})
