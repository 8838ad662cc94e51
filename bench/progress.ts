/** One line on standard error that says what is being measured: rewritten on a terminal, written once a step elsewhere. */
export class Progress {
  readonly #total: number
  readonly #start = Date.now()
  #done = 0

  constructor(total: number) {
    this.#total = total
  }

  show(what: string): void {
    const seconds = Math.round((Date.now() - this.#start) / 1000)
    const line = `[${++this.#done}/${this.#total}, ${seconds} s] ${what}`
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`)
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}
