/** Order statistics by nearest rank: every figure printed is one that was measured. */

export function sorted(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort()
}

/** `fraction` 0.5 is the median, 1 the largest. */
export function percentile(ascending: ArrayLike<number>, fraction: number): number {
  if (ascending.length === 0) return Number.NaN
  const rank = Math.ceil(fraction * ascending.length)
  return ascending[Math.max(rank, 1) - 1] as number
}

/** Of an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const ascending = sorted(values)
  const middle = ascending.length / 2
  if (ascending.length === 0) return Number.NaN
  if (!Number.isInteger(middle)) return ascending[Math.floor(middle)] as number
  return ((ascending[middle - 1] as number) + (ascending[middle] as number)) / 2
}

export interface LatencySummary {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly count: number
}

export function summarizeLatencies(values: Iterable<number>): LatencySummary {
  const ascending = sorted(values)
  return {
    p50: percentile(ascending, 0.5),
    p90: percentile(ascending, 0.9),
    p99: percentile(ascending, 0.99),
    p999: percentile(ascending, 0.999),
    max: percentile(ascending, 1),
    count: ascending.length,
  }
}
