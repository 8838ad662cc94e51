/**
 * The two streams a command talks to. Results go to stdout and are awaited, so that a slow reader slows us down instead
 * of filling memory and a closed one ends the command; remarks go to stderr, as JSON lines when `--json` is given.
 */
import { styleText } from 'node:util'
import { fileError } from './file-error.ts'
import { OutputClosed } from './output-closed.ts'
import { jsonText, visibleText } from './visible-text.ts'

type Style = Parameters<typeof styleText>[0]

const MIN_WIDTH = 20

export class Terminal {
  readonly isJson: boolean

  constructor(isJson: boolean) {
    this.isJson = isJson
    // Without a listener a closed pipe would be an uncaught exception; `write` reports it to whom it concerns.
    process.stdout.on('error', () => undefined)
    process.stderr.on('error', () => undefined)
  }

  get isTerminal(): boolean {
    return process.stdout.isTTY === true
  }

  /** Columns that fit; undefined when nobody looks at it through a window. */
  get width(): number | undefined {
    return this.isTerminal ? Math.max(process.stdout.columns || 80, MIN_WIDTH) : undefined
  }

  /** @throws OutputClosed when the reader has gone; StoreError when the output is a file that can't be written. */
  async write(text: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(text, (error) => {
        if (error === null || error === undefined) resolve()
        else reject(isClosedPipe(error) ? new OutputClosed() : fileError(error, 'standard output', 'written'))
      })
    })
  }

  async writeLine(text = ''): Promise<void> {
    await this.write(`${text}\n`)
  }

  async writeJson(value: unknown): Promise<void> {
    await this.writeLine(jsonText(value))
  }

  /** Something to act on, though the command goes on. */
  warn(text: string): void {
    const line = this.isJson
      ? jsonText({ warning: text })
      : `${this.styleError('yellow', 'warning:')} ${visibleText(text)}`
    process.stderr.write(`${line}\n`)
  }

  /** Something to know about the result. */
  notice(text: string): void {
    if (!this.isJson) process.stderr.write(`${this.styleError('dim', text)}\n`)
  }

  /** A remark for who sits at the terminal; a log or a mail of cron can do without. */
  remark(text: string): void {
    if (process.stderr.isTTY) this.notice(text)
  }

  /** Colours only where they are seen and wanted: `hasColors` knows of NO_COLOR and TERM=dumb. */
  style(style: Style, text: string): string {
    return hasColors(process.stdout) ? styleText(style, text) : text
  }

  styleError(style: Style, text: string): string {
    return hasColors(process.stderr) ? styleText(style, text) : text
  }
}

function hasColors(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && stream.hasColors()
}

function isClosedPipe(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED'
}
