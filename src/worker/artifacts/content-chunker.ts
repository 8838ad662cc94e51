/**
 * Cuts content into chunks where its own bytes say so, so that two contents which share a part share its chunks: with the
 * gear hash of FastCDC (Xia et al., USENIX ATC 2016), and with its skipping of the least size, below which nothing is
 * hashed. The gear table is secret, one a store: who sees only the sizes of sealed chunks can't compare them with what
 * some known content would be cut into. Sizes, and why there is one mask and not two: docs/decisions/0019.
 */
import { createCipheriv } from 'node:crypto'

export const MIN_CHUNK_BYTES = 512 * 1024
export const MAX_CHUNK_BYTES = 2 * 1024 * 1024

/** Zero at one byte in 2^19: chunks have a mebibyte on average. The upper bits of the hash know of the most bytes. */
const CUT_MASK = 0xffff_e000 | 0

const GEARS = 256

/** 256 random words: AES-256-CTR of zeros under `key` (NIST SP 800-38A). */
export function gearTable(key: Uint8Array): Int32Array {
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const bytes = stream.update(Buffer.alloc(GEARS * Int32Array.BYTES_PER_ELEMENT))
  const table = new Int32Array(GEARS)
  for (let index = 0; index < GEARS; index++) table[index] = bytes.readInt32LE(index * 4)
  return table
}

export class ContentChunker {
  readonly #gears: Int32Array
  readonly #free: Buffer[] = []
  #chunk: Buffer
  #filled = 0
  #scanned = MIN_CHUNK_BYTES
  #hash = 0

  constructor(gears: Int32Array) {
    this.#gears = gears
    this.#chunk = Buffer.allocUnsafeSlow(MAX_CHUNK_BYTES)
  }

  /**
   * Takes as much of `bytes` as goes into the chunk under way.
   *
   * @returns how many it took, and the chunk if that completed it; it is the caller's until `giveBack`
   */
  push(bytes: Uint8Array): { readonly taken: number; readonly chunk: Buffer | undefined } {
    const before = this.#filled
    const room = Math.min(bytes.length, MAX_CHUNK_BYTES - before)
    this.#chunk.set(room === bytes.length ? bytes : bytes.subarray(0, room), before)
    this.#filled += room
    const end = this.#cut()
    if (end === undefined) return { taken: room, chunk: undefined }
    const chunk = this.#chunk.subarray(0, end)
    this.#begin()
    return { taken: end - before, chunk }
  }

  /** What is left at the end of the content; undefined when it ended with a chunk. */
  rest(): Buffer | undefined {
    if (this.#filled === 0) return undefined
    const chunk = this.#chunk.subarray(0, this.#filled)
    this.#begin()
    return chunk
  }

  /** Lets the memory of a chunk be used for another. */
  giveBack(chunk: Buffer): void {
    this.#free.push(Buffer.from(chunk.buffer))
  }

  #begin(): void {
    this.#chunk = this.#free.pop() ?? Buffer.allocUnsafeSlow(MAX_CHUNK_BYTES)
    this.#filled = 0
    this.#scanned = MIN_CHUNK_BYTES
    this.#hash = 0
  }

  /** Where the chunk under way ends, if it does within what is there. */
  #cut(): number | undefined {
    const gears = this.#gears
    const chunk = this.#chunk
    const filled = this.#filled
    let hash = this.#hash
    for (let index = this.#scanned; index < filled; index++) {
      hash = ((hash << 1) + (gears[chunk[index] as number] as number)) | 0
      if ((hash & CUT_MASK) === 0) return index + 1
    }
    this.#hash = hash
    this.#scanned = Math.max(this.#scanned, filled)
    return filled === MAX_CHUNK_BYTES ? MAX_CHUNK_BYTES : undefined
  }
}
