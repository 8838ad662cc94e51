/**
 * Decompresses an LZ4 frame. Feather files, freqtrade's among them, are Arrow files with LZ4-compressed buffers; apache-arrow wants a
 * decompressor from outside, and Node has none.
 *
 * Formats: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
import { StoreError } from '../../../protocol/store-error.ts'

const MAGIC = 0x184d2204
const HAS_BLOCK_CHECKSUM = 0x10
const HAS_CONTENT_SIZE = 0x08
const HAS_DICTIONARY = 0x01
const UNCOMPRESSED = 0x8000_0000
const MAX_BLOCK_BYTES = 4 * 1024 * 1024
const MIN_MATCH = 4

/** @throws StoreError `INVALID_DOCUMENT` when the bytes are no LZ4 frame, or a damaged one */
export function decompressLz4Frame(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (frame.length < 7 || view.getUint32(0, true) !== MAGIC) throw damaged()
  const flags = view.getUint8(4)
  if (flags >>> 6 !== 1 || (flags & HAS_DICTIONARY) !== 0) throw damaged()
  const output = new Output()
  let at = 6 + ((flags & HAS_CONTENT_SIZE) === 0 ? 0 : 8) + 1
  for (;;) {
    if (at + 4 > frame.length) throw damaged()
    const header = view.getUint32(at, true)
    at += 4
    if (header === 0) return output.finish()
    const size = header & ~UNCOMPRESSED
    if (size > MAX_BLOCK_BYTES || at + size > frame.length) throw damaged()
    const block = frame.subarray(at, at + size)
    if (header >>> 31 === 1) output.append(block)
    else decompressBlock(block, output)
    at += size + ((flags & HAS_BLOCK_CHECKSUM) === 0 ? 0 : 4)
  }
}

function decompressBlock(block: Uint8Array, output: Output): void {
  const blockStart = output.length
  let at = 0
  const lengthOf = (nibble: number): number => {
    let length = nibble
    if (nibble !== 15) return length
    for (;;) {
      const more = block[at++]
      if (more === undefined) throw damaged()
      length += more
      if (more !== 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at++] as number
    const literals = lengthOf(token >>> 4)
    if (at + literals > block.length) throw damaged()
    output.append(block.subarray(at, at + literals))
    at += literals
    if (at === block.length) break
    const offset = (block[at] as number) | ((block[at + 1] ?? 0) << 8)
    at += 2
    const length = lengthOf(token & 15) + MIN_MATCH
    if (at > block.length || offset === 0 || offset > output.length) throw damaged()
    if (output.length + length - blockStart > MAX_BLOCK_BYTES) throw damaged()
    output.repeat(offset, length)
  }
}

class Output {
  #bytes = new Uint8Array(64 * 1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** A match may overlap what it writes, which repeats a pattern. */
  repeat(offset: number, length: number): void {
    this.#reserve(length)
    const start = this.#length - offset
    if (offset >= length) this.#bytes.copyWithin(this.#length, start, start + length)
    else for (let i = 0; i < length; i += 1) this.#bytes[this.#length + i] = this.#bytes[start + i] as number
    this.#length += length
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

function damaged(): StoreError {
  return new StoreError(
    'INVALID_DOCUMENT',
    'A compressed buffer of the file is damaged. Fetch or write the file again.',
  )
}
