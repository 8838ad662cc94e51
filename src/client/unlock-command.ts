/**
 * The key from a program: a KMS or HSM tool that prints it. The program is started as it is named, with its arguments,
 * and no shell in between that could read them another way; what it may take and print is bounded.
 */
import { spawn } from 'node:child_process'
import { StoreError } from '../protocol/store-error.ts'

/** A program, or a program with its arguments; or, when asked for, a line for `/bin/sh`. */
export type UnlockCommand = string | readonly string[] | { readonly shell: string }

const TIMEOUT_MS = 30_000
/** Far above any key. */
const MAX_BYTES = 4_096

/**
 * What the program prints, without the line break at its end; the caller zeroes it. It has to be text, such as base64:
 * a password is text, too.
 *
 * @throws StoreError `UNLOCK_COMMAND_FAILED` when the program can't be started, fails, takes longer than 30 s, or prints
 * nothing, too much or no text; nothing of what it printed is repeated
 */
export async function runUnlockCommand(command: UnlockCommand): Promise<Uint8Array> {
  const [program, args, shell] = partsOf(command)
  const { HOLDFAST_PASSWORD: _password, ...env } = process.env
  // A group of its own, so that what it has started ends with it.
  const child = spawn(program, args, { env, shell, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  const end = () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const chunks: Buffer[] = []
  let bytes = 0
  let reason: string | undefined
  const timer = setTimeout(() => {
    reason = `took longer than ${TIMEOUT_MS / 1_000} s`
    end()
  }, TIMEOUT_MS)
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MAX_BYTES) {
      chunks.push(chunk)
      return
    }
    chunk.fill(0)
    reason = `printed more than ${MAX_BYTES} bytes`
    end()
  })
  try {
    const ending = await new Promise<string | undefined>((resolve) => {
      child.on('error', (error: NodeJS.ErrnoException) => resolve(`could not be started (${error.code})`))
      child.on('close', (code, signal) =>
        resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
      )
    })
    reason ??= ending
    if (reason !== undefined) throw failed(reason)
    return keyIn(chunks)
  } finally {
    clearTimeout(timer)
    for (const chunk of chunks) chunk.fill(0)
  }
}

function keyIn(chunks: readonly Buffer[]): Uint8Array {
  const output = Buffer.alloc(chunks.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const chunk of chunks) offset += chunk.copy(output, offset)
  let length = output.length
  if (output[length - 1] === 0x0a) length -= 1
  if (output[length - 1] === 0x0d) length -= 1
  const key = Uint8Array.from(output.subarray(0, length))
  output.fill(0)
  if (length === 0) throw failed('printed nothing')
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(key)
  } catch {
    key.fill(0)
    throw failed('printed bytes that are no text; let it print base64')
  }
  return key
}

function partsOf(command: UnlockCommand): [program: string, args: string[], shell: boolean] {
  if (typeof command === 'string' && command !== '') return [command, [], false]
  if (typeof command === 'object' && 'shell' in command && typeof command.shell === 'string')
    return [command.shell, [], true]
  if (Array.isArray(command) && command.length > 0 && command.every((part) => typeof part === 'string')) {
    const [program, ...args] = command as [string, ...string[]]
    return [program, args, false]
  }
  throw new StoreError(
    'INVALID_ARGUMENT',
    'unlockCommand is a program, an array of a program and its arguments, or { shell } with a line for the shell.',
  )
}

function failed(how: string): StoreError {
  return new StoreError(
    'UNLOCK_COMMAND_FAILED',
    `The unlock command ${how}. Run it by hand: it has to print the key, as text, and nothing else.`,
  )
}
