/** Starts a program of the demo as a process of its own. All of them are compiled into one folder. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export type ProgramName = 'bot-process' | 'exchange-process' | 'idle-process'

export class DemoProcess<Message extends { readonly type: string }> {
  readonly #child: ChildProcess
  readonly #exit: Promise<void>
  readonly #name: string
  #errors = ''
  #exitCode: number | null = null

  constructor(name: ProgramName, options: unknown) {
    this.#name = name
    this.#child = fork(fileURLToPath(new URL(`${name}.js`, import.meta.url)), [JSON.stringify(options)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.#exit = once(this.#child, 'exit').then(([code]) => {
      this.#exitCode = code
    })
  }

  /** Returns a function that ends it. */
  on(listener: (message: Message) => void): () => void {
    const untyped = listener as (message: unknown) => void
    this.#child.on('message', untyped)
    return () => this.#child.off('message', untyped)
  }

  /** The next message of a kind; rejects when the process ends before it. */
  next<T extends Message['type']>(type: T): Promise<Extract<Message, { readonly type: T }>> {
    return new Promise((resolve, reject) => {
      const stop = this.on((message) => {
        if (message.type !== type) return
        stop()
        resolve(message as Extract<Message, { readonly type: T }>)
      })
      void this.#exit.then(() => reject(this.failure()))
    })
  }

  send(message: object): void {
    this.#child.send(message)
  }

  /** Resolves when the process has ended, in whatever way. */
  get ended(): Promise<void> {
    return this.#exit
  }

  get isWell(): boolean {
    return this.#exitCode === 0
  }

  failure(): Error {
    const errors = this.#errors.trim()
    return new Error(`${this.#name} ended with ${this.#exitCode}${errors === '' ? '' : `:\n${errors}`}`)
  }

  /** No last words, no handlers: what a crash, an out-of-memory kill or a pulled plug looks like. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}
