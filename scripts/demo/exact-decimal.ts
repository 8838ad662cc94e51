/**
 * Exact arithmetic on decimal strings: an exchange and a bot that compute money in binary doubles disagree in the last
 * digits. Results are in plain notation without trailing zeros; only `divide` rounds.
 */

/** `coefficient` × 10^-`scale`. */
interface Exact {
  readonly coefficient: bigint
  readonly scale: number
}

export function add(a: string, b: string): string {
  const [x, y, scale] = align(a, b)
  return format(x + y, scale)
}

export function subtract(a: string, b: string): string {
  const [x, y, scale] = align(a, b)
  return format(x - y, scale)
}

export function multiply(a: string, b: string): string {
  const x = parse(a)
  const y = parse(b)
  return format(x.coefficient * y.coefficient, x.scale + y.scale)
}

/** `a / b` to so many significant digits, half to even. */
export function divide(a: string, b: string, significantDigits = 20): string {
  const x = parse(a)
  const y = parse(b)
  const numerator = magnitude(x.coefficient)
  const denominator = magnitude(y.coefficient)
  if (denominator === 0n) throw new RangeError('division by zero')
  if (numerator === 0n) return '0'
  let shift = significantDigits - (`${numerator}`.length - `${denominator}`.length)
  // The quotient has this many digits or one more.
  if (`${scaled(numerator, denominator, shift).floor}`.length > significantDigits) shift -= 1
  const { floor, twiceRest, unit } = scaled(numerator, denominator, shift)
  const isUp = twiceRest > unit || (twiceRest === unit && floor % 2n === 1n)
  const rounded = isUp ? floor + 1n : floor
  const signed = x.coefficient < 0n === y.coefficient < 0n ? rounded : -rounded
  const scale = x.scale - y.scale + shift
  return scale < 0 ? format(signed * power(-scale), 0) : format(signed, scale)
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compare(a: string, b: string): number {
  const [x, y] = align(a, b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** The greater one, with its digits as given; `a` when they are equal. */
export function greater(a: string, b: string): string {
  return compare(a, b) < 0 ? b : a
}

export function sum(values: readonly string[]): string {
  return values.reduce(add, '0')
}

/** The nearest multiple of `step` that is not below `value`; both positive. */
export function roundUp(value: string, step: string): string {
  const [x, unit, scale] = align(value, step)
  return format(((x + unit - 1n) / unit) * unit, scale)
}

function parse(text: string): Exact {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text)
  if (match === null) throw new RangeError('expected a decimal in plain notation')
  const [, sign = '', whole = '', fraction = ''] = match
  return { coefficient: BigInt(sign + whole + fraction), scale: fraction.length }
}

function align(a: string, b: string): [bigint, bigint, number] {
  const x = parse(a)
  const y = parse(b)
  const scale = Math.max(x.scale, y.scale)
  return [x.coefficient * power(scale - x.scale), y.coefficient * power(scale - y.scale), scale]
}

/** `numerator` × 10^`shift` / `denominator`, rounded down, and how far it is from there. */
function scaled(numerator: bigint, denominator: bigint, shift: number) {
  const dividend = shift > 0 ? numerator * power(shift) : numerator
  const unit = shift < 0 ? denominator * power(-shift) : denominator
  return { floor: dividend / unit, twiceRest: (dividend % unit) * 2n, unit }
}

function format(coefficient: bigint, scale: number): string {
  const digits = `${magnitude(coefficient)}`.padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${coefficient < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value
}

function power(exponent: number): bigint {
  return 10n ** BigInt(exponent)
}
