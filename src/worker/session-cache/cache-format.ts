/**
 * A cache file: a header and sealed records, appended one by one.
 *
 *   header  32 bytes: magic "HFCACHE1", id of the file (16), generation (u32), zeros (u32)
 *   record  marker (4), sequence (u32), length of the ciphertext (u32), nonce (12), ciphertext, tag (16)
 *
 * Integers are little-endian. A record is sealed with AES-256-GCM (NIST SP 800-38D) under a random nonce, with the header
 * and its own first twelve bytes as associated data, so that it opens only in its place of its file. The key of a
 * generation is HMAC-SHA256 of the file's key over the header: a file is written anew, as another generation, after a few
 * hundred records, so that no key ever sees more than a few hundred random nonces, whatever was torn and written again.
 *
 * Each append is on disk before the next begins. So a process that is killed, or a machine that loses its power, leaves at
 * most one record that is not whole, at the end. What is vouched for (`Vouched`, kept in the database) must be there: less
 * of it is damage. What fails behind it is a torn tail unless a whole record follows: the marker finds it.
 */
import { createHash, createHmac } from 'node:crypto'
import { decrypt, type Encrypted, encrypt, NONCE_BYTES, TAG_BYTES } from '../../crypto/aes-256-gcm.ts'

const MAGIC = Buffer.from('HFCACHE1', 'latin1')
export const FILE_ID_BYTES = 16
export const HEADER_BYTES = MAGIC.length + FILE_ID_BYTES + 8
const MARKER_BYTES = 4
const PREFIX_BYTES = MARKER_BYTES + 8
/** What sealing adds to a payload. */
export const RECORD_OVERHEAD_BYTES = PREFIX_BYTES + NONCE_BYTES + TAG_BYTES

export const CHECKSUM_BYTES = 32

/** What a file is known to have had on disk. */
export interface Vouched {
  readonly generation: number
  readonly records: number
  /** SHA-256 over the checksum of the records before and the tag of this one, from 32 zeros on. */
  readonly checksum: Uint8Array
}

export interface OpenedFile extends Vouched {
  readonly payloads: readonly Buffer[]
  /** Up to the end of the last whole record. */
  readonly bytes: number
}

/** How a file fails: in words for a message. */
export class DamagedFile extends Error {}

/** Seals the records of one generation of one file. */
export class RecordSeal {
  readonly header: Buffer
  readonly #key: Buffer
  readonly #marker: Buffer

  constructor(fileKey: Uint8Array, fileId: Uint8Array, generation: number) {
    this.header = Buffer.alloc(HEADER_BYTES)
    MAGIC.copy(this.header)
    this.header.set(fileId, MAGIC.length)
    this.header.writeUInt32LE(generation, MAGIC.length + FILE_ID_BYTES)
    this.#key = createHmac('sha256', fileKey).update('holdfast/v1/cache-record').update(this.header).digest()
    this.#marker = createHmac('sha256', this.#key).update('marker').digest().subarray(0, MARKER_BYTES)
  }

  seal(sequence: number, payload: Uint8Array): Buffer {
    const prefix = Buffer.alloc(PREFIX_BYTES)
    this.#marker.copy(prefix)
    prefix.writeUInt32LE(sequence, MARKER_BYTES)
    prefix.writeUInt32LE(payload.length, MARKER_BYTES + 4)
    const { nonce, ciphertext, tag } = encrypt(this.#key, payload, Buffer.concat([this.header, prefix]))
    return Buffer.concat([prefix, nonce, ciphertext, tag])
  }

  /** The record that begins at `at`, if it is whole. */
  open(
    file: Buffer,
    at: number,
  ): { readonly sequence: number; readonly payload: Buffer; readonly end: number; readonly tag: Buffer } | undefined {
    if (at + RECORD_OVERHEAD_BYTES > file.length) return undefined
    const prefix = file.subarray(at, at + PREFIX_BYTES)
    if (!prefix.subarray(0, MARKER_BYTES).equals(this.#marker)) return undefined
    const end = at + RECORD_OVERHEAD_BYTES + prefix.readUInt32LE(MARKER_BYTES + 4)
    if (end > file.length) return undefined
    const body = at + PREFIX_BYTES + NONCE_BYTES
    const sealed: Encrypted = {
      nonce: file.subarray(at + PREFIX_BYTES, body),
      ciphertext: file.subarray(body, end - TAG_BYTES),
      tag: file.subarray(end - TAG_BYTES, end),
    }
    const payload = decrypt(this.#key, sealed, Buffer.concat([this.header, prefix]))
    if (payload === undefined) return undefined
    return { sequence: prefix.readUInt32LE(MARKER_BYTES), payload, end, tag: sealed.tag }
  }

  /** True when a whole record of a later place begins anywhere behind `at`. */
  hasRecordBehind(file: Buffer, at: number, sequence: number): boolean {
    for (let next = file.indexOf(this.#marker, at + 1); next !== -1; next = file.indexOf(this.#marker, next + 1)) {
      const found = this.open(file, next)
      if (found !== undefined && found.sequence >= sequence) return true
    }
    return false
  }

  zero(): void {
    this.#key.fill(0)
  }
}

export const FIRST_CHECKSUM: Uint8Array = new Uint8Array(CHECKSUM_BYTES)

export function nextChecksum(checksum: Uint8Array, record: Buffer): Buffer {
  return createHash('sha256').update(checksum).update(record.subarray(-TAG_BYTES)).digest()
}

/**
 * Every whole record of a file, in order.
 *
 * @throws DamagedFile when it is not what was vouched for, or damaged before its end
 */
export function openFile(file: Buffer, fileKey: Uint8Array, fileId: Uint8Array, vouched: Vouched): OpenedFile {
  if (file.length < HEADER_BYTES) throw new DamagedFile('it is cut within its first bytes')
  const generation = file.readUInt32LE(MAGIC.length + FILE_ID_BYTES)
  const seal = new RecordSeal(fileKey, fileId, generation)
  try {
    if (!file.subarray(0, HEADER_BYTES).equals(seal.header))
      throw new DamagedFile('its header is not that of this file')
    if (generation < vouched.generation) throw new DamagedFile('it is an older state of the file')
    // A generation is begun with one record, whole.
    const required = generation === vouched.generation ? vouched.records : 1
    const payloads: Buffer[] = []
    let checksum: Uint8Array = FIRST_CHECKSUM
    let at = HEADER_BYTES
    for (;;) {
      if (generation === vouched.generation && payloads.length === vouched.records) {
        if (!Buffer.from(checksum).equals(vouched.checksum))
          throw new DamagedFile('its records are not those that were written')
      }
      const record = seal.open(file, at)
      if (record === undefined || record.sequence !== payloads.length) break
      checksum = nextChecksum(checksum, file.subarray(at, record.end))
      payloads.push(record.payload)
      at = record.end
    }
    if (payloads.length < required) throw new DamagedFile(`record ${payloads.length + 1} is damaged or missing`)
    if (at < file.length && seal.hasRecordBehind(file, at, payloads.length)) {
      throw new DamagedFile(`record ${payloads.length + 1} is damaged`)
    }
    return { generation, records: payloads.length, checksum, payloads, bytes: at }
  } finally {
    seal.zero()
  }
}
