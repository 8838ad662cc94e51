/**
 * A column of doubles as few bytes, lossless bit for bit: NaN payloads, -0 and infinities included. The smallest of
 * the encodings is taken and named by the first byte, so a decoder needs nothing but the bytes. Format 1:
 *
 * | tag | behind it |
 * |---|---|
 * | 1 constant | count (varint), the 8 bytes of the double |
 * | 2 scaled | count, scale u8, exceptions (varint), per exception its distance from the last one (varint), then the 8 bytes of each; integers (see `integer-groups.ts`) |
 * | 3 split | count, shift u8; the upper 32 bits of each double as integers, the lower 32 bits shifted right by `shift` as integers |
 * | 4 raw | count, 8 bytes a double |
 *
 * Split takes the place that the XOR of neighbours has in Gorilla (VLDB 2015) and Chimp (P. Liakos et al., VLDB 2022):
 * neighbours share sign, exponent and leading bits, and doubles that were 32-bit floats end in zeros; both vanish
 * here without decoding bit by bit.
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { DamagedColumnError } from './damaged-column.ts'
import { chooseScale, MAX_SCALE, POWERS_OF_TEN, scaleColumn } from './decimal-scale.ts'
import { readIntegers, writeIntegers } from './integer-groups.ts'

const CONSTANT = 1
const SCALED = 2
const SPLIT = 3
const RAW = 4

if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) throw new Error('series columns need a little-endian machine')

/** @returns bytes of their own (no view into a larger buffer) */
export function encodeColumn(values: Float64Array): Uint8Array {
  const count = values.length
  const words = new Uint32Array(values.buffer, values.byteOffset, count * 2)
  if (count === 0) return header(RAW, 0).finish()
  if (isConstant(words)) {
    const out = header(CONSTANT, count)
    out.bytes(bytesOf(values.subarray(0, 1)))
    return out.finish()
  }
  const rawBytes = count * 8
  const scaled = encodeScaled(values)
  if (scaled !== undefined && scaled.length < rawBytes) return scaled
  const split = encodeSplit(words, count)
  if (split.length < rawBytes) return split
  const out = header(RAW, count)
  out.bytes(bytesOf(values))
  return out.finish()
}

/** How many values the bytes hold, as they say themselves. */
export function columnCount(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes)
  reader.u8()
  return reader.varint()
}

/**
 * Decodes into `into[at …]`, which must have room for the whole column.
 *
 * @returns the number of values
 * @throws DamagedColumnError when the bytes are not a column, or one too long for `into`
 */
export function decodeColumn(bytes: Uint8Array, into: Float64Array, at: number): number {
  const reader = new ByteReader(bytes)
  const tag = reader.u8()
  const count = reader.varint()
  if (count > into.length - at) throw new DamagedColumnError('it holds more values than expected')
  if (tag === CONSTANT) decodeConstant(reader, count, into, at)
  else if (tag === SCALED) decodeScaled(reader, count, into, at)
  else if (tag === SPLIT) decodeSplit(reader, count, into, at)
  else if (tag === RAW) bytesOf(into.subarray(at, at + count)).set(reader.bytes(count * 8))
  else throw new DamagedColumnError('unknown encoding')
  reader.end()
  return count
}

function header(tag: number, count: number): ByteWriter {
  const out = new ByteWriter(64 + count * 8)
  out.u8(tag)
  out.varint(count)
  return out
}

function bytesOf(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

function isConstant(words: Uint32Array): boolean {
  for (let i = 2; i < words.length; i += 2) {
    if (words[i] !== words[0] || words[i + 1] !== words[1]) return false
  }
  return true
}

function decodeConstant(reader: ByteReader, count: number, into: Float64Array, at: number): void {
  const low = reader.u32()
  const high = reader.u32()
  const words = new Uint32Array(into.buffer, into.byteOffset + at * 8, count * 2)
  for (let i = 0; i < words.length; i += 2) {
    words[i] = low
    words[i + 1] = high
  }
}

function encodeScaled(values: Float64Array): Uint8Array | undefined {
  const scale = chooseScale(values)
  if (scale === undefined) return undefined
  const integers = new Float64Array(values.length)
  const exceptions = scaleColumn(values, scale, integers)
  if (exceptions === undefined) return undefined
  const out = header(SCALED, values.length)
  out.u8(scale)
  out.varint(exceptions.length)
  let last = 0
  for (const position of exceptions) {
    out.varint(position - last)
    last = position
  }
  for (const position of exceptions) out.bytes(bytesOf(values.subarray(position, position + 1)))
  writeIntegers(integers, values.length, out)
  return out.finish()
}

const NONE = new Uint32Array(0)

function decodeScaled(reader: ByteReader, count: number, into: Float64Array, at: number): void {
  const scale = reader.u8()
  if (scale > MAX_SCALE) throw new DamagedColumnError('unknown scale')
  const exceptions = reader.varint()
  if (exceptions > count || exceptions * 9 > reader.remaining) throw new DamagedColumnError('it ends early')
  const positions = exceptions === 0 ? NONE : new Uint32Array(exceptions)
  let position = 0
  for (let i = 0; i < exceptions; i += 1) {
    position += reader.varint()
    if (position >= count) throw new DamagedColumnError('an exception lies behind its end')
    positions[i] = position
  }
  const exact = reader.bytes(exceptions * 8)
  readIntegers(reader, count, into, at)
  if (scale > 0) {
    const power = POWERS_OF_TEN[scale] as number
    for (let i = at; i < at + count; i += 1) into[i] = (into[i] as number) / power
  }
  if (exceptions === 0) return
  // Word by word: a NaN that passes through a double may change its payload.
  const view = new DataView(exact.buffer, exact.byteOffset, exact.byteLength)
  const words = new Uint32Array(into.buffer, into.byteOffset, into.length * 2)
  for (let i = 0; i < exceptions; i += 1) {
    const target = (at + (positions[i] as number)) * 2
    words[target] = view.getUint32(i * 8, true)
    words[target + 1] = view.getUint32(i * 8 + 4, true)
  }
}

function encodeSplit(words: Uint32Array, count: number): Uint8Array {
  let allLows = 0
  for (let i = 0; i < words.length; i += 2) allLows |= words[i] as number
  const shift = allLows === 0 ? 31 : 31 - Math.clz32(allLows & -allLows)
  const out = header(SPLIT, count)
  out.u8(shift)
  const part = new Float64Array(count)
  for (let i = 0; i < count; i += 1) part[i] = words[i * 2 + 1] as number
  writeIntegers(part, count, out)
  for (let i = 0; i < count; i += 1) part[i] = (words[i * 2] as number) >>> shift
  writeIntegers(part, count, out)
  return out.finish()
}

function decodeSplit(reader: ByteReader, count: number, into: Float64Array, at: number): void {
  const shift = reader.u8()
  if (shift > 31) throw new DamagedColumnError('unknown shift')
  const highs = new Float64Array(count)
  readIntegers(reader, count, highs, 0)
  readIntegers(reader, count, into, at)
  const words = new Uint32Array(into.buffer, into.byteOffset + at * 8, count * 2)
  for (let i = 0; i < count; i += 1) {
    const low = (into[at + i] as number) << shift
    words[i * 2] = low
    words[i * 2 + 1] = highs[i] as number
  }
}
