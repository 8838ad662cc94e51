/**
 * Where the demo is seen. On a terminal: lines that stay, above a few that are drawn anew as things go on. Anywhere
 * else only the lines that stay.
 */
import { moveCursor } from 'node:readline'
import { styleText } from 'node:util'

type Format = Parameters<typeof styleText>[0]

export class Screen {
  readonly #stream: NodeJS.WriteStream
  #live: readonly string[] = []

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  get isLive(): boolean {
    return this.#stream.isTTY === true
  }

  /** Where they are seen and wanted: the stream knows of NO_COLOR and TERM=dumb. */
  get hasColors(): boolean {
    return this.isLive && this.#stream.hasColors()
  }

  style(format: Format, text: string): string {
    return this.hasColors ? styleText(format, text) : text
  }

  print(text = ''): void {
    const live = this.#live
    this.draw([])
    this.#stream.write(`${text}\n`)
    this.draw(live)
  }

  /** Replaces the lines at the bottom. */
  draw(lines: readonly string[]): void {
    if (!this.isLive) return
    if (this.#live.length > 0) {
      moveCursor(this.#stream, -this.#stream.columns, -this.#live.length)
      this.#stream.write('\u001b[J')
    }
    this.#live = lines
    for (const line of lines) this.#stream.write(`${line}\n`)
  }
}
