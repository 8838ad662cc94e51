/**
 * Asks for a password on the terminal without showing it. It talks to the controlling terminal, not to stdin and stdout,
 * which may be a document and a pipe. What is typed is kept as bytes and never becomes a string, because a string can't
 * be overwritten.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import type { Interruption } from './interruption.ts'

const CONTROLLING_TERMINAL = '/dev/tty'

const KEY = Object.freeze({
  interrupt: 0x03,
  endOfInput: 0x04,
  backspace: 0x08,
  newline: 0x0a,
  enter: 0x0d,
  clear: 0x15,
  escape: 0x1b,
  delete: 0x7f,
})

export class HiddenPrompt {
  readonly #input: ReadStream
  readonly #output: number
  readonly #interruption: Interruption
  readonly #forget: () => void
  /** Typed before it was asked for. */
  #ahead: Buffer = Buffer.alloc(0)

  private constructor(input: ReadStream, output: number, interruption: Interruption) {
    this.#input = input
    this.#output = output
    this.#interruption = interruption
    this.#forget = interruption.beforeEnd(() => this.#release())
    input.setRawMode(true)
  }

  /** Undefined when the process has no terminal. */
  static open(interruption: Interruption): HiddenPrompt | undefined {
    let output: number | undefined
    try {
      output = openSync(CONTROLLING_TERMINAL, 'w')
      return new HiddenPrompt(new ReadStream(openSync(CONTROLLING_TERMINAL, 'r')), output, interruption)
    } catch {
      if (output !== undefined) closeSync(output)
      return undefined
    }
  }

  /** What was typed, for the caller to zero; undefined when the person gave up with Ctrl-D. */
  async ask(question: string): Promise<Uint8Array | undefined> {
    this.say(question)
    const line = new TypedLine()
    try {
      while (!line.isEnded) this.#ahead = line.type(this.#ahead.length > 0 ? this.#ahead : await this.#read())
      this.say('\n')
      if (line.ending === 'interrupted') await this.#interruption.raise('SIGINT')
      return line.ending === 'given up' ? undefined : line.take()
    } finally {
      line.clear()
    }
  }

  say(text: string): void {
    writeSync(this.#output, text)
  }

  close(): void {
    this.#forget()
    this.#release()
    this.#input.destroy()
    closeSync(this.#output)
  }

  async #read(): Promise<Buffer> {
    return await new Promise((resolve) => {
      this.#input.once('data', (chunk: Buffer) => {
        this.#input.pause()
        resolve(chunk)
      })
      this.#input.resume()
    })
  }

  #release(): void {
    this.#ahead.fill(0)
    if (!this.#input.destroyed) this.#input.setRawMode(false)
  }
}

/** A line as it is edited: backspace takes back a character, Ctrl-U all of them. */
class TypedLine {
  ending: 'entered' | 'given up' | 'interrupted' | undefined
  #bytes: number[] = []

  get isEnded(): boolean {
    return this.ending !== undefined
  }

  /** Takes a chunk up to the end of the line, zeroes it, and returns a copy of what follows. */
  type(chunk: Buffer): Buffer {
    let index = 0
    for (; index < chunk.length && !this.isEnded; index++) {
      const byte = chunk[index] as number
      if (byte === KEY.enter || byte === KEY.newline) this.ending = 'entered'
      else if (byte === KEY.interrupt) this.ending = 'interrupted'
      else if (byte === KEY.endOfInput && this.#bytes.length === 0) this.ending = 'given up'
      else if (byte === KEY.escape) index = endOfEscapeSequence(chunk, index)
      else if (byte === KEY.backspace || byte === KEY.delete) this.#backspace()
      else if (byte === KEY.clear) this.clear()
      else if (byte >= 0x20) this.#bytes.push(byte)
    }
    const rest = Buffer.from(chunk.subarray(index))
    chunk.fill(0)
    return rest
  }

  take(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }

  clear(): void {
    this.#bytes.fill(0)
    this.#bytes = []
  }

  #backspace(): void {
    let byte = this.#bytes.pop()
    while (byte !== undefined && (byte & 0xc0) === 0x80) byte = this.#bytes.pop()
  }
}

/** An arrow key is no part of a password: `ESC [`, parameters, one final byte. */
function endOfEscapeSequence(chunk: Uint8Array, start: number): number {
  const second = chunk[start + 1]
  if (second !== 0x5b && second !== 0x4f) return start
  let index = start + 2
  while (index < chunk.length && !isFinalByte(chunk[index] as number)) index++
  return index
}

function isFinalByte(byte: number): boolean {
  return byte >= 0x40 && byte <= 0x7e
}
