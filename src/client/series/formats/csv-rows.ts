/** Rows of a CSV file (RFC 4180; fields may be quoted, but hold no line breaks), with or without a line of names. */
import { fileFault } from './file-fault.ts'
import type { FileRow, FileRows } from './file-row.ts'

const MAX_LINE_LENGTH = 1024 * 1024
const STARTS_LIKE_DATA = /^\s*"?[+-]?\.?[0-9]/

export interface CsvOptions {
  /** Default: `,`. */
  readonly delimiter?: string | undefined
}

export async function* csvRows(
  pieces: AsyncIterable<string>,
  { delimiter = ',' }: CsvOptions = {},
): AsyncGenerator<FileRows> {
  let names: string[] | undefined
  let isFirst = true
  let rest = ''
  let line = 0
  const parse = (texts: readonly string[]): FileRow[] => {
    const rows: FileRow[] = []
    for (const text of texts) {
      line += 1
      const trimmed = text.endsWith('\r') ? text.slice(0, -1) : text
      if (trimmed === '') continue
      if (isFirst) {
        isFirst = false
        const first = trimmed.startsWith('\uFEFF') ? trimmed.slice(1) : trimmed
        const cells = splitLine(first, delimiter, line)
        if (!STARTS_LIKE_DATA.test(first)) names = cells.map((cell) => cell.trim())
        else rows.push({ line, cells })
      } else {
        rows.push({ line, cells: splitLine(trimmed, delimiter, line) })
      }
    }
    return rows
  }
  for await (const piece of pieces) {
    const texts = (rest + piece).split('\n')
    rest = texts.pop() as string
    if (rest.length > MAX_LINE_LENGTH) throw fileFault(line + texts.length + 1, 'the line is longer than 1 MiB')
    const rows = parse(texts)
    if (rows.length > 0) yield { names, rows }
  }
  const rows = parse([rest])
  if (rows.length > 0 || names !== undefined) yield { names, rows }
}

function splitLine(text: string, delimiter: string, line: number): string[] {
  if (!text.includes('"')) return text.split(delimiter)
  const cells: string[] = []
  let at = 0
  for (;;) {
    if (text[at] === '"') {
      let cell = ''
      at += 1
      for (;;) {
        const quote = text.indexOf('"', at)
        if (quote === -1) throw fileFault(line, 'a quoted field does not end on its line')
        cell += text.slice(at, quote)
        at = quote + 1
        if (text[at] !== '"') break
        cell += '"'
        at += 1
      }
      if (at < text.length && text[at] !== delimiter) throw fileFault(line, 'text follows a quoted field')
      cells.push(cell)
    } else {
      const end = text.indexOf(delimiter, at)
      cells.push(text.slice(at, end === -1 ? text.length : end))
      at = end === -1 ? text.length : end
    }
    if (at >= text.length) return cells
    at += 1
  }
}
