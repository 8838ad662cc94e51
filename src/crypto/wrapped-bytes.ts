/** A wrapped key as bytes for a database row: nonce (12), ciphertext, tag (16), by AES-256-GCM (NIST SP 800-38D). */
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './aes-256-gcm.ts'

/** @param associatedData what the key belongs to; unwrapping needs the same bytes */
export function wrapToBytes(key: Uint8Array, wrappingKey: Uint8Array, associatedData: Uint8Array): Buffer {
  const { nonce, ciphertext, tag } = encrypt(wrappingKey, key, associatedData)
  return Buffer.concat([nonce, ciphertext, tag])
}

/** Undefined when it was not wrapped under this key for this use. */
export function unwrapBytes(
  wrapped: Uint8Array,
  wrappingKey: Uint8Array,
  associatedData: Uint8Array,
): Buffer | undefined {
  if (wrapped.length < NONCE_BYTES + TAG_BYTES) return undefined
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length)
  const message = {
    nonce: bytes.subarray(0, NONCE_BYTES),
    ciphertext: bytes.subarray(NONCE_BYTES, -TAG_BYTES),
    tag: bytes.subarray(-TAG_BYTES),
  }
  return decrypt(wrappingKey, message, associatedData)
}
