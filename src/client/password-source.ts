/** Where the password comes from: the option, `HOLDFAST_PASSWORD`, or the file `HOLDFAST_PASSWORD_FILE` names. */
import { readFileSync } from 'node:fs'
import { StoreError } from '../protocol/store-error.ts'

export const PASSWORD_VARIABLE = 'HOLDFAST_PASSWORD'
export const PASSWORD_FILE_VARIABLE = 'HOLDFAST_PASSWORD_FILE'

/**
 * The password as UTF-8 bytes; the caller zeroes them. Read once, before the store opens.
 *
 * @throws StoreError `PASSWORD_MISSING`
 */
export function readPassword(option: string | Uint8Array | undefined): Uint8Array {
  const password = option ?? passwordVariable() ?? namedPasswordFile()
  if (password === undefined || password.length === 0) {
    throw new StoreError(
      'PASSWORD_MISSING',
      `No password given. Set ${PASSWORD_VARIABLE}, or ${PASSWORD_FILE_VARIABLE} to a file that holds it, or pass it to openStore.`,
    )
  }
  return typeof password === 'string' ? new TextEncoder().encode(password) : Uint8Array.from(password)
}

/** An empty variable counts as none: that is how some supervisors unset one. */
function passwordVariable(): string | undefined {
  return process.env[PASSWORD_VARIABLE] || undefined
}

/** Takes the password out of the environment, where child processes and crash reports would find it. */
export function forgetPasswordVariable(): void {
  delete process.env[PASSWORD_VARIABLE]
}

function namedPasswordFile(): Uint8Array | undefined {
  const path = process.env[PASSWORD_FILE_VARIABLE]
  return path === undefined || path === '' ? undefined : readPasswordFile(path, PASSWORD_FILE_VARIABLE)
}

/**
 * A password out of a file; one line break at its end is not part of it. The caller zeroes it.
 *
 * @param namedBy the option or variable to check when there is no such file
 * @throws StoreError `PASSWORD_MISSING`
 *
 * @example await store.keys.rotatePassword(readPasswordFile('/run/secrets/next', 'the secret "next"'))
 */
export function readPasswordFile(path: string, namedBy: string): Uint8Array {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw new StoreError('PASSWORD_MISSING', `The password file ${path} can't be read. Check ${namedBy}.`, {
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
