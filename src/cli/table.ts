/**
 * Rows as a table that fits its window: the widest columns are cut first, and columns that don't fit at all are left
 * off at the end and named, so that what is missing is never a surprise.
 */
import CliTable from 'cli-table3'
import { displayWidth } from './display-width.ts'

export interface TableCell {
  readonly text: string
  /** A number, to be set at the right. */
  readonly isNumber?: boolean
  readonly style?: (text: string) => string
}

export interface TableOptions {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly TableCell[])[]
  /** Undefined: as wide as it takes. */
  readonly width: number | undefined
  readonly styleHead: (text: string) => string
}

export interface Table {
  readonly text: string
  /** Columns that did not fit. */
  readonly leftOff: readonly string[]
}

const GAP = '  '
/** A column is cut no further than this and its own name, up to a point. */
const LEAST_WIDTH = 8
const LEAST_WIDTH_OF_LONG_NAMES = 20
/** Above this a cell is cut even where there is room: a column of metadata would push everything else away. */
const MOST_WIDTH = 60
const SIDES = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
] as const
const EDGES = ['left', 'left-mid', 'right', 'right-mid'] as const

export function renderTable({ columns, rows, width, styleHead }: TableOptions): Table {
  const natural = columns.map((column, index) =>
    rows.reduce((widest, row) => Math.max(widest, displayWidth(row[index]?.text ?? '')), displayWidth(column)),
  )
  const numeric = columns.map((_, index) => isNumeric(rows, index))
  // Part of a number is another number, so columns of numbers are shown whole or not at all.
  const leastWidths = columns.map((column, index) =>
    numeric[index] === true ? Math.min(natural[index] as number, MOST_WIDTH) : leastWidth(column),
  )
  const widths = width === undefined ? natural : fittedWidths(natural, leastWidths, width)
  const shown = widths.length
  const table = new CliTable({
    head: columns.slice(0, shown).map(styleHead),
    colWidths: [...widths],
    colAligns: widths.map((_, index) => (numeric[index] === true ? 'right' : 'left')),
    chars: {
      ...Object.fromEntries([...SIDES, ...EDGES].map((part) => [part, ''])),
      mid: '─',
      'mid-mid': GAP,
      middle: GAP,
    },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  for (const row of rows) table.push(row.slice(0, shown).map((cell) => cell.style?.(cell.text) ?? cell.text))
  return { text: trimLines(table.toString()), leftOff: columns.slice(shown) }
}

function leastWidth(column: string): number {
  return Math.max(LEAST_WIDTH, Math.min(displayWidth(column), LEAST_WIDTH_OF_LONG_NAMES))
}

/** As many columns as fit, each at least readable; then room is taken from the widest. */
function fittedWidths(natural: readonly number[], least: readonly number[], width: number): number[] {
  const widths: number[] = []
  let taken = -GAP.length
  for (const [index, each] of natural.entries()) {
    taken += GAP.length + Math.min(each, least[index] as number)
    if (taken > width && widths.length > 0) break
    widths.push(Math.min(each, MOST_WIDTH))
  }
  let excess = widths.reduce((sum, each) => sum + each + GAP.length, -GAP.length) - width
  for (; excess > 0; excess--) {
    const spare = widths.map((each, index) => (each > (least[index] as number) ? each : 0))
    const widest = Math.max(...spare)
    if (widest === 0) break
    widths[spare.indexOf(widest)] = widest - 1
  }
  return widths
}

function isNumeric(rows: readonly (readonly TableCell[])[], index: number): boolean {
  const cells = rows.flatMap((row) => (row[index] === undefined || row[index].text === '' ? [] : [row[index]]))
  return cells.length > 0 && cells.every((cell) => cell.isNumber === true)
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
