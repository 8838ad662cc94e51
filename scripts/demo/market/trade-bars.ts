import { add } from '../exact-decimal.ts'
import { BAR_MS, type Bar } from './bar.ts'

export interface PublicTrade {
  readonly time: number
  readonly price: string
  readonly quantity: string
}

/** Folds trades, in the order they were made, into bars of a minute. */
export function barsOfTrades(trades: Iterable<PublicTrade>): Bar[] {
  const bars: Bar[] = []
  for (const { time, price, quantity } of trades) {
    const openTime = time - (time % BAR_MS)
    const last = bars.at(-1)
    if (last === undefined || last.openTime !== openTime) {
      const index = bars.length
      bars.push({ index, openTime, open: price, high: price, low: price, close: price, volume: add(quantity, '0') })
      continue
    }
    bars[last.index] = {
      ...last,
      high: Number(price) > Number(last.high) ? price : last.high,
      low: Number(price) < Number(last.low) ? price : last.low,
      close: price,
      volume: add(last.volume, quantity),
    }
  }
  return bars
}
