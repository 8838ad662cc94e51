/** What every command is given: the global options, the terminal and the interruption. */
import type { Interruption } from './interruption.ts'
import type { Terminal } from './terminal.ts'

export interface GlobalOptions {
  readonly dir: string
  readonly json?: boolean
  readonly passwordFile?: string
  readonly unlockCommand?: string
}

export interface Session {
  readonly options: GlobalOptions
  readonly terminal: Terminal
  readonly interruption: Interruption
}
