/** What exchanges send of an order book: whole snapshots, and changes of single levels with the ids that chain them. */
import * as z from 'zod'

const MAX_LEVELS = 100_000

/** A price or amount as exchanges write it; a number is taken by its shortest decimal text. */
const levelDecimal = z.union([
  z.string().regex(/^[0-9]{1,30}(?:\.[0-9]{1,30})?$/, 'expected a decimal such as "20377.00"'),
  z
    .number()
    .nonnegative()
    .max(1e20)
    .transform((value) => plainDecimal(value)),
])

const level = z.tuple([levelDecimal, levelDecimal])
const updateId = z.int().nonnegative()
const levels = z.array(level).max(MAX_LEVELS)

/**
 * `ts` in Unix milliseconds. `lastId` is the id of the last update that the event contains: `lastUpdateId` or `u` at Binance,
 * `nonce` in ccxt. A delta names what it follows, by `firstId` (`U`: the first id it contains) or by `previousId` (`pu`: the `lastId` of the
 * delta before it) or both; without either, a missing event could not be noticed. An amount of 0 removes the level.
 */
export const bookEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('snapshot'),
    ts: z.number().nonnegative(),
    lastId: updateId,
    bids: levels,
    asks: levels,
  }),
  z
    .object({
      type: z.literal('delta'),
      ts: z.number().nonnegative(),
      lastId: updateId,
      firstId: updateId.optional(),
      previousId: updateId.optional(),
      bids: levels,
      asks: levels,
    })
    .refine(({ firstId, previousId }) => firstId !== undefined || previousId !== undefined, {
      error: 'a delta names firstId, previousId or both; without them a missing event could not be noticed',
    })
    .refine(({ firstId, lastId }) => firstId === undefined || firstId <= lastId, { error: 'firstId is behind lastId' }),
])

/** An event as callers give it: prices and amounts as decimal strings or numbers. */
export type BookEventInput = z.input<typeof bookEventSchema>

/** An event as it is stored and given back: prices and amounts as decimal strings, digit by digit. */
export type BookEvent = z.output<typeof bookEventSchema>

export type BookLevel = [price: string, amount: string]

/** `String(1e-7)` has an exponent, which prices do not. */
function plainDecimal(value: number): string {
  const text = String(value)
  const match = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(text)
  if (match === null) return text
  const [, whole = '', fraction = '', exponent = ''] = match
  return `0.${'0'.repeat(Number(exponent) - 1)}${whole}${fraction}`
}
