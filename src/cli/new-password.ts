/** The password that is to be, from its own two variables or the terminal; never from an argument. */
import { readFile } from 'node:fs/promises'
import { StoreError } from '../index.ts'
import { HiddenPrompt } from './hidden-prompt.ts'
import { askTwice } from './password.ts'
import type { Session } from './session.ts'

/**
 * From `HOLDFAST_NEW_PASSWORD`, else the file that `HOLDFAST_NEW_PASSWORD_FILE` names, else asked for twice. The caller
 * zeroes it.
 *
 * @throws StoreError `PASSWORD_MISSING`
 */
export async function findNewPassword(session: Session): Promise<Uint8Array> {
  const given = process.env.HOLDFAST_NEW_PASSWORD
  delete process.env.HOLDFAST_NEW_PASSWORD
  if (given) return new TextEncoder().encode(given)
  const file = process.env.HOLDFAST_NEW_PASSWORD_FILE
  if (file) return await fromFile(file)
  const prompt = HiddenPrompt.open(session.interruption)
  if (prompt === undefined) {
    throw new StoreError(
      'PASSWORD_MISSING',
      'No new password given, and no terminal to ask on. Set HOLDFAST_NEW_PASSWORD, or HOLDFAST_NEW_PASSWORD_FILE to a file that holds it.',
    )
  }
  try {
    return await askTwice(prompt)
  } finally {
    prompt.close()
  }
}

/** One line break at its end is not part of it, as in `HOLDFAST_PASSWORD_FILE`. */
async function fromFile(path: string): Promise<Uint8Array> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new StoreError('PASSWORD_MISSING', `The file ${path} can't be read. Check HOLDFAST_NEW_PASSWORD_FILE.`, {
      details: { path },
      cause,
    })
  }
  let end = bytes.length
  if (bytes[end - 1] === 0x0a) end -= 1
  if (bytes[end - 1] === 0x0d) end -= 1
  const password = Uint8Array.from(bytes.subarray(0, end))
  bytes.fill(0)
  return password
}
