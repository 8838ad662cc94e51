/**
 * Bars as bytes, before they are sealed: count of columns (u16), of each the length of its name (u8) and the name in UTF-8,
 * count of rows (u32), then the times and every column as doubles. All of it little-endian.
 */
import type { CachedColumns } from '../../protocol/session-cache.ts'

const BYTES_PER_VALUE = 8

export function payloadBytes({ names, ts }: CachedColumns): number {
  return headBytes(names) + (names.length + 1) * ts.length * BYTES_PER_VALUE
}

function headBytes(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 1 + Buffer.byteLength(name), 2 + 4)
}

export function encodeBars(bars: CachedColumns): Buffer {
  const { names, ts, values } = bars
  const bytes = Buffer.allocUnsafe(payloadBytes(bars))
  let at = bytes.writeUInt16LE(names.length, 0)
  for (const name of names) {
    at = bytes.writeUInt8(Buffer.byteLength(name), at)
    at += bytes.write(name, at)
  }
  at = bytes.writeUInt32LE(ts.length, at)
  for (const column of [ts, ...values]) {
    at += Buffer.from(column.buffer, column.byteOffset, column.byteLength).copy(bytes, at)
  }
  return bytes
}

/** @throws RangeError for bytes that are none */
export function decodeBars(bytes: Buffer): CachedColumns {
  const names: string[] = []
  const count = bytes.readUInt16LE(0)
  let at = 2
  for (let column = 0; column < count; column++) {
    const end = at + 1 + bytes.readUInt8(at)
    names.push(bytes.toString('utf8', at + 1, end))
    at = end
  }
  const rows = bytes.readUInt32LE(at)
  at += 4
  if (bytes.length !== at + (count + 1) * rows * BYTES_PER_VALUE) throw new RangeError('not the bytes of bars')
  const next = () => {
    const column = new Float64Array(rows)
    at += bytes.copy(Buffer.from(column.buffer), 0, at, at + column.byteLength)
    return column
  }
  const ts = next()
  return { names, ts, values: names.map(next) }
}
