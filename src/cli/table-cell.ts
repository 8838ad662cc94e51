/** A value as a cell of a table. */
import type { TableCell } from './table.ts'
import { hexBlob, visibleText } from './visible-text.ts'

const DECIMAL = /^-?\d+(?:\.\d+)?$/

export function tableCell(value: unknown): TableCell {
  if (value === undefined || value === null) return { text: '' }
  if (typeof value === 'number') return { text: String(value), isNumber: true }
  if (typeof value === 'string') return { text: visibleText(value), isNumber: DECIMAL.test(value) }
  if (value instanceof Uint8Array) return { text: `x'${hexBlob(value)}'` }
  return { text: visibleText(typeof value === 'object' ? JSON.stringify(value) : String(value)) }
}
