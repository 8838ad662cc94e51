/** Decimals of Parquet: a whole number in two's complement, with the place of the point kept beside it. */

/** Of an INT32, an INT64, or big-endian bytes. */
export function unscaledOf(cell: unknown): bigint {
  if (typeof cell === 'bigint') return cell
  if (!(cell instanceof Uint8Array)) return BigInt(cell as number)
  let value = 0n
  for (const byte of cell) value = value * 256n + BigInt(byte)
  return BigInt.asIntN(cell.length * 8, value)
}

/** `-105` with a scale of 2 is `-1.05`. */
export function decimalText(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : ''
  const digits = String(unscaled < 0n ? -unscaled : unscaled)
  if (scale <= 0) return `${sign}${digits}${unscaled === 0n ? '' : '0'.repeat(-scale)}`
  const padded = digits.padStart(scale + 1, '0')
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`
}
