/**
 * Why: the data key is random and never changes when a password does. It is kept encrypted ("wrapped") under a key
 * that comes from the password, so changing the password rewraps 32 bytes and touches no database.
 */

import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './aes-256-gcm.ts'
import { base64Bytes } from './base64-bytes.ts'

const KEY_BYTES = 32

/** A 32-byte key encrypted with AES-256-GCM: nonce (12 bytes), ciphertext (32) and tag (16), each in base64. */
export const Wrapped = z.strictObject({
  nonce: base64Bytes(NONCE_BYTES),
  ciphertext: base64Bytes(KEY_BYTES),
  tag: base64Bytes(TAG_BYTES),
})
export type Wrapped = z.infer<typeof Wrapped>

/**
 * Wraps a 32-byte key under a 32-byte wrapping key (AES-256-GCM, NIST SP 800-38D, fresh random nonce).
 *
 * @param associatedData what the wrapped key belongs to; unwrapping needs the same bytes
 * @throws StoreError INVALID_ARGUMENT when `key` is not 32 bytes
 */
export function wrapKey(key: Uint8Array, wrappingKey: Uint8Array, associatedData: Uint8Array): Wrapped {
  if (key.length !== KEY_BYTES) {
    throw new StoreError('INVALID_ARGUMENT', `Only a ${KEY_BYTES}-byte key can be wrapped.`, {
      details: { lengthBytes: key.length },
    })
  }
  const { nonce, ciphertext, tag } = encrypt(wrappingKey, key, associatedData)
  return {
    nonce: nonce.toString('base64'),
    ciphertext: ciphertext.toString('base64'),
    tag: tag.toString('base64'),
  }
}

/**
 * The wrapped 32-byte key, or `undefined` when the wrapping key, the associated data or the wrapped bytes are not
 * those it was wrapped with. The caller knows which of these it means and picks the error code.
 */
export function unwrapKey(wrapped: Wrapped, wrappingKey: Uint8Array, associatedData: Uint8Array): Buffer | undefined {
  const nonce = Buffer.from(wrapped.nonce, 'base64')
  const ciphertext = Buffer.from(wrapped.ciphertext, 'base64')
  const tag = Buffer.from(wrapped.tag, 'base64')
  if (ciphertext.length !== KEY_BYTES) return undefined
  return decrypt(wrappingKey, { nonce, ciphertext, tag }, associatedData)
}
