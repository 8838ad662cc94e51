/**
 * Fixed-width bit packing of groups of up to 128 unsigned integers, little-endian in 32-bit words, as in
 * D. Lemire, L. Boytsov: "Decoding billions of integers per second through vectorization" (Software: Practice and
 * Experience 45, 2015), without the vectors. Integers wider than 32 bits keep their low words whole in front and
 * pack what is above them, so that every step stays in 32-bit arithmetic.
 */
export const GROUP_SIZE = 128
/** Residuals lie within ±2^51, so their span fits 52 bits and every sum of them is an exact double. */
export const MAX_WIDTH = 52

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

/** @returns the position behind the words read; the caller has made sure that they are there */
export function unpack(from: DataView, at: number, count: number, width: number, into: Uint32Array): number {
  if (width === 0) {
    into.fill(0, 0, count)
    return at
  }
  let position = at
  if (width === 32) {
    for (let i = 0; i < count; i += 1, position += 4) into[i] = from.getUint32(position, true)
    return position
  }
  const mask = (1 << width) - 1
  let word = 0
  let left = 0
  for (let i = 0; i < count; i += 1) {
    if (left >= width) {
      into[i] = word & mask
      word >>>= width
      left -= width
    } else {
      const next = from.getUint32(position, true)
      position += 4
      into[i] = (word | (next << left)) & mask
      const used = width - left
      word = next >>> used
      left = 32 - used
    }
  }
  return position
}
