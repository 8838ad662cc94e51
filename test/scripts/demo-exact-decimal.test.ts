import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as exact from '../../scripts/demo/exact-decimal.ts'
import * as library from '../../src/client/reconcile/decimal-math.ts'

const amount = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 14n }), fc.nat({ max: 10 }))
  .map(([isNegative, whole, decimals]) => {
    const digits = `${whole}`.padStart(decimals + 1, '0')
    const cut = digits.length - decimals
    return `${isNegative ? '-' : ''}${digits.slice(0, cut)}${decimals === 0 ? '' : `.${digits.slice(cut)}`}`
  })
const positive = amount.map((text) => text.replace('-', '')).filter((text) => Number(text) > 0)

describe('exact decimals agree digit by digit with those of reconcile', () => {
  test.each([
    ['add', exact.add, library.add],
    ['subtract', exact.subtract, library.subtract],
    ['multiply', exact.multiply, library.multiply],
  ] as const)('%s', (_name, own, theirs) => {
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        expect(own(a, b)).toBe(theirs(a, b))
      }),
    )
  })

  test('divide', () => {
    fc.assert(
      fc.property(amount, positive, fc.constantFrom(1, 2, 10, 20), (a, b, digits) => {
        expect(exact.divide(a, b, digits)).toBe(library.divide(a, b, digits))
      }),
      { numRuns: 1_000 },
    )
  })

  test('compare and roundUp', () => {
    fc.assert(
      fc.property(positive, positive, (a, b) => {
        expect(Math.sign(exact.compare(a, b))).toBe(library.compare(a, b))
        expect(exact.roundUp(a, b)).toBe(library.roundToStep(a, b, 'up'))
      }),
    )
  })
})

test('halves go to the even neighbour', () => {
  expect(exact.divide('5', '2', 1)).toBe('2')
  expect(exact.divide('7', '2', 1)).toBe('4')
  expect(exact.divide('2', '3', 4)).toBe('0.6667')
})

test('what is no decimal in plain notation is refused', () => {
  expect(() => exact.add('1e5', '1')).toThrow(RangeError)
  expect(() => exact.divide('1', '0')).toThrow(RangeError)
})
