/** A line that counts, for who waits at a terminal. */
import type { Terminal } from './terminal.ts'

const INTERVAL_MS = 100
const CLEAR_LINE = '\r\u001b[K'

export class Progress {
  readonly #label: string
  readonly #isShown: boolean
  #count = 0
  #shownAt = performance.now()
  #isOnScreen = false

  constructor(label: string, terminal: Terminal) {
    this.#label = label
    this.#isShown = !terminal.isJson && process.stderr.isTTY === true
  }

  add(count: number): void {
    this.#count += count
    if (!this.#isShown) return
    const now = performance.now()
    if (now - this.#shownAt < INTERVAL_MS) return
    this.#shownAt = now
    this.#isOnScreen = true
    process.stderr.write(`${CLEAR_LINE}${this.#label} ${this.#count.toLocaleString('en-US')}`)
  }

  end(): void {
    if (this.#isOnScreen) process.stderr.write(CLEAR_LINE)
    this.#isOnScreen = false
  }
}
