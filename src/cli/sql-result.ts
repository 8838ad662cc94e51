/** Rows of a query as a table, JSON or CSV. */
import type { SqlRow, SqlValue } from '../index.ts'
import { renderTable, type TableCell } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import { hexBlob } from './visible-text.ts'

export const RESULT_MODES = ['table', 'json', 'csv'] as const
export type ResultMode = (typeof RESULT_MODES)[number]

export interface SqlResult {
  /** In the order of the query; without rows only CSV needs them. */
  readonly columns: readonly string[]
  readonly rows: readonly SqlRow[]
}

export async function writeResult(result: SqlResult, mode: ResultMode, terminal: Terminal): Promise<void> {
  if (mode === 'json') await terminal.writeJson(result.rows)
  else if (mode === 'csv') await terminal.write(csvText(result))
  else if (result.rows.length > 0) await writeTable(result, terminal)
}

async function writeTable({ columns, rows }: SqlResult, terminal: Terminal): Promise<void> {
  const table = renderTable({
    columns,
    rows: rows.map((row) => columns.map((column) => sqlCell(row[column], terminal))),
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
function sqlCell(value: SqlValue | undefined, terminal: Terminal): TableCell {
  if (value === null || value === undefined) return { text: 'NULL', style: (text) => terminal.style('dim', text) }
  return tableCell(value)
}

/** RFC 4180, with line feeds; NULL is an empty field, a BLOB its hexadecimal digits. */
function csvText({ columns, rows }: SqlResult): string {
  const lines = [columns, ...rows.map((row) => columns.map((column) => csvValue(row[column])))]
  return lines.map((fields) => `${fields.map(csvField).join(',')}\n`).join('')
}

function csvValue(value: SqlValue | undefined): string {
  if (value === null || value === undefined) return ''
  return value instanceof Uint8Array ? hexBlob(value) : String(value)
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
