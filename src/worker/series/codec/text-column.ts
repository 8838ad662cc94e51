/**
 * A column of texts as few bytes, each text back as it was. Decimal strings keep their exact digits ("1.50" stays
 * "1.50"): their digits travel as integers in columns, their decimal places in another. The first byte names the
 * smallest encoding of:
 *
 * | tag | behind it |
 * |---|---|
 * | 1 UTF-8 | lengths in UTF-16 units (column), length in bytes (varint), the texts one behind the other |
 * | 2 UTF-16 | the same, for texts with lone surrogates, which UTF-8 cannot hold |
 * | 3 dictionary | the distinct texts (a text column), the index of each (column) |
 * | 4 decimals | decimal places (column), the last 15 digits (column), the digits before them (column) |
 *
 * Columns inside are written as length (varint) and bytes of `column-codec.ts`.
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { columnCount, decodeColumn, encodeColumn } from './column-codec.ts'
import { DamagedColumnError } from './damaged-column.ts'

const UTF8 = 1
const UTF16 = 2
const DICTIONARY = 3
const DECIMALS = 4

/** More texts than this make no block; the bound keeps damaged bytes from asking for gigabytes. */
export const MAX_TEXTS = 1_048_576

const DECIMAL = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/
const LOW_DIGITS = 15
const MAX_DIGITS = 2 * LOW_DIGITS

export function encodeTexts(values: readonly string[]): Uint8Array {
  if (values.length > MAX_TEXTS) throw new RangeError(`a text column holds at most ${MAX_TEXTS} texts`)
  let best = encodeJoined(values)
  for (const candidate of [encodeDecimals(values), encodeDictionary(values)]) {
    if (candidate !== undefined && candidate.length < best.length) best = candidate
  }
  return best
}

/** @throws DamagedColumnError when the bytes are not a text column, or one of more than `maxCount` texts */
export function decodeTexts(bytes: Uint8Array, maxCount: number = MAX_TEXTS): string[] {
  const reader = new ByteReader(bytes)
  const tag = reader.u8()
  if (tag === UTF8 || tag === UTF16) return decodeJoined(reader, tag, maxCount)
  if (tag === DICTIONARY) return decodeDictionary(reader, maxCount)
  if (tag === DECIMALS) return decodeDecimals(reader, maxCount)
  throw new DamagedColumnError('unknown encoding')
}

function writeColumn(out: ByteWriter, values: Float64Array): void {
  const bytes = encodeColumn(values)
  out.varint(bytes.length)
  out.bytes(bytes)
}

/** Integers from 0 to `max`, no more of them than `maxCount`. */
function readColumn(reader: ByteReader, maxCount: number, min: number, max: number): Float64Array {
  const bytes = reader.bytes(reader.varint())
  const count = columnCount(bytes)
  if (count > maxCount) throw new DamagedColumnError('it holds more values than expected')
  const values = new Float64Array(count)
  decodeColumn(bytes, values, 0)
  for (const value of values) {
    if (!Number.isInteger(value) || value < min || value > max) throw new DamagedColumnError('a number is out of range')
  }
  return values
}

function encodeJoined(values: readonly string[]): Uint8Array {
  const joined = values.join('')
  const utf8 = Buffer.from(joined, 'utf8')
  const isWhole = joined.isWellFormed()
  const out = new ByteWriter(utf8.length + 64)
  out.u8(isWhole ? UTF8 : UTF16)
  writeColumn(
    out,
    Float64Array.from(values, (value) => value.length),
  )
  const bytes = isWhole ? utf8 : Buffer.from(joined, 'utf16le')
  out.varint(bytes.length)
  out.bytes(bytes)
  return out.finish()
}

