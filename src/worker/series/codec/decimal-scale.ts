/**
 * Prices and amounts are decimals that somebody wrote down: as doubles they are integers divided by a power of ten.
 * A double that comes back bit for bit from `integer / 10 ** scale` can travel as that integer; the few that do not
 * (NaN, -0, sums with a rounding error) travel beside it as they are. After A. Afroozeh, L. Kuffo, P. Boncz:
 * "ALP: Adaptive Lossless floating-Point Compression" (SIGMOD 2024).
 */
import { INTEGER_BOUND } from './integer-groups.ts'

/** 10^15 is the last power whose multiples of 1 still fit the integers packed here. */
export const MAX_SCALE = 15
export const POWERS_OF_TEN = Float64Array.from({ length: MAX_SCALE + 1 }, (_, scale) => 10 ** scale)

const SAMPLES = 96
const EXCEPTION_BYTES = 10
const BYTES_PER_DIGIT = Math.log2(10) / 8
/** Adding and taking away 1.5 * 2^52 rounds a double within ±2^51 to the nearest integer. */
const ROUND = 6_755_399_441_055_744

/** The integer for `value` at this power of ten, or NaN when it would not come back exactly. */
function scaled(value: number, power: number): number {
  const integer = value * power + ROUND - ROUND
  if (integer / power !== value || !(integer > -INTEGER_BOUND && integer < INTEGER_BOUND)) return Number.NaN
  return integer === 0 && Object.is(value, -0) ? Number.NaN : integer
}

/** The scale under which a sample of the column is smallest, exceptions counted; undefined when most are exceptions. */
export function chooseScale(values: Float64Array): number | undefined {
  const neededBy = new Uint32Array(MAX_SCALE + 2)
  const step = Math.max(1, Math.floor(values.length / SAMPLES))
  let sampled = 0
  for (let i = 0; i < values.length; i += step) {
    const value = values[i] as number
    let scale = 0
    while (scale <= MAX_SCALE && Number.isNaN(scaled(value, POWERS_OF_TEN[scale] as number))) scale += 1
    neededBy[scale] = (neededBy[scale] as number) + 1
    sampled += 1
  }
  let best: number | undefined
  let bestBytes = Number.POSITIVE_INFINITY
  let exceptions = sampled
  for (let scale = 0; scale <= MAX_SCALE; scale += 1) {
    exceptions -= neededBy[scale] as number
    const bytes = exceptions * EXCEPTION_BYTES + sampled * scale * BYTES_PER_DIGIT
    if (exceptions * 2 <= sampled && bytes < bestBytes) {
      best = scale
      bestBytes = bytes
    }
  }
  return best
}

/**
 * Fills `integers`; an exception repeats the integer before it, which costs next to nothing in differences.
 *
 * @returns the positions of the exceptions, or undefined when there are too many for this encoding to pay.
 */
export function scaleColumn(values: Float64Array, scale: number, integers: Float64Array): number[] | undefined {
  const power = POWERS_OF_TEN[scale] as number
  const exceptions: number[] = []
  const limit = values.length >>> 1
  let previous = 0
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number
    const integer = value * power + ROUND - ROUND
    if (
      integer / power === value &&
      integer < INTEGER_BOUND &&
      integer > -INTEGER_BOUND &&
      (integer !== 0 || !Object.is(value, -0))
    ) {
      previous = integer
    } else {
      exceptions.push(i)
      if (exceptions.length > limit) return undefined
    }
    integers[i] = previous
  }
  return exceptions
}
