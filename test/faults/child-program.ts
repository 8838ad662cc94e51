/** A program of this folder in a process of its own, watched line by line. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { programPath } from './compiled-store.ts'

export interface ProgramOptions {
  readonly arguments: unknown
  readonly environment?: Readonly<Record<string, string>>
  /** A command that runs the program, such as strace with its options. */
  readonly under?: readonly string[]
  /** After which it is killed; default a minute. */
  readonly lifetimeMs?: number
}

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const MAX_LIFETIME_MS = 60_000

export class ChildProgram {
  readonly lines: string[] = []
  readonly ended: Promise<Ending>
  readonly #child: ChildProcess
  readonly #waiting: { readonly about: string | RegExp; readonly resolve: (line: string | undefined) => void }[] = []
  #errorText = ''

  private constructor(child: ChildProcess, lifetimeMs: number) {
    this.#child = child
    const timer = setTimeout(() => this.kill('SIGKILL'), lifetimeMs)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorText += text
    })
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    lines.on('line', (line) => this.#take(line))
    const closed = new Promise((resolve) => lines.once('close', resolve))
    const exited = new Promise<Ending>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.ended = exited.then(async (ending) => {
      clearTimeout(timer)
      await closed
      return ending
    })
    onTestFinished(() => {
      if (child.exitCode === null && child.signalCode === null) this.kill('SIGKILL')
    })
  }

  static start(name: string, options: ProgramOptions): ChildProgram {
    const { arguments: given, environment = {}, under = [], lifetimeMs = MAX_LIFETIME_MS } = options
    const [command, ...args] = [...under, process.execPath, programPath(name), JSON.stringify(given)]
    const { PATH = '', HOME = '', TMPDIR } = process.env
    const env = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...environment }
    return new ChildProgram(spawn(command as string, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }), lifetimeMs)
  }

  /** What the program wrote to its standard error. */
  get errorText(): string {
    return this.#errorText
  }

  /** The process id, as the program reported it: under strace that is not the child's. */
  get pid(): number {
    const line = this.lines.find((each) => each.startsWith('pid '))
    return line === undefined ? (this.#child.pid as number) : Number(line.slice(4))
  }

  /** Resolves to the first line that begins with a word or matches; undefined when the program ended without one. */
  async line(about: string | RegExp): Promise<string | undefined> {
    const known = this.lines.find((line) => isAbout(line, about))
    if (known !== undefined) return known
    return await new Promise((resolve) => {
      this.#waiting.push({ about, resolve })
      void this.ended.then(() => resolve(undefined))
    })
  }

  kill(signal: NodeJS.Signals): void {
    try {
      process.kill(this.pid, signal)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ESRCH') throw error
    }
  }

  #take(line: string): void {
    this.lines.push(line)
    for (const waiter of this.#waiting.filter(({ about }) => isAbout(line, about))) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
      waiter.resolve(line)
    }
  }
}

function isAbout(line: string, about: string | RegExp): boolean {
  return typeof about === 'string' ? line === about || line.startsWith(`${about} `) : about.test(line)
}
