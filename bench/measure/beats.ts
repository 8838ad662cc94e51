/** What wakes the main thread at a steady rate. */
export interface Beats {
  /** The first beat is due now. */
  run(onBeat: () => void): void
  pause(): void
}

/**
 * Beats from a timer of Node's, one or two milliseconds apart. For where busy time is measured rather than latency:
 * a `Metronome` is exact, but its thread competes for the cores, which shows when single microseconds count.
 */
export class TimerBeats implements Beats {
  #timer: NodeJS.Timeout | undefined

  run(onBeat: () => void): void {
    this.#timer = setInterval(onBeat, 1)
  }

  pause(): void {
    clearInterval(this.#timer)
  }
}
