/**
 * The interactive shell of `holdfast sql`, and the same for statements that come through a pipe. With an encrypted file
 * the sqlite3 program no longer helps; this takes its place, for reading. History stays in memory: what one asks for
 * tells what one holds.
 */
import { createInterface, type Interface } from 'node:readline'
import { type DatabaseFile, isStoreError, type Store, StoreError } from '../index.ts'
import { counted } from './counted.ts'
import { reportFailure } from './failure-report.ts'
import type { Interruption } from './interruption.ts'
import { runQuery } from './sql-query.ts'
import { RESULT_MODES, type ResultMode, writeResult } from './sql-result.ts'
import { describeTable, listColumns, listTables } from './sql-schema.ts'
import { SqlStatements } from './sql-statements.ts'
import type { Terminal } from './terminal.ts'

const PROMPT = 'holdfast> '
const CONTINUATION = '     ...> '
const HISTORY_LINES = 1_000
const END_OF_LINE = { ctrl: true, name: 'e' }
const DELETE_TO_START = { ctrl: true, name: 'u' }
const FILES: readonly DatabaseFile[] = ['state', 'market']

const HELP = `Statements end with a semicolon and may span lines; nothing can be changed from here.
  .tables                 collections and tables
  .schema [TABLE]         columns of a table, or of all
  .mode table|json|csv    how results are shown
  .file state|market      which database file to ask
  .help                   this
  .quit                   leave (also Ctrl-D); Ctrl-C drops what you have typed`

export interface SqlShellOptions {
  readonly store: Store
  readonly terminal: Terminal
  readonly interruption: Interruption
  readonly mode: ResultMode
  readonly file: DatabaseFile
  readonly maxRows: number | undefined
}

export class SqlShell {
  readonly #store: Store
  readonly #terminal: Terminal
  readonly #interruption: Interruption
  readonly #maxRows: number | undefined
  readonly #statements = new SqlStatements()
  #mode: ResultMode
  #file: DatabaseFile
  #isInteractive = false

  constructor({ store, terminal, interruption, mode, file, maxRows }: SqlShellOptions) {
    this.#store = store
    this.#terminal = terminal
    this.#interruption = interruption
    this.#maxRows = maxRows
    this.#mode = mode
    this.#file = file
  }

  /** Statements from a pipe or a file, one after the other; the first that fails ends it. */
  async runPiped(): Promise<void> {
    try {
      for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (!(await this.#take(line))) return
      }
      const rest = this.#statements.rest()
      if (rest !== undefined) await this.#run(rest)
    } finally {
      // A pipe that nobody reads any more would still keep the process waiting for its end.
      process.stdin.destroy()
    }
  }

  /** Resolves when the person leaves. Errors are shown and don't end it. */
  async runInteractive(): Promise<void> {
    this.#isInteractive = true
    const names = await this.#names()
    const reader = createInterface({
      input: process.stdin,
      output: this.#terminal.isTerminal ? process.stdout : process.stderr,
      terminal: true,
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string) => complete(line, names),
    })
    const forget = this.#interruption.beforeEnd(() => reader.close())
    this.#terminal.remark(`${this.#store.dir}, read-only. .help for help, .quit to leave.`)
    try {
      await this.#converse(reader)
    } finally {
      forget()
      reader.close()
    }
  }

