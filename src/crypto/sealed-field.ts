/**
 * Why: some fields, such as a wallet's private key, should not lie in clear in the memory of everybody who reads the
 * row. They are encrypted a second time under the sealing key and opened only where they are used.
 */

import { StoreError } from '../protocol/store-error.ts'
import { decrypt, type Encrypted, encrypt, NONCE_BYTES, TAG_BYTES } from './aes-256-gcm.ts'
import { canonicalJson } from './canonical-json.ts'
import { zero } from './zero.ts'

/** Where a sealed value lives. It opens nowhere else, so copying it to another row or field is noticed. */
export interface SealedFieldContext {
  readonly collection: string
  /** The document's key. */
  readonly key: string
  readonly field: string
}

const PREFIX = 'hf1'
const TOKEN = /^hf1\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/

/**
 * Seals one text value with AES-256-GCM (NIST SP 800-38D) under the sealing key, with the context as associated data.
 *
 * @param sealingKey 32 bytes
 * @returns `hf1.<nonce>.<ciphertext and tag>`, both parts base64url without padding (RFC 4648 section 5)
 * @throws StoreError INVALID_ARGUMENT when the text has a lone surrogate, which UTF-8 cannot carry
 */
export function sealField(sealingKey: Uint8Array, plaintext: string, context: SealedFieldContext): string {
  if (/\p{Surrogate}/u.test(plaintext)) {
    throw new StoreError('INVALID_ARGUMENT', 'A sealed field must be well-formed Unicode text.', {
      details: { collection: context.collection, field: context.field },
    })
  }
  const bytes = new TextEncoder().encode(plaintext)
  try {
    const { nonce, ciphertext, tag } = encrypt(sealingKey, bytes, contextData(context))
    return `${PREFIX}.${nonce.toString('base64url')}.${Buffer.concat([ciphertext, tag]).toString('base64url')}`
  } finally {
    zero(bytes)
  }
}

/**
 * The text that `sealField` sealed under this key in this context.
 *
 * @throws StoreError STORE_CORRUPT when the token is damaged, was sealed under another key, or was moved here from
 * another collection, document or field
 */
export function openSealedField(sealingKey: Uint8Array, sealed: string, context: SealedFieldContext): string {
  const message = parseToken(sealed)
  const plaintext = message && decrypt(sealingKey, message, contextData(context))
  if (plaintext === undefined) {
    throw new StoreError(
      'STORE_CORRUPT',
      `A sealed value in field "${context.field}" of collection "${context.collection}" does not open: it is damaged ` +
        'or was written for another document. Restore the document from a backup.',
      { details: { collection: context.collection, field: context.field } },
    )
  }
  try {
    return plaintext.toString('utf8')
  } finally {
    zero(plaintext)
  }
}

/** True for text of the form that `sealField` returns; says nothing about whether it opens. */
export function isSealedField(text: string): boolean {
  return parseToken(text) !== undefined
}

function parseToken(text: string): Encrypted | undefined {
  const [, nonceText, bodyText] = TOKEN.exec(text) ?? []
  if (nonceText === undefined || bodyText === undefined) return undefined
  const nonce = Buffer.from(nonceText, 'base64url')
  const body = Buffer.from(bodyText, 'base64url')
  if (nonce.length !== NONCE_BYTES || body.toString('base64url') !== bodyText) return undefined
  return { nonce, ciphertext: body.subarray(0, -TAG_BYTES), tag: body.subarray(-TAG_BYTES) }
}

function contextData(context: SealedFieldContext): Buffer {
  return canonicalJson({
    format: PREFIX,
    collection: context.collection,
    key: context.key,
    field: context.field,
  })
}
