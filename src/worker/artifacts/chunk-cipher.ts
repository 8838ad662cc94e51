/**
 * What happens to the bytes of a chunk: its address, by which the same content is found again, and its seal (AES-256-GCM,
 * NIST SP 800-38D) under a random key of its own, so that it can be shredded by itself. Both are quick beside the copies
 * that a hand-over to libuv's pool costs, and are made on the worker's thread (docs/decisions/0019).
 *
 * An address is HMAC-SHA-256 of the content under a secret key (RFC 2104): nobody else can tell whether some content is
 * there.
 *
 * A sealed chunk is `HFA1`, nonce (12 bytes), ciphertext, tag (16 bytes). Name of the file and address are associated
 * data: it opens under no other name. In its row the key is wrapped, so that SQL, which anyone with the API can write,
 * shows none.
 */
import { createCipheriv, createDecipheriv, createHmac, type DecipherGCM, randomBytes } from 'node:crypto'
import { NONCE_BYTES, TAG_BYTES } from '../../crypto/aes-256-gcm.ts'
import { openBytes, sealBytes } from '../../crypto/sealed-bytes.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { zero } from '../../crypto/zero.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { Chunk } from './content-chunker.ts'

const MAGIC = Buffer.from('HFA1')
const HEADER_BYTES = MAGIC.length + NONCE_BYTES
const KEY_BYTES = 32
const ALGORITHM = 'aes-256-gcm'
export const FILE_NAME_BYTES = 16

/** What a sealed chunk has beyond its content. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES

export interface ChunkName {
  /** 16 random bytes. */
  readonly file: Uint8Array
  readonly address: Uint8Array
}

export class ChunkCipher {
  readonly #wrappingKey: Buffer
  readonly #addressKey: Buffer
  readonly gearKey: Buffer

  /** @param sealingKey random, one a store, and the same through every change of password and data key */
  constructor(sealingKey: Uint8Array, storeId: string) {
    this.#wrappingKey = deriveSubKey(sealingKey, storeId, 'artifact-wrap')
    this.#addressKey = deriveSubKey(sealingKey, storeId, 'artifact-address')
    this.gearKey = deriveSubKey(sealingKey, storeId, 'artifact-gear')
  }

  address({ pieces }: Chunk): Buffer {
    const hmac = createHmac('sha256', this.#addressKey)
    for (const piece of pieces) hmac.update(piece)
    return hmac.digest()
  }

  /** Fills the beginning of `into`, which takes SEAL_BYTES more than the content. @returns the wrapped key */
  seal(content: Chunk, name: ChunkName, into: Buffer): Buffer {
    const key = randomBytes(KEY_BYTES)
    try {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(associatedData(name))
      into.set(MAGIC)
      into.set(nonce, MAGIC.length)
      let at = HEADER_BYTES
      for (const piece of content.pieces) {
        into.set(cipher.update(piece), at)
        at += piece.length
      }
      cipher.final()
      into.set(cipher.getAuthTag(), at)
      return sealBytes(key, this.#wrappingKey, associatedData(name))
    } finally {
      zero(key)
    }
  }

  /** The content in a buffer of its own; undefined when it is not what was sealed under this name. */
  open(sealed: Buffer, wrappedKey: Uint8Array, name: ChunkName): Buffer | undefined {
    if (sealed.length < SEAL_BYTES || !MAGIC.equals(sealed.subarray(0, MAGIC.length))) return undefined
    const key = this.#unwrap(wrappedKey, name)
    try {
      const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(MAGIC.length, HEADER_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(associatedData(name))
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      const content = decipher.update(sealed.subarray(HEADER_BYTES, -TAG_BYTES))
      return isAuthentic(decipher) ? content : undefined
    } finally {
      zero(key)
    }
  }

  #unwrap(wrapped: Uint8Array, name: ChunkName): Buffer {
    const key = openBytes(wrapped, this.#wrappingKey, associatedData(name))
    if (key !== undefined) return key
    throw new StoreError('STORE_CORRUPT', 'The key of an artifact chunk does not open. Restore a backup of the store.')
  }

  zero(): void {
    zero(this.#wrappingKey, this.#addressKey, this.gearKey)
  }
}

/** Nothing that was deciphered is of use before this. */
function isAuthentic(decipher: DecipherGCM): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}

function associatedData({ file, address }: ChunkName): Buffer {
  return Buffer.concat([MAGIC, file, address])
}
