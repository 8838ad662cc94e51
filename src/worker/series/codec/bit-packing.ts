/**
 * Fixed-width bit packing of groups of up to 128 unsigned integers, little-endian in 32-bit words, as in
 * D. Lemire, L. Boytsov: "Decoding billions of integers per second through vectorization" (Software: Practice and
 * Experience 45, 2015), without the vectors. Integers wider than 32 bits keep their low words whole in front and
 * pack what is above them, so that every step stays in 32-bit arithmetic.
 */
export const GROUP_SIZE = 128
/** Residuals lie within ±2^51, so their span fits 52 bits and every sum of them is an exact double. */
export const MAX_WIDTH = 52
/** Wherever in a byte they begin, two of this width lie within 32 bits, and one of that. */
const MAX_PAIR_WIDTH = 12
const MAX_UNALIGNED_WIDTH = 25

/** Bytes that `count` integers of `width` bits take. */
export function packedBytes(count: number, width: number): number {
  if (width <= 32) return ((count * width + 31) >>> 5) * 4
  return count * 4 + ((count * (width - 32) + 31) >>> 5) * 4
}

/** Bits that the largest value of a group needs. @param value an integer from 0 to 2^52 */
export function bitWidth(value: number): number {
  if (value < 0x1_0000_0000) return 32 - Math.clz32(value)
  return 64 - Math.clz32(Math.floor(value / 0x1_0000_0000))
}

/** @returns the position behind the words written */
export function pack(values: Uint32Array, count: number, width: number, into: DataView, at: number): number {
  if (width === 0) return at
  let position = at
  if (width === 32) {
    for (let i = 0; i < count; i += 1, position += 4) into.setUint32(position, values[i] as number, true)
    return position
  }
  let word = 0
  let filled = 0
  for (let i = 0; i < count; i += 1) {
    const value = values[i] as number
    word |= value << filled
    filled += width
    if (filled >= 32) {
      into.setUint32(position, word >>> 0, true)
      position += 4
      filled -= 32
      word = filled === 0 ? 0 : value >>> (width - filled)
    }
  }
  if (filled > 0) {
    into.setUint32(position, word >>> 0, true)
    position += 4
  }
  return position
}

/**
 * Fills `into[0 .. count)` with integers of 1 to 32 bits, those of 32 as signed ones. Without a branch a value: 32 bits are
 * read from the byte that a value begins in, which hold two of the narrow ones; measured in docs/decisions/0018.
 *
 * @param words must go on for 8 bytes behind those that are read, whatever they are
 * @returns the position behind the bytes read
 */
export function unpack(words: DataView, at: number, count: number, width: number, into: Int32Array): number {
  if (width <= MAX_PAIR_WIDTH) unpackPairs(words, at, count, width, into)
  else if (width <= MAX_UNALIGNED_WIDTH) {
    const mask = (1 << width) - 1
    let bit = at << 3
    for (let i = 0; i < count; i += 1, bit += width) into[i] = (words.getInt32(bit >>> 3, true) >>> (bit & 7)) & mask
  } else if (width < 32) {
    const mask = (1 << width) - 1
    let bit = at << 3
    for (let i = 0; i < count; i += 1, bit += width) {
      const byte = bit >>> 3
      const shift = bit & 7
      const low = words.getInt32(byte, true) >>> shift
      into[i] = (low | ((words.getUint8(byte + 4) << 24) << (8 - shift))) & mask
    }
  } else for (let i = 0; i < count; i += 1) into[i] = words.getInt32(at + i * 4, true)
  return at + packedBytes(count, width)
}

/** Behind an odd count, one more is written than there is. */
function unpackPairs(words: DataView, at: number, count: number, width: number, into: Int32Array): void {
  const mask = (1 << width) - 1
  const step = 2 * width
  let bit = at << 3
  for (let i = 0; i < count; i += 2, bit += step) {
    const pair = words.getInt32(bit >>> 3, true) >>> (bit & 7)
    into[i] = pair & mask
    into[i + 1] = (pair >>> width) & mask
  }
}
