/** Time, as an argument: decisions get a moment, and tests need not wait. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number
  sleep(ms: number): Promise<void>
}

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
})
