/**
 * Ends a simulated process after so many side effects. `before`: the effect does not happen. `after`: it happens, and
 * nobody hears of it. From then on nothing answers any more, as for a process that is dead.
 */
export class CrashError extends Error {
  override readonly name = 'CrashError'
}

export class Fuse {
  readonly #moment: 'before' | 'after'
  #left: number
  #isBlown = false
  burned = 0

  constructor(effects = Number.POSITIVE_INFINITY, moment: 'before' | 'after' = 'before') {
    this.#left = effects
    this.#moment = moment
  }

  /** Call for anything that only reads. */
  check(): void {
    if (this.#isBlown) throw new CrashError('the process has crashed')
  }

  effect<T>(work: () => T): T {
    this.check()
    this.burned += 1
    this.#left -= 1
    if (this.#left >= 0) return work()
    this.#isBlown = true
    if (this.#moment === 'after') work()
    throw new CrashError('the process has crashed')
  }
}
