/**
 * Why: every secret outside the databases is protected by the same primitive, so its traps (tag length, nonce, what
 * a failed check leaves behind) are dealt with once.
 *
 * AES-256-GCM as in NIST SP 800-38D with a 96-bit random nonce (section 8.2.2) and a 128-bit tag. Random nonces
 * allow 2^32 encryptions under one key; every key here stays far below that.
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'

/** Bytes of a nonce. */
export const NONCE_BYTES = 12

/** Bytes of an authentication tag. */
export const TAG_BYTES = 16

/** One encrypted message: nonce 12 bytes, tag 16 bytes, ciphertext as long as the plaintext. */
export interface Encrypted {
  readonly nonce: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

/** Encrypts `plaintext` under a 32-byte key and a fresh random nonce, bound to `associatedData`. */
export function encrypt(key: Uint8Array, plaintext: Uint8Array, associatedData: Uint8Array): Encrypted {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData)
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return { nonce, ciphertext, tag: cipher.getAuthTag() }
}

/**
 * The plaintext in a buffer of its own, or `undefined` when the message, the associated data or the 32-byte key is
 * not the one it was encrypted with.
 */
export function decrypt(key: Uint8Array, message: Encrypted, associatedData: Uint8Array): Buffer | undefined {
  if (message.nonce.length !== NONCE_BYTES || message.tag.length !== TAG_BYTES) return undefined
  const decipher = createDecipheriv(ALGORITHM, key, message.nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData)
  decipher.setAuthTag(message.tag)
  // GCM is a stream: `update` returns all of the plaintext and `final` only checks the tag. Joining the two with
  // `Buffer.concat` would leave a copy of a key in Node's shared pool.
  const plaintext = decipher.update(message.ciphertext)
  try {
    decipher.final()
  } catch {
    plaintext.fill(0)
    return undefined
  }
  return plaintext
}
