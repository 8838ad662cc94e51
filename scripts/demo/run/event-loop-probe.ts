import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** A timer that is due every millisecond: how long the event loop has let it wait at worst. */
export class EventLoopProbe {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: 1 })

  constructor() {
    this.#histogram.enable()
  }

  get longestGapMs(): number {
    return this.#histogram.max / 1e6
  }

  end(): void {
    this.#histogram.disable()
  }
}
