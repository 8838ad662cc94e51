import { DamagedColumnError } from './damaged-column.ts'

/** Reads what `ByteWriter` wrote; every step is checked against the end of the bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
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
    if (this.remaining < 4) throw new DamagedColumnError('it ends early')
    const value = this.#view.getUint32(this.#at, true)
    this.#at += 4
    return value
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (let read = 0; read < 8; read += 1) {
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
