import type { Clock } from '../../../src/client/reconcile/clock.ts'

/** Time that passes only while somebody sleeps. */
export class TestClock implements Clock {
  readonly slept: number[] = []
  #now: number

  constructor(now = 2_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms)
    this.#now += ms
  }
}
