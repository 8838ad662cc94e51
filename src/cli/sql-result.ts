/** Rows of a query as a table, JSON or CSV. */
import type { SqlTable, SqlValue } from '../index.ts'
import { renderTable, type TableCell } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import { hexBlob, jsonText } from './visible-text.ts'

export const RESULT_MODES = ['table', 'json', 'csv'] as const
export type ResultMode = (typeof RESULT_MODES)[number]

export async function writeResult(result: SqlTable, mode: ResultMode, terminal: Terminal): Promise<void> {
  if (mode === 'json') await terminal.writeLine(jsonRows(result))
  else if (mode === 'csv') await terminal.write(csvText(result))
  else await writeTable(result, terminal)
}

async function writeTable({ columns, rows }: SqlTable, terminal: Terminal): Promise<void> {
  const table = renderTable({
    columns,
    rows: rows.map((row) => row.map((value) => sqlCell(value, terminal))),
    width: terminal.width,
    styleHead: (text) => terminal.style('bold', text),
  })
  await terminal.writeLine(table.text)
  if (table.leftOff.length > 0) terminal.remark(leftOffRemark(table.leftOff))
}

export function leftOffRemark(leftOff: readonly string[]): string {
  return `Not shown, for want of room: ${leftOff.join(', ')}.`
}

/** In SQL nothing and an empty text are two things. */
function sqlCell(value: SqlValue, terminal: Terminal): TableCell {
  if (value === null) return { text: 'NULL', style: (text) => terminal.style('dim', text) }
  return tableCell(value)
}

/** Written by hand: an object would put a column named by a number before the others. */
function jsonRows({ columns, rows }: SqlTable): string {
  const names = columns.map((column) => jsonText(column))
  const objects = rows.map((row) => `{${row.map((value, index) => `${names[index]}:${jsonText(value)}`).join(',')}}`)
  return `[${objects.join(',')}]`
}

/** RFC 4180, with line feeds; NULL is an empty field, a BLOB its hexadecimal digits. */
function csvText({ columns, rows }: SqlTable): string {
  const lines = [columns, ...rows.map((row) => row.map(csvValue))]
  return lines.map((fields) => `${fields.map(csvField).join(',')}\n`).join('')
}

function csvValue(value: SqlValue): string {
  if (value === null) return ''
  return value instanceof Uint8Array ? hexBlob(value) : String(value)
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
