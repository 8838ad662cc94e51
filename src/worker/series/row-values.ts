/**
 * The values of one point in the row table: per column a little-endian double, or the length in bytes of a text (u32) and
 * its UTF-8.
 */
import type { Points, SeriesColumn } from '../../protocol/series.ts'
import { DamagedColumnError } from './codec/damaged-column.ts'
import type { MutableValues } from './point-buffer.ts'

export function encodeRow(columns: readonly SeriesColumn[], points: Points, index: number): Uint8Array {
  const texts = points.values.map((values) =>
    values instanceof Float64Array ? null : Buffer.from(values[index] as string, 'utf8'),
  )
  let bytes = 0
  for (const text of texts) bytes += text === null ? 8 : 4 + text.length
  const out = Buffer.allocUnsafe(bytes)
  let at = 0
  for (let column = 0; column < columns.length; column++) {
    const text = texts[column] as Buffer | null
    if (text === null) {
      at = out.writeDoubleLE((points.values[column] as Float64Array)[index] as number, at)
    } else {
      at = out.writeUInt32LE(text.length, at)
      at += text.copy(out, at)
    }
  }
  return out
}

/** Puts the values of the columns `wanted` at `index` of `into`. @throws DamagedColumnError */
export function decodeRow(
  columns: readonly SeriesColumn[],
  wanted: readonly number[],
  bytes: Uint8Array,
  into: readonly MutableValues[],
  index: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  for (const [column, { type }] of columns.entries()) {
    const target = wanted.indexOf(column)
    const head = type === 'number' ? 8 : 4
    if (at + head > bytes.length) throw new DamagedColumnError('a row ends early')
    if (type === 'number') {
      if (target >= 0) (into[target] as Float64Array)[index] = view.getFloat64(at, true)
      at += 8
      continue
    }
    const length = view.getUint32(at, true)
    at += 4
    if (at + length > bytes.length) throw new DamagedColumnError('a row ends early')
    if (target >= 0) {
      ;(into[target] as string[])[index] = Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('utf8')
    }
    at += length
  }
  if (at !== bytes.length) throw new DamagedColumnError('a row is too long')
}
