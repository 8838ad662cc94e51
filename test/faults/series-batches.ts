/** What the program that is killed appends, and what is there after any number of its batches. */
import type { Bar, Tick } from '../../src/index.ts'

export interface SeriesKeeperArguments {
  readonly dir: string
  readonly from: number
}

/** Some go to rows, some to a block at once. */
const SIZES = [3, 40, 300, 1, 700] as const
export const CORRECTED_EVERY = 3
/** Bars of a batch that replace bars of the one before. */
const OVERLAP = 2
const MINUTE_MS = 60_000

const sizeOf = (batch: number) => SIZES[batch % SIZES.length] as number

function startOf(batch: number): number {
  let start = 0
  for (let each = 0; each < batch; each++) start += sizeOf(each)
  return start
}

export function barsOf(batch: number): Bar[] {
  const start = Math.max(0, startOf(batch) - OVERLAP)
  return Array.from({ length: startOf(batch + 1) - start }, (_, index) => ({
    ts: (start + index) * MINUTE_MS,
    open: start + index,
    high: start + index + 0.5,
    low: -1,
    close: batch,
    volume: 1,
  }))
}

/** All alike but for their times, so that one written twice shows. */
export function ticksOf(batch: number): Tick[] {
  return Array.from({ length: sizeOf(batch) }, (_, index) => ({
    ts: batch * 1_000 + (index >> 1),
    price: batch,
    amount: 1,
    side: 'buy',
  }))
}

/** Of the bars, by the time of each: the batch that wrote it last. */
export function expectedCloses(batches: number): Float64Array {
  const closes = new Float64Array(startOf(batches))
  for (let batch = 0; batch < batches; batch++) {
    for (const { ts } of barsOf(batch)) closes[ts / MINUTE_MS] = batch
  }
  return closes
}

export function expectedTicks(batches: number): { ts: Float64Array; price: Float64Array } {
  const ticks = Array.from({ length: batches }, (_, batch) => ticksOf(batch)).flat()
  return {
    ts: Float64Array.from(ticks, ({ ts }) => ts),
    price: Float64Array.from(ticks, ({ price }) => Number(price)),
  }
}
