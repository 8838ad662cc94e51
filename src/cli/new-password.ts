/** The password that is to be, from its own two variables or the terminal; never from an argument. */
import { readPasswordFile, StoreError } from '../index.ts'
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
  if (file) return readPasswordFile(file, 'HOLDFAST_NEW_PASSWORD_FILE')
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
