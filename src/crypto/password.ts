/**
 * Why: the same password can reach the store as different code points (a precomposed or a combined é, a no-break
 * space from a chat window). It is brought to one form in one place before it is turned into bytes, and judged
 * before a store is made with it, because later is too late.
 */

import { StoreError } from '../protocol/store-error.ts'
import { canonicalRecoveryKey, isRecoveryKeyLike } from './recovery-key.ts'

const MINIMUM_CHARACTERS = 12
const ADVISED_CHARACTERS = 20

/**
 * The bytes of a password: the mapping and normalisation of the OpaqueString profile (RFC 8265 section 4.2: every
 * non-ASCII space becomes U+0020, then Unicode NFC; case and width are kept), as UTF-8.
 *
 * What is meant as a recovery key becomes the one form that it is printed in.
 *
 * The buffer is the caller's to zero. The string itself cannot be overwritten: drop every reference to it.
 *
 * @throws StoreError RECOVERY_KEY_MISTYPED for a recovery key that is none
 */
export function passwordBytes(text: string): Uint8Array {
  if (isRecoveryKeyLike(text)) return new TextEncoder().encode(canonicalRecoveryKey(text))
  return new TextEncoder().encode(text.replace(/\p{Space_Separator}/gu, ' ').normalize('NFC'))
}

/**
 * Refuses a password that a store must not be made with: fewer than 12 characters (Unicode code points), or one
 * character over and over.
 *
 * @param password as made by `passwordBytes`
 * @throws StoreError PASSWORD_TOO_WEAK
 */
export function assertPasswordStrength(password: Uint8Array): void {
  // Counted in the bytes, because decoding would make a string that cannot be zeroed: every byte of UTF-8 that is not
  // of the form 10xxxxxx starts a character (RFC 3629).
  const starts = [...password.keys()].filter((index) => !isContinuation(password[index]))
  if (starts.length < MINIMUM_CHARACTERS) {
    throw tooWeak(`The password is too short: it needs at least ${MINIMUM_CHARACTERS} characters`)
  }
  const firstCharacterBytes = starts[1] ?? password.length
  if (password.every((byte, index) => byte === password[index % firstCharacterBytes])) {
    throw tooWeak('The password is one character over and over')
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

function tooWeak(why: string): StoreError {
  return new StoreError('PASSWORD_TOO_WEAK', `${why}; ${ADVISED_CHARACTERS} random characters or more are advised.`, {
    details: { minimumCharacters: MINIMUM_CHARACTERS, advisedCharacters: ADVISED_CHARACTERS },
  })
}
