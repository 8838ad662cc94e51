import { LatencyHistogram } from './latency-histogram.ts'

/** Times writes from the call to durable, those nobody waits for as well. */
export class AckClock {
  readonly histogram = new LatencyHistogram()

  /** For a write somebody awaits. */
  async time<T>(write: Promise<T>): Promise<T> {
    const startedAt = performance.now()
    const result = await write
    this.histogram.record(performance.now() - startedAt)
    return result
  }

  /** For a write that is only accepted for now. Should it fail, the process ends: an unhandled rejection. */
  accept(write: Promise<unknown>): void {
    const startedAt = performance.now()
    void write.then(() => this.histogram.record(performance.now() - startedAt))
  }
}
