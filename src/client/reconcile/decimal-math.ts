/**
 * Why: a P&L or a stop price computed in binary doubles is off in the last digits, and an exchange compares digits.
 * Everything here is exact on BigInt; only `divide` has to round, and says how.
 */
import { StoreError } from '../../protocol/store-error.ts'
import type { Decimal } from '../../schema/decimal.ts'

const PATTERN = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,4}))?$/
const DEFAULT_SIGNIFICANT_DIGITS = 20

/** `coefficient` × 10^-`scale`, with `scale` ≥ 0. */
interface Exact {
  readonly coefficient: bigint
  readonly scale: number
}

/** The exact sum, in plain notation without trailing zeros. */
export function add(a: Decimal, b: Decimal): string {
  const [x, y, scale] = align(a, b)
  return format(x + y, scale)
}

/** The exact difference `a - b`. */
export function subtract(a: Decimal, b: Decimal): string {
  const [x, y, scale] = align(a, b)
  return format(x - y, scale)
}

/** The exact product. */
export function multiply(a: Decimal, b: Decimal): string {
  const x = parse(a)
  const y = parse(b)
  return format(x.coefficient * y.coefficient, x.scale + y.scale)
}

/** `a / b` to `significantDigits`, half to even. */
export function divide(a: Decimal, b: Decimal, significantDigits = DEFAULT_SIGNIFICANT_DIGITS): string {
  const x = parse(a)
  const y = parse(b)
  if (y.coefficient === 0n) throw new StoreError('INVALID_ARGUMENT', 'A decimal was divided by zero.')
  const negative = x.coefficient < 0n !== y.coefficient < 0n
  const numerator = magnitude(x.coefficient)
  const denominator = magnitude(y.coefficient)
  if (numerator === 0n) return '0'
  // The integer quotient has this many digits or one more; widen it to the digits wanted.
  const digits = numerator.toString().length - denominator.toString().length
  const shift = Math.max(0, significantDigits - digits)
  const wide = numerator * power(shift)
  const quotient = wide / denominator
  const surplus = quotient.toString().length - significantDigits
  const unit = surplus > 0 ? power(surplus) : 1n
  const rounded = divideHalfEven(wide, denominator * unit) * unit
  const scale = x.scale - y.scale + shift
  const signed = negative ? -rounded : rounded
  return scale < 0 ? format(signed * power(-scale), 0) : format(signed, scale)
}

/** -1, 0 or 1, as `a` is less than, equal to or greater than `b`: `"0.10"` equals `0.1`. */
export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  const [x, y] = align(a, b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** The greater one, with its digits as given. */
export function maximum(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) < 0 ? b : a
}

/** The lesser one, with its digits as given. */
export function minimum(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) > 0 ? b : a
}

export function sum(values: Iterable<Decimal>): string {
  let total = '0'
  for (const value of values) total = add(total, value)
  return total
}

/**
 * The nearest multiple of `step` that is not below (`up`) or not above (`down`) `value`.
 *
 * @example roundToStep('46319.037', '0.01', 'up') // '46319.04'
 */
export function roundToStep(value: Decimal, step: Decimal, direction: 'up' | 'down'): string {
  const [x, unit, scale] = align(value, step)
  if (unit <= 0n) throw new StoreError('INVALID_ARGUMENT', 'A tick or lot size must be greater than zero.')
  let steps = x / unit
  const rest = x % unit
  if (rest > 0n && direction === 'up') steps += 1n
  if (rest < 0n && direction === 'down') steps -= 1n
  return format(steps * unit, scale)
}

/** The value in plain notation without trailing zeros: one text for every way of writing a number. */
export function canonical(value: Decimal): string {
  const { coefficient, scale } = parse(value)
  return format(coefficient, scale)
}

function parse(value: Decimal): Exact {
  const match = PATTERN.exec(typeof value === 'number' ? String(value) : value)
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? []
  const digits = whole + fraction
  if (digits === '') {
    throw new StoreError('INVALID_ARGUMENT', 'Expected a finite number or a decimal string such as "46319.00".')
  }
  const coefficient = BigInt(digits) * (sign === '-' ? -1n : 1n)
  const scale = fraction.length - Number(exponent)
  return scale < 0 ? { coefficient: coefficient * power(-scale), scale: 0 } : { coefficient, scale }
}

function align(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const x = parse(a)
  const y = parse(b)
  const scale = Math.max(x.scale, y.scale)
  return [x.coefficient * power(scale - x.scale), y.coefficient * power(scale - y.scale), scale]
}

function format(coefficient: bigint, scale: number): string {
  const digits = magnitude(coefficient)
    .toString()
    .padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  const text = fraction === '' ? whole : `${whole}.${fraction}`
  return coefficient < 0n ? `-${text}` : text
}

function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  if (twice > denominator || (twice === denominator && quotient % 2n === 1n)) return quotient + 1n
  return quotient
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value
}

function power(exponent: number): bigint {
  return 10n ** BigInt(exponent)
}