  async #converse(reader: Interface): Promise<void> {
    const lines: string[] = []
    let isRunning = false
    let isClosed = false
    await new Promise<void>((resolve, reject) => {
      const prompt = () => {
        reader.setPrompt(this.#statements.isPending ? CONTINUATION : PROMPT)
        reader.prompt()
      }
      const runLines = async () => {
        isRunning = true
        for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
          if (!(await this.#takeKindly(line))) return resolve()
        }
        isRunning = false
        if (isClosed) resolve()
        else prompt()
      }
      reader.on('line', (line) => {
        lines.push(line)
        if (!isRunning) runLines().catch(reject)
      })
      reader.on('SIGINT', () => {
        // A query can't be stopped once it runs; what can be stopped is this process, which changes nothing.
        if (isRunning) {
          void this.#interruption.raise('SIGINT')
          return
        }
        const isEmpty = reader.line === '' && !this.#statements.isPending
        this.#statements.clear()
        reader.write(null, END_OF_LINE)
        reader.write(null, DELETE_TO_START)
        process.stderr.write('^C\n')
        if (isEmpty) this.#terminal.remark('.quit or Ctrl-D to leave.')
        prompt()
      })
      reader.on('close', () => {
        isClosed = true
        process.stderr.write('\n')
        if (!isRunning) resolve()
      })
      prompt()
    })
  }

  /** False when the shell is to be left. */
  async #takeKindly(line: string): Promise<boolean> {
    try {
      return await this.#take(line)
    } catch (error) {
      if (!isStoreError(error)) throw error
      this.#statements.clear()
      reportFailure(error, this.#terminal)
      return true
    }
  }

  async #take(line: string): Promise<boolean> {
    if (!this.#statements.isPending && line.trimStart().startsWith('.')) return await this.#command(line.trim())
    for (const statement of this.#statements.push(line)) await this.#run(statement)
    return true
  }

  async #run(statement: string): Promise<void> {
    const startedAt = performance.now()
    const result = await runQuery(this.#store, statement, { file: this.#file, maxRows: this.#maxRows })
    const durationMs = performance.now() - startedAt
    await writeResult(result, this.#mode, this.#terminal)
    if (this.#isInteractive) this.#remarkTime(result.rows.length, durationMs)
  }

  #remarkTime(rows: number, durationMs: number): void {
    const time = durationMs < 1_000 ? `${durationMs.toFixed(1)} ms` : `${(durationMs / 1_000).toFixed(2)} s`
    this.#terminal.remark(`${counted(rows, 'row')} in ${time}`)
  }

  async #command(line: string): Promise<boolean> {
    const [name, argument] = line.split(/\s+/)
    switch (name) {
      case '.quit':
      case '.exit':
        return false
      case '.help':
        await this.#terminal.writeLine(HELP)
        return true
      case '.tables':
        await this.#terminal.writeLine((await listTables(this.#store, this.#file)).join('\n'))
        return true
      case '.schema':
        await this.#schema(argument)
        return true
      case '.mode':
        this.#mode = oneOf(RESULT_MODES, argument, name)
        return true
      case '.file':
        this.#file = oneOf(FILES, argument, name)
        return true
      default:
        throw new StoreError('INVALID_ARGUMENT', `There is no command ${name}. See .help.`)
    }
  }

  async #schema(table: string | undefined): Promise<void> {
    if (table !== undefined) {
      await writeResult(await describeTable(this.#store, table, this.#file), this.#mode, this.#terminal)
      return
    }
    for (const name of await listTables(this.#store, this.#file)) {
      const columns = await listColumns(this.#store, name, this.#file)
      await this.#terminal.writeLine(`${this.#terminal.style('bold', name)} (${columns.join(', ')})`)
    }
  }

  /** What the Tab key knows. */
  async #names(): Promise<string[]> {
    const names = new Set<string>()
    for (const file of FILES) {
      for (const table of await listTables(this.#store, file)) {
        names.add(table)
        for (const column of await listColumns(this.#store, table, file)) names.add(column)
      }
    }
    return [...names].sort()
  }
}

function complete(line: string, names: readonly string[]): [string[], string] {
  const word = /[.\w]*$/.exec(line)?.[0] ?? ''
  const commands = ['.tables', '.schema', '.mode', '.file', '.help', '.quit']
  const known = line.startsWith('.') && !line.includes(' ') ? commands : names
  return [word === '' ? [] : known.filter((name) => name.startsWith(word)), word]
}

function oneOf<T extends string>(values: readonly T[], value: string | undefined, command: string): T {
  const found = values.find((each) => each === value)
  if (found !== undefined) return found
  throw new StoreError('INVALID_ARGUMENT', `${command} takes ${values.join(' or ')}.`)
}
