import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decimal, timestampMs } from '../../src/index.ts'

describe('a decimal', () => {
  test.each([
    '0',
    '1',
    '-1',
    '+1',
    '0.10000000',
    '.5',
    '5.',
    '-.5',
    '1e8',
    '1E-8',
    '46319.00',
    '9'.repeat(128),
  ])('takes "%s" and keeps every digit', (text) => {
    expect(decimal.parse(text)).toBe(text)
  })

  test.each([
    '',
    ' ',
    '1 ',
    ' 1',
    '.',
    '-',
    '1,5',
    '1_000',
    '0x10',
    'NaN',
    'Infinity',
    '1e',
    '1e99999',
    '--1',
    '1.2.3',
    '١',
  ])('refuses "%s"', (text) => {
    expect(decimal.safeParse(text).success).toBe(false)
  })

  test('refuses a text longer than 128 characters, at once', () => {
    const startedAt = performance.now()
    expect(decimal.safeParse(`${'9'.repeat(100_000)}x`).success).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(200)
  })

  test('takes every finite number as it is', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal.parse(value)).toBe(value)
      }),
    )
  })

  test('takes what JavaScript prints for a finite number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal.parse(String(value))).toBe(String(value))
      }),
    )
  })

  test.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1n,
    null,
    undefined,
    true,
    {},
  ])('refuses %s', (value) => {
    expect(decimal.safeParse(value).success).toBe(false)
  })
})

describe('a moment', () => {
  test.each([0, 1_700_000_000_000])('is a whole number of milliseconds: %d', (value) => {
    expect(timestampMs.parse(value)).toBe(value)
  })

  test.each([-1, 1.5, Number.NaN, '1700000000000', new Date()])('is not %s', (value) => {
    expect(timestampMs.safeParse(value).success).toBe(false)
  })
})
