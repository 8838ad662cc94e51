import * as z from 'zod'

const DECIMAL_PATTERN = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/

/**
 * A price, quantity or amount: a finite number, or a decimal string whose digits are kept exactly as given
 * (`"0.10000000"` stays `"0.10000000"`). Exchanges send strings because binary doubles cannot hold most decimals.
 *
 * @example z.object({ price: decimal, quantity: decimal })
 */
export const decimal = z.union([
  z.string().max(128).regex(DECIMAL_PATTERN, 'expected a decimal number such as "46319.00"'),
  z.number(),
])

/** A finite number or a decimal string. */
export type Decimal = z.infer<typeof decimal>

/** A moment in Unix milliseconds (integer), the unit exchanges use. */
export const timestampMs = z.int().nonnegative()
