/**
 * What happens to the bytes of a chunk: its address (HMAC-SHA-256, by which the same content is found again), and its
 * seal (AES-256-GCM, NIST SP 800-38D) under a random key of its own, so that it can be shredded by itself. The address
 * takes longest and is made on libuv's pool, through Web Crypto. Sealing is quick beside the copies that a hand-over to
 * the pool costs: half a millisecond a chunk on the worker's thread (docs/decisions/0019).
 *
 * A file is `HFA1`, nonce (12 bytes), ciphertext, tag (16 bytes). Name and address are associated data: a file opens
 * under no other name. In its row the key is wrapped, so that SQL, which anyone with the API can write, shows none.
 */
import { randomBytes, webcrypto } from 'node:crypto'
import { encrypt, NONCE_BYTES, TAG_BYTES } from '../../crypto/aes-256-gcm.ts'
import { openBytes, sealBytes } from '../../crypto/sealed-bytes.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret, zero } from '../../crypto/zero.ts'
import { StoreError } from '../../protocol/store-error.ts'

const { subtle } = webcrypto
const MAGIC = Buffer.from('HFA1')
const HEADER_BYTES = MAGIC.length + NONCE_BYTES
const KEY_BYTES = 32
export const FILE_NAME_BYTES = 16

/** What a sealed file has beyond its content. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES

export interface ChunkName {
  /** 16 random bytes. */
  readonly file: Uint8Array
  readonly address: Uint8Array
}

export interface SealedChunk {
  /** To be written one after the other. */
  readonly parts: readonly Uint8Array[]
  readonly wrappedKey: Buffer
}

export class ChunkCipher {
  readonly #wrappingKey: Buffer
  readonly #addressKey: webcrypto.CryptoKey
  readonly gearKey: Buffer

  private constructor(wrappingKey: Buffer, addressKey: webcrypto.CryptoKey, gearKey: Buffer) {
    this.#wrappingKey = wrappingKey
    this.#addressKey = addressKey
    this.gearKey = gearKey
  }

  /** @param sealingKey random, one a store, and the same through every change of password and data key */
  static async of(sealingKey: Uint8Array, storeId: string): Promise<ChunkCipher> {
    const addressKey = await withSecret(deriveSubKey(sealingKey, storeId, 'artifact-address'), (key) =>
      subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
    )
    return new ChunkCipher(
      deriveSubKey(sealingKey, storeId, 'artifact-wrap'),
      addressKey,
      deriveSubKey(sealingKey, storeId, 'artifact-gear'),
    )
  }

  async address(content: Uint8Array): Promise<Buffer> {
    return Buffer.from(await subtle.sign('HMAC', this.#addressKey, content))
  }

  seal(content: Uint8Array, name: ChunkName): SealedChunk {
    const key = randomBytes(KEY_BYTES)
    try {
      const { nonce, ciphertext, tag } = encrypt(key, content, associatedData(name))
      return {
        parts: [Buffer.concat([MAGIC, nonce]), ciphertext, tag],
        wrappedKey: sealBytes(key, this.#wrappingKey, associatedData(name)),
      }
    } finally {
      zero(key)
    }
  }

  /** The content in a buffer of its own; undefined when the file is not what was sealed under this name. */
  open(sealed: Uint8Array, wrappedKey: Uint8Array, name: ChunkName): Buffer | undefined {
    if (sealed.length < SEAL_BYTES || !MAGIC.equals(sealed.subarray(0, MAGIC.length))) return undefined
    const key = this.#unwrap(wrappedKey, name)
    try {
      return openBytes(sealed.subarray(MAGIC.length), key, associatedData(name))
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
    zero(this.#wrappingKey, this.gearKey)
  }
}

function associatedData({ file, address }: ChunkName): Buffer {
  return Buffer.concat([MAGIC, file, address])
}
