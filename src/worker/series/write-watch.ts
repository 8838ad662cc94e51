/** Tells a plan that took a while to make whether somebody has written to what it was made from. */
import type { SeriesKey } from '../../protocol/series.ts'

export class WriteWatch {
  readonly #onEnd: (watch: WriteWatch) => void
  readonly #names: ReadonlySet<string>
  readonly #to: number
  #isTouched = false

  /** @param to writes of points from there on don't matter */
  constructor(keys: readonly SeriesKey[], to: number, onEnd: (watch: WriteWatch) => void) {
    this.#names = new Set(keys.map(nameOf))
    this.#to = to
    this.#onEnd = onEnd
  }

  get isTouched(): boolean {
    return this.#isTouched
  }

  /** `firstTs`: of the points that were written or deleted. */
  see(key: SeriesKey, firstTs: number): void {
    if (firstTs < this.#to && this.#names.has(nameOf(key))) this.#isTouched = true
  }

  end(): void {
    this.#onEnd(this)
  }
}

function nameOf({ kind, symbol, interval }: SeriesKey): string {
  return `${kind}\0${interval}\0${symbol}`
}
