/** The two copies of the keyring, looked at from outside: there, lost, alike? What is in them is for the store to judge. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const COPIES = ['keyring.json', 'keyring.backup.json'] as const

export interface KeyringCopies {
  readonly present: readonly string[]
  readonly missing: readonly string[]
  /** False when two copies are there and differ: the owner writes the damaged or older one anew when it opens. */
  readonly areAlike: boolean
}

export async function keyringCopies(dir: string): Promise<KeyringCopies> {
  const texts = await Promise.all(COPIES.map((name) => readFile(join(dir, name), 'utf8').catch(() => undefined)))
  return {
    present: COPIES.filter((_, index) => texts[index] !== undefined),
    missing: COPIES.filter((_, index) => texts[index] === undefined),
    areAlike: new Set(texts.filter((text) => text !== undefined)).size <= 1,
  }
}
