/** A failure as it is told to a person, or with `--json` to a program: what happened, what to do next, the code. */
import { isStoreError, StoreError, type StoreErrorCode } from '../index.ts'
import { exitCodeOf } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'
import { jsonText, visibleText } from './visible-text.ts'

/** Where the remedy in the message is one for a program, this is the one for a person at the command line. */
const REMEDIES: Partial<Record<StoreErrorCode, string>> = {
  STORE_LOCKED: 'On the command line get, list, sql, export, status and check work meanwhile.',
  RESULT_TOO_LARGE: 'On the command line that is --max-rows.',
}

/** Prints the failure on stderr and returns the exit code. */
export function reportFailure(thrown: unknown, terminal: Terminal): number {
  const error = isStoreError(thrown) ? thrown : unknownFailure(thrown)
  const exitCode = exitCodeOf(error.code)
  process.stderr.write(`${terminal.isJson ? asJson(error, exitCode) : asText(error, terminal)}\n`)
  if (process.env.HOLDFAST_DEBUG === '1' && !terminal.isJson) process.stderr.write(`${stacks(error)}\n`)
  return exitCode
}

/** The text of a foreign error may quote a value; its name and its frames can't. */
function unknownFailure(thrown: unknown): StoreError {
  const name = thrown instanceof Error ? thrown.name : typeof thrown
  return new StoreError(
    'INTERNAL',
    `holdfast met an error it does not know (${name}). Run it again with HOLDFAST_DEBUG=1 and report what it prints.`,
    { cause: thrown },
  )
}

function asText({ message, code }: StoreError, terminal: Terminal): string {
  const remedy = REMEDIES[code]
  const text = remedy === undefined ? message : `${message} ${remedy}`
  const lines = text.split('\n').map(visibleText).join('\n')
  return `${terminal.styleError('red', 'holdfast:')} ${lines} ${terminal.styleError('dim', `(${code})`)}`
}

function asJson({ code, message, details, stack }: StoreError, exitCode: number): string {
  const debug = process.env.HOLDFAST_DEBUG === '1' ? { stack } : {}
  return jsonText({ error: { code, message, details, exitCode, ...debug } })
}

function stacks(error: Error): string {
  const own = error.stack ?? error.message
  return error.cause instanceof Error ? `${own}\ncaused by ${stacks(error.cause)}` : own
}
