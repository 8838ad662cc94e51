/** Sealed bytes in one piece, for a row or a file: nonce (12), ciphertext, tag (16), by AES-256-GCM (NIST SP 800-38D). */
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './aes-256-gcm.ts'

/** @param associatedData what the bytes belong to; opening needs the same */
export function sealBytes(bytes: Uint8Array, key: Uint8Array, associatedData: Uint8Array): Buffer {
  const { nonce, ciphertext, tag } = encrypt(key, bytes, associatedData)
  return Buffer.concat([nonce, ciphertext, tag])
}

/** In a buffer of its own; undefined when it was not sealed under this key for this use. */
export function openBytes(sealed: Uint8Array, key: Uint8Array, associatedData: Uint8Array): Buffer | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length)
  const message = {
    nonce: bytes.subarray(0, NONCE_BYTES),
    ciphertext: bytes.subarray(NONCE_BYTES, -TAG_BYTES),
    tag: bytes.subarray(-TAG_BYTES),
  }
  return decrypt(key, message, associatedData)
}
