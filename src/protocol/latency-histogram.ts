/**
 * Durations counted in fixed buckets. Percentiles say how it was here; buckets can be added up over time and over
 * processes, which is what a monitoring system does. Node's own histogram gives out percentiles only, and finding a count
 * by asking for them would cost the main thread a millisecond a bucket.
 */

/** Upper bounds in milliseconds: from one fsync of a fast disk to what somebody should look at. */
export const LATENCY_BOUNDS_MS: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000,
])

export interface LatencyCounts {
  /** How many took at most the bound of the same position in `LATENCY_BOUNDS_MS` and more than the one before it; the last: more than any. */
  readonly counts: readonly number[]
  readonly sumMs: number
}

export class LatencyHistogram {
  readonly #counts: number[] = new Array(LATENCY_BOUNDS_MS.length + 1).fill(0)
  #sumMs = 0

  record(durationMs: number): void {
    let bucket = 0
    while (bucket < LATENCY_BOUNDS_MS.length && durationMs > (LATENCY_BOUNDS_MS[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sumMs += durationMs
  }

  get counted(): LatencyCounts {
    return { counts: [...this.#counts], sumMs: this.#sumMs }
  }
}
