/**
 * The alternate screen of a terminal, drawn over and over, and given back as it was however the program ends
 * (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html).
 */
import type { Window } from './top-screen.ts'

/** Alternate screen, no cursor, and lines that are too long are cut by the terminal instead of wrapped. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const TO_END_OF_LINE = '\x1b[K'
const TO_END_OF_SCREEN = '\x1b[J'

/** Ctrl-C and Ctrl-D come as characters while the terminal hands over each key. */
const QUIT = ['q', 'Q', '\x03', '\x04']

export type ScreenEvent = 'quit' | 'resize' | 'timeout'

export class LiveScreen {
  readonly #listeners = new Set<(event: ScreenEvent) => void>()
  #isOpen = false
  #hasQuit = false

  open(): void {
    this.#isOpen = true
    process.stdout.write(ENTER)
    process.stdout.on('resize', this.#onResize)
    // Whatever ends the process without closing the screen.
    process.on('exit', this.#onExit)
    if (!process.stdin.isTTY) return
    process.stdin.setRawMode(true)
    process.stdin.on('data', this.#onKeys)
    process.stdin.resume()
  }

  get window(): Window {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }
  }

  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return
    // Erased before it is written: after a line of full width the cursor stands on its last character.
    const text = lines.map((line) => `${TO_END_OF_LINE}${line}`).join('\n')
    process.stdout.write(`${HOME}${text}${lines.length < this.window.rows ? `\n${TO_END_OF_SCREEN}` : ''}`)
  }

  /** What comes first; a key that was pressed before counts. */
  async next(timeoutMs: number): Promise<ScreenEvent> {
    if (this.#hasQuit) return 'quit'
    return await new Promise((resolve) => {
      const settle = (event: ScreenEvent) => {
        clearTimeout(timer)
        this.#listeners.delete(settle)
        resolve(event)
      }
      const timer = setTimeout(() => settle('timeout'), timeoutMs)
      this.#listeners.add(settle)
    })
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    process.stdout.off('resize', this.#onResize)
    process.off('exit', this.#onExit)
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.#onKeys)
      process.stdin.setRawMode(false)
      process.stdin.pause()
    }
    process.stdout.write(LEAVE)
  }

  readonly #onResize = (): void => this.#tell('resize')

  readonly #onExit = (): void => this.close()

  readonly #onKeys = (keys: Buffer): void => {
    const text = keys.toString('latin1')
    if (!QUIT.some((key) => text.includes(key))) return
    this.#hasQuit = true
    this.#tell('quit')
  }

  #tell(event: ScreenEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}
