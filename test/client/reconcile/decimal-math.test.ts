import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  add,
  canonical,
  compare,
  divide,
  maximum,
  minimum,
  multiply,
  roundToStep,
  subtract,
  sum,
} from '../../../src/client/reconcile/decimal-math.ts'

/** A decimal as text, and the same as an integer count of 10^-12: computed without the code under test. */
const SCALE = 12
const exact = fc
  .record({
    sign: fc.constantFrom('', '-'),
    whole: fc.bigInt({ min: 0n, max: 10n ** 15n }),
    fraction: fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: SCALE }),
  })
  .map(({ sign, whole, fraction }) => ({
    text: fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`,
    units: (sign === '-' ? -1n : 1n) * (whole * 10n ** BigInt(SCALE) + BigInt(fraction.padEnd(SCALE, '0') || '0')),
  }))

/** Reads the result back as a count of 10^-digits. */
function unitsOf(text: string, digits: number): bigint {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) as RegExpExecArray
  expect(fraction.length).toBeLessThanOrEqual(digits)
  return BigInt(`${sign}${whole}${fraction.padEnd(digits, '0')}`)
}

describe('adding, subtracting and multiplying', () => {
  it('is exact where doubles are not', () => {
    expect(add('0.1', '0.2')).toBe('0.3')
    expect(add(0.1, 0.2)).toBe('0.3')
    expect(multiply('1.1', '1.1')).toBe('1.21')
    expect(subtract('1', '0.9999999999999999999999')).toBe('0.0000000000000000000001')
    expect(sum(['0.1', '0.1', '0.1', '-0.3'])).toBe('0')
  })

  it('reads every notation a document may hold', () => {
    expect(canonical('+.5')).toBe('0.5')
    expect(canonical('5.')).toBe('5')
    expect(canonical('1.50e3')).toBe('1500')
    expect(canonical('15e-4')).toBe('0.0015')
    expect(canonical(1e21)).toBe('1000000000000000000000')
    expect(canonical(1e-9)).toBe('0.000000001')
    expect(canonical('-0.00')).toBe('0')
  })

  it('refuses what is no finite decimal, without quoting it', () => {
    for (const value of ['', '.', 'abc', '1,5', '0x10', Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => add(value, 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(() => add('secret-123', 1)).toThrow(expect.not.objectContaining({ message: expect.stringContaining('123') }))
  })

  it('agrees with integer arithmetic on scaled values', () => {
    fc.assert(
      fc.property(exact, exact, (a, b) => {
        expect(unitsOf(add(a.text, b.text), SCALE)).toBe(a.units + b.units)
        expect(unitsOf(subtract(a.text, b.text), SCALE)).toBe(a.units - b.units)
        expect(unitsOf(multiply(a.text, b.text), 2 * SCALE)).toBe(a.units * b.units)
      }),
    )
  })
})

describe('comparing', () => {
  it('looks at the value, not at the digits', () => {
    expect(compare('0.10', 0.1)).toBe(0)
    expect(compare('1e2', '100.000')).toBe(0)
    expect(compare('-1', '1')).toBe(-1)
  })

  it('agrees with integer comparison, and keeps the digits of the greater and the lesser', () => {
    fc.assert(
      fc.property(exact, exact, (a, b) => {
        expect(compare(a.text, b.text)).toBe(a.units < b.units ? -1 : a.units > b.units ? 1 : 0)
        expect(maximum(a.text, b.text)).toBe(b.units > a.units ? b.text : a.text)
        expect(minimum(a.text, b.text)).toBe(b.units < a.units ? b.text : a.text)
      }),
    )
  })
})

describe('dividing', () => {
  it('is exact when the quotient has few enough digits', () => {
    expect(divide('1', '8')).toBe('0.125')
    expect(divide('100', '4')).toBe('25')
    expect(divide('-3', '2')).toBe('-1.5')
    expect(divide('0', '7')).toBe('0')
  })

  it('rounds half to even at the last significant digit', () => {
    expect(divide('2', '3', 4)).toBe('0.6667')
    expect(divide('1', '3', 4)).toBe('0.3333')
    expect(divide('12345', '10', 4)).toBe('1234')
    expect(divide('12355', '10', 4)).toBe('1236')
    expect(divide('123456789', '1', 4)).toBe('123500000')
  })

  it('refuses to divide by zero', () => {
    expect(() => divide('1', '0.00')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('is off by at most half a unit of the last digit', () => {
    fc.assert(
      fc.property(exact, exact, fc.integer({ min: 1, max: 30 }), (a, b, digits) => {
        fc.pre(b.units !== 0n && a.units !== 0n)
        const quotient = divide(a.text, b.text, digits)
        const significant = quotient.replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '')
        expect(significant.length).toBeLessThanOrEqual(digits)
        // |quotient × b - a| ≤ |b| × 10^(e - digits + 1) / 2, with e the exponent of the quotient's first digit
        const error = subtract(multiply(quotient, b.text), a.text)
        const exponent = firstDigitExponent(quotient)
        const bound = multiply(multiply(b.text, `5e${exponent - digits}`), b.units < 0n ? -1 : 1)
        expect(compare(error.replace('-', ''), bound)).toBeLessThanOrEqual(0)
      }),
    )
  })
})

describe('rounding to a tick', () => {
  it('goes up or down to a multiple of the step', () => {
    expect(roundToStep('46319.037', '0.01', 'up')).toBe('46319.04')
    expect(roundToStep('46319.037', '0.01', 'down')).toBe('46319.03')
    expect(roundToStep('46319.04', '0.01', 'up')).toBe('46319.04')
    expect(roundToStep('7', '2.5', 'down')).toBe('5')
    expect(roundToStep('-7', '2.5', 'down')).toBe('-7.5')
  })

  it('refuses a step of zero', () => {
    expect(() => roundToStep('1', '0', 'up')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('is a multiple, on the right side, and less than a step away', () => {
    const step = exact.filter(({ units }) => units > 0n)
    fc.assert(
      fc.property(exact, step, fc.constantFrom('up' as const, 'down' as const), (value, tick, direction) => {
        const rounded = unitsOf(roundToStep(value.text, tick.text, direction), SCALE)
        expect(rounded % tick.units).toBe(0n)
        const distance = direction === 'up' ? rounded - value.units : value.units - rounded
        expect(distance >= 0n && distance < tick.units).toBe(true)
      }),
    )
  })
})

function firstDigitExponent(text: string): number {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  if (/[1-9]/.test(whole)) return whole.replace(/^0+/, '').length - 1
  return -(fraction.search(/[1-9]/) + 1)
}
