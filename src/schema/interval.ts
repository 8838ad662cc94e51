/**
 * Intervals as exchanges name them: `15s`, `1m`, `4h`, `1d`, `1w`, `1M`, `1y`. Buckets lie on the calendar of UTC: weeks
 * begin on Mondays, months and years on their first day, all others are counted from the epoch.
 */
const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
/** 1970-01-05 was the first Monday. */
const FIRST_MONDAY_MS = 4 * UNIT_MS.d
const INTERVAL = /^([1-9]\d{0,5})(s|m|h|d|w|M|y)$/

/** A bucket of so many milliseconds from an origin, or of so many calendar months. */
export type BucketSpec =
  | { readonly unit: 'ms'; readonly size: number; readonly origin: number }
  | { readonly unit: 'month'; readonly size: number }

/** Undefined when the text is no interval. */
export function parseInterval(text: string): BucketSpec | undefined {
  const [, digits, unit] = INTERVAL.exec(text) ?? []
  if (digits === undefined || unit === undefined) return undefined
  const count = Number(digits)
  if (unit === 'M') return { unit: 'month', size: count }
  if (unit === 'y') return { unit: 'month', size: count * 12 }
  const size = count * UNIT_MS[unit as keyof typeof UNIT_MS]
  return { unit: 'ms', size, origin: unit === 'w' ? FIRST_MONDAY_MS : 0 }
}

export function bucketStart(bucket: BucketSpec, ts: number): number {
  if (bucket.unit === 'ms') {
    return bucket.origin + Math.floor((ts - bucket.origin) / bucket.size) * bucket.size
  }
  return monthStart(Math.floor(monthOf(ts) / bucket.size) * bucket.size)
}

/** The start of the bucket after the one that `start` begins. */
export function nextBucket(bucket: BucketSpec, start: number): number {
  return bucket.unit === 'ms' ? start + bucket.size : monthStart(monthOf(start) + bucket.size)
}

/** True when buckets of `fine` fill each of `coarse`. */
export function fits(fine: BucketSpec, coarse: BucketSpec): boolean {
  if (coarse.unit === 'month') return fine.unit === 'month' ? coarse.size % fine.size === 0 : divides(fine, UNIT_MS.d)
  return fine.unit === 'ms' && divides(fine, coarse.size) && (coarse.origin - fine.origin) % fine.size === 0
}

function divides(fine: BucketSpec & { readonly unit: 'ms' }, size: number): boolean {
  return size % fine.size === 0
}

/** Months since January 1970. */
function monthOf(ts: number): number {
  const date = new Date(ts)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

function monthStart(month: number): number {
  return new Date(0).setUTCFullYear(1970 + Math.floor(month / 12), ((month % 12) + 12) % 12, 1)
}
