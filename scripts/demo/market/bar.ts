/** What happened in one minute of a market. Prices are decimal strings, as the source wrote them. */
export interface Bar {
  /** Counted from 0; minutes in which nothing was traded have none. */
  readonly index: number
  /** Unix milliseconds. */
  readonly openTime: number
  readonly open: string
  readonly high: string
  readonly low: string
  readonly close: string
  readonly volume: string
}

export const BAR_MS = 60_000

/** The last millisecond of the bar. */
export function closeTime(bar: Bar): number {
  return bar.openTime + BAR_MS - 1
}