function decodeJoined(reader: ByteReader, tag: number, maxCount: number): string[] {
  const lengths = readColumn(reader, maxCount, 0, Number.MAX_SAFE_INTEGER)
  const bytes = reader.bytes(reader.varint())
  reader.end()
  const joined = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(tag === UTF8 ? 'utf8' : 'utf16le')
  const values = new Array<string>(lengths.length)
  let at = 0
  for (let i = 0; i < lengths.length; i += 1) {
    const end = at + (lengths[i] as number)
    if (end > joined.length) throw new DamagedColumnError('its texts end early')
    values[i] = joined.slice(at, end)
    at = end
  }
  if (at !== joined.length) throw new DamagedColumnError('bytes follow its end')
  return values
}

function encodeDictionary(values: readonly string[]): Uint8Array | undefined {
  const indexes = new Map<string, number>()
  const column = new Float64Array(values.length)
  const limit = values.length >>> 1
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as string
    let index = indexes.get(value)
    if (index === undefined) {
      index = indexes.size
      if (index >= limit) return undefined
      indexes.set(value, index)
    }
    column[i] = index
  }
  const words = [...indexes.keys()]
  const entries = encodeDecimals(words) ?? encodeJoined(words)
  const out = new ByteWriter(entries.length + values.length + 64)
  out.u8(DICTIONARY)
  out.varint(entries.length)
  out.bytes(entries)
  writeColumn(out, column)
  return out.finish()
}

function decodeDictionary(reader: ByteReader, maxCount: number): string[] {
  const bytes = reader.bytes(reader.varint())
  if (bytes[0] === DICTIONARY) throw new DamagedColumnError('a dictionary of a dictionary')
  const entries = decodeTexts(bytes, maxCount)
  const indexes = readColumn(reader, maxCount, 0, entries.length - 1)
  reader.end()
  const values = new Array<string>(indexes.length)
  for (let i = 0; i < indexes.length; i += 1) values[i] = entries[indexes[i] as number] as string
  return values
}

function encodeDecimals(values: readonly string[]): Uint8Array | undefined {
  const places = new Float64Array(values.length)
  const lows = new Float64Array(values.length)
  const highs = new Float64Array(values.length)
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as string
    if (!DECIMAL.test(value)) return undefined
    const isNegative = value.charCodeAt(0) === 45
    const point = value.indexOf('.')
    const digits = (isNegative ? value.slice(1) : value).replace('.', '')
    if (digits.length > MAX_DIGITS) return undefined
    const low = Number(digits.slice(-LOW_DIGITS))
    const high = Number(digits.slice(0, -LOW_DIGITS))
    // A minus needs a digit to stand before: "-0.00" is written as text.
    if (isNegative && low === 0) return undefined
    places[i] = point === -1 ? 0 : value.length - point - 1
    lows[i] = isNegative ? -low : low
    highs[i] = high
  }
  const out = new ByteWriter(values.length * 8 + 64)
  out.u8(DECIMALS)
  writeColumn(out, places)
  writeColumn(out, lows)
  writeColumn(out, highs)
  return out.finish()
}

function decodeDecimals(reader: ByteReader, maxCount: number): string[] {
  const places = readColumn(reader, maxCount, 0, MAX_DIGITS)
  const lows = readColumn(reader, maxCount, -(10 ** LOW_DIGITS), 10 ** LOW_DIGITS)
  const highs = readColumn(reader, maxCount, 0, 10 ** LOW_DIGITS)
  reader.end()
  if (lows.length !== places.length || highs.length !== places.length) {
    throw new DamagedColumnError('its parts differ in length')
  }
  const values = new Array<string>(places.length)
  for (let i = 0; i < places.length; i += 1) {
    values[i] = decimalText(lows[i] as number, highs[i] as number, places[i] as number)
  }
  return values
}

function decimalText(low: number, high: number, places: number): string {
  const lowDigits = String(Math.abs(low))
  let digits = high === 0 ? lowDigits : String(high) + lowDigits.padStart(LOW_DIGITS, '0')
  if (places > 0) {
    digits = digits.padStart(places + 1, '0')
    const point = digits.length - places
    digits = `${digits.slice(0, point)}.${digits.slice(point)}`
  }
  return low < 0 ? `-${digits}` : digits
}
