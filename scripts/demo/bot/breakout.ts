/** The strategy: buy when the price closes above everything it has seen for a while. */

export class BreakoutWindow {
  readonly #length: number
  readonly #highs: number[] = []

  constructor(length: number) {
    this.#length = length
  }

  /** True when the bar closes above the highs of the whole window before it. */
  isBreakout(close: string): boolean {
    return this.#highs.length === this.#length && Number(close) > Math.max(...this.#highs)
  }

  push(high: string): void {
    this.#highs.push(Number(high))
    if (this.#highs.length > this.#length) this.#highs.shift()
  }
}
