/**
 * Latencies in buckets that are 4 % wide: small enough to be sent along with every report, so that what a process has
 * measured before it was killed still counts, and histograms of several lives can be added up.
 */

const BUCKETS_PER_DOUBLING = 16

/** Pairs of bucket and count, and the longest latency as measured. */
export interface HistogramData {
  readonly buckets: readonly (readonly [number, number])[]
  readonly maxMs: number
}

export interface LatencyFigures {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export class LatencyHistogram {
  readonly #counts = new Map<number, number>()
  #maxMs = 0

  record(latencyMs: number): void {
    const bucket = Math.floor(Math.log2(Math.max(latencyMs, 0.001) * 1_000) * BUCKETS_PER_DOUBLING)
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1)
    if (latencyMs > this.#maxMs) this.#maxMs = latencyMs
  }

  add({ buckets, maxMs }: HistogramData): void {
    for (const [bucket, count] of buckets) this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count)
    this.#maxMs = Math.max(this.#maxMs, maxMs)
  }

  data(): HistogramData {
    return { buckets: [...this.#counts], maxMs: this.#maxMs }
  }

  figures(): LatencyFigures {
    const ascending = [...this.#counts].sort(([a], [b]) => a - b)
    const count = ascending.reduce((total, [, each]) => total + each, 0)
    /** The upper edge of the bucket: never less than what was measured. */
    const percentile = (share: number) => {
      let left = Math.ceil(share * count)
      for (const [bucket, each] of ascending) {
        left -= each
        if (left <= 0) return Math.min(2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1_000, this.#maxMs)
      }
      return 0
    }
    return {
      count,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      p999Ms: percentile(0.999),
      maxMs: this.#maxMs,
    }
  }
}
