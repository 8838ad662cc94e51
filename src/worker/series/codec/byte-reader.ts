import { DamagedColumnError } from './damaged-column.ts'

/** Reads what `ByteWriter` wrote; every step is checked against the end of the bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get position(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw new DamagedColumnError('it ends early')
    this.#at += 1
    return value
  }

  u32(): number {
    let value = 0
    for (let shift = 0; shift < 32; shift += 8) value |= this.u8() << shift
    return value >>> 0
  }

  varint(): number {
    const first = this.u8()
    if (first < 0x80) return first
    let value = first & 0x7f
    let factor = 0x80
    for (let read = 1; read < 8; read += 1) {
      const byte = this.u8()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      factor *= 0x80
    }
    throw new DamagedColumnError('a number in it is too large')
  }

  signedVarint(): number {
    const value = this.varint()
    if (value < 0x80) return value & 1 ? -(value + 1) >> 1 : value >> 1
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }

  bytes(length: number): Uint8Array {
    if (length > this.remaining) throw new DamagedColumnError('it ends early')
    const part = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return part
  }

  end(): void {
    if (this.remaining !== 0) throw new DamagedColumnError('bytes follow its end')
  }
}
