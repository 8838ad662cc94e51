/** A password out of the file that an option or a variable names. */
import { readFile } from 'node:fs/promises'
import { StoreError } from '../index.ts'

/**
 * One line break at its end is not part of it, as in `HOLDFAST_PASSWORD_FILE`. The caller zeroes it. `namedBy` is the
 * option or variable to check when there is no such file.
 *
 * @throws StoreError `PASSWORD_MISSING`
 */
export async function readPasswordFile(path: string, namedBy: string): Promise<Uint8Array> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new StoreError('PASSWORD_MISSING', `The file ${path} can't be read. Check ${namedBy}.`, {
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
