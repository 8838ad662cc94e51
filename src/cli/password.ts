/**
 * Where a command gets the password from: `--password-file`, the environment, or the terminal. Never from an argument,
 * which every process of the machine can read and the shell keeps in its history.
 */
import { access, constants } from 'node:fs/promises'
import { StoreError } from '../index.ts'
import { HiddenPrompt } from './hidden-prompt.ts'
import type { Session } from './session.ts'

const ATTEMPTS = 3

/** @throws StoreError `INVALID_ARGUMENT` for an attempt to pass a password as an argument; it is not repeated. */
export function refusePasswordArgument(argv: readonly string[]): void {
  for (const argument of argv) {
    if (argument === '--') return
    if (argument === '--password' || argument.startsWith('--password=')) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'A password is never taken from an argument: every process can read it there, and the shell keeps it. Use --password-file, HOLDFAST_PASSWORD or HOLDFAST_PASSWORD_FILE, or wait to be asked. Consider the one you have typed as known.',
      )
    }
  }
}

/**
 * The password, for the caller to zero, or undefined when `openStore` finds it in the environment.
 *
 * @throws StoreError `PASSWORD_MISSING`
 */
export async function findPassword(session: Session, purpose: 'open' | 'create'): Promise<Uint8Array | undefined> {
  const { passwordFile } = session.options
  if (passwordFile !== undefined) await passOn(passwordFile)
  if (process.env.HOLDFAST_PASSWORD || process.env.HOLDFAST_PASSWORD_FILE) return undefined
  const prompt = HiddenPrompt.open(session.interruption)
  if (prompt === undefined) {
    throw new StoreError(
      'PASSWORD_MISSING',
      'No password given, and no terminal to ask on. Set HOLDFAST_PASSWORD, or name a file that holds it with --password-file or HOLDFAST_PASSWORD_FILE.',
    )
  }
  try {
    return purpose === 'open' ? await askOnce(prompt, session) : await askTwice(prompt)
  } finally {
    prompt.close()
  }
}

/** The option outranks the environment; reading the file stays with `openStore`, so there is one rule for its content. */
async function passOn(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK)
  } catch (cause) {
    throw new StoreError('PASSWORD_MISSING', `The password file ${path} can't be read. Check --password-file.`, {
      details: { path },
      cause,
    })
  }
  delete process.env.HOLDFAST_PASSWORD
  process.env.HOLDFAST_PASSWORD_FILE = path
}

async function askOnce(prompt: HiddenPrompt, { options }: Session): Promise<Uint8Array> {
  return given(await prompt.ask(`Password of ${options.dir}: `))
}

export async function askTwice(prompt: HiddenPrompt): Promise<Uint8Array> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const first = given(await prompt.ask('New password (12 characters at least, 20 advised): '))
    const second = given(await prompt.ask('The same once more: '))
    const areEqual = Buffer.from(first.buffer).equals(second)
    second.fill(0)
    if (areEqual) return first
    first.fill(0)
    prompt.say('They differ.\n')
  }
  throw new StoreError('PASSWORD_MISSING', 'The two passwords differed each time. Nothing was created; try again.')
}

function given(typed: Uint8Array | undefined): Uint8Array {
  if (typed !== undefined && typed.length > 0) return typed
  throw new StoreError('PASSWORD_MISSING', 'No password was typed. Nothing was opened.')
}
