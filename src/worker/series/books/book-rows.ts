/**
 * Events as points of a series, one level a row, so that ids, prices and amounts are columns: a level takes a few bytes there, where
 * JSON takes some fifty. Rows of one event share time and last id; an event without levels keeps one row without side,
 * since its ids are part of the chain.
 */

import type { Points, SeriesShape } from '../../../protocol/series.ts'
import { StoreError } from '../../../protocol/store-error.ts'
import type { BookEvent, BookLevel } from '../../../schema/book-event.ts'

export const BOOK_SHAPE: SeriesShape = {
  identity: 'order',
  columns: [
    { name: 'firstId', type: 'number' },
    { name: 'lastId', type: 'number' },
    { name: 'previousId', type: 'number' },
    { name: 'side', type: 'text' },
    { name: 'price', type: 'decimal' },
    { name: 'amount', type: 'decimal' },
  ],
}

/** An id that the exchange did not send. */
const NONE = -1
const BID = 'b'
const ASK = 'a'
const NO_LEVEL = ''

/** An event that is given twice (sent again after a reconnect, say) counts once. */
export function toPoints(given: readonly BookEvent[]): Points {
  const events = [...new Map(given.map((event) => [`${event.ts}/${event.lastId}`, event])).values()]
  let count = 0
  for (const { bids, asks } of events) count += Math.max(1, bids.length + asks.length)
  const ts = new Float64Array(count)
  const firstIds = new Float64Array(count)
  const lastIds = new Float64Array(count)
  const previousIds = new Float64Array(count)
  const sides: string[] = []
  const prices: string[] = []
  const amounts: string[] = []
  const add = (event: BookEvent, side: string, [price, amount]: BookLevel) => {
    const at = sides.length
    ts[at] = event.ts
    firstIds[at] = event.type === 'delta' ? (event.firstId ?? NONE) : NONE
    lastIds[at] = event.lastId
    previousIds[at] = event.type === 'delta' ? (event.previousId ?? NONE) : NONE
    sides.push(side)
    prices.push(price)
    amounts.push(amount)
  }
  for (const event of events) {
    for (const level of event.bids) add(event, BID, level)
    for (const level of event.asks) add(event, ASK, level)
    if (event.bids.length + event.asks.length === 0) add(event, NO_LEVEL, ['0', '0'])
  }
  return { ts, values: [firstIds, lastIds, previousIds, sides, prices, amounts] }
}

/** Events ordered by time, then by last id. */
export function toEvents({ ts, values }: Points, type: BookEvent['type']): BookEvent[] {
  const [firstIds, lastIds, previousIds, sides, prices, amounts] = values as [
    Float64Array,
    Float64Array,
    Float64Array,
    readonly string[],
    readonly string[],
    readonly string[],
  ]
  const events = new Map<string, BookEvent>()
  for (let i = 0; i < ts.length; i += 1) {
    const time = ts[i] as number
    const lastId = lastIds[i] as number
    const key = `${time}/${lastId}`
    let event = events.get(key)
    if (event === undefined) {
      const firstId = firstIds[i] as number
      const previousId = previousIds[i] as number
      event =
        type === 'snapshot'
          ? { type, ts: time, lastId, bids: [], asks: [] }
          : {
              type,
              ts: time,
              lastId,
              ...(firstId === NONE ? {} : { firstId }),
              ...(previousId === NONE ? {} : { previousId }),
              bids: [],
              asks: [],
            }
      events.set(key, event)
    }
    const side = sides[i]
    const level: [string, string] = [prices[i] as string, amounts[i] as string]
    if (side === BID) event.bids.push(level)
    else if (side === ASK) event.asks.push(level)
    else if (side !== NO_LEVEL) throw new StoreError('STORE_CORRUPT', 'A level of an order book has an unknown side.')
  }
  return [...events.values()].sort((a, b) => a.ts - b.ts || a.lastId - b.lastId)
}
