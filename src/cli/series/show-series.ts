import { type Command, Option } from 'commander'
import { type Store, writeSeries } from '../../index.ts'
import { instantMs } from '../instant.ts'
import { withReader } from '../open-session-store.ts'
import type { Session } from '../session.ts'
import { leftOffRemark } from '../sql-result.ts'
import { renderTable } from '../table.ts'
import { tableCell } from '../table-cell.ts'
import type { Terminal } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'
import { type CandleColumns, renderCandles } from './candle-plot.ts'
import { noSuchSeries } from './no-such-series.ts'
import type { SeriesKindCommands } from './series-kind.ts'

export interface ShowOptions {
  readonly last?: number
  readonly from?: number
  readonly to?: number
  readonly plot?: boolean
  readonly csv?: boolean
}

/** What a table shows unless told otherwise: a screen. */
const DEFAULT_LAST = 20
const PLOT_HEIGHT = 20
const PLOT_WIDTH = 80

export function addShowSeries(parent: Command, kind: SeriesKindCommands, session: () => Session): void {
  const command = parent.command('show').description('print the points of a series: the newest, or those of a span')
  for (const name of kind.arguments) command.argument(`<${name}>`)
  addShowOptions(command, kind.name === 'bars').action(async (...given: unknown[]) => {
    const [options] = given.slice(-2) as [ShowOptions]
    await show(session(), kind, given.slice(0, -2) as string[], options)
  })
}

export function addShowOptions(command: Command, plots: boolean): Command {
  command
    .option('--last <n>', `the newest n points; default ${DEFAULT_LAST}, and with --plot as many as fit`, wholeNumber)
    .addOption(new Option('--from <time>', 'a date, a date with a time, or Unix milliseconds').argParser(instantMs))
    .addOption(new Option('--to <time>', 'up to there, exclusive').argParser(instantMs))
    .option('--csv', 'as CSV')
  if (plots) command.option('--plot', 'draw candles, as wide as the window')
  return command
}

async function show(
  session: Session,
  kind: SeriesKindCommands,
  key: readonly string[],
  options: ShowOptions,
): Promise<void> {
  await withReader(session, async (store: Store) => {
    const series = kind.one(store, key)
    if ((await series.info()) === null) throw noSuchSeries(kind, key)
    const { from, to } = options
    if (from === undefined && to === undefined) {
      const count = options.last ?? (options.plot === true ? plotWidth(session.terminal) : DEFAULT_LAST)
      await printSeries(session.terminal, [await series.last(count)], options)
    } else {
      const span = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
      await printSeries(session.terminal, series.scan(span), options)
    }
  })
}

/** Columns as a table, as CSV, as a plot, or with `--json` one point a line. */
export async function printSeries(
  terminal: Terminal,
  chunks: AsyncIterable<object> | Iterable<object>,
  options: ShowOptions,
): Promise<void> {
  if (options.plot === true && !terminal.isJson) return await plot(terminal, chunks)
  if (terminal.isJson || options.csv === true) {
    const format = terminal.isJson ? 'jsonl' : 'csv'
    for await (const text of writeSeries(chunks, { format, nonFinite: 'null' })) await terminal.write(text)
    return
  }
  for await (const chunk of chunks) await printTable(terminal, chunk as { toRows(): Record<string, unknown>[] })
}

async function printTable(terminal: Terminal, chunk: { toRows(): Record<string, unknown>[] }): Promise<void> {
  const rows = chunk.toRows()
  if (rows.length === 0) return
  const columns = Object.keys(rows[0] as object)
  const table = renderTable({
    columns: columns.map((column) => (column === 'ts' ? 'time (UTC)' : column)),
    rows: rows.map((row) => columns.map((column) => (column === 'ts' ? timeCell(row.ts) : tableCell(row[column])))),
    width: terminal.width,
    styleHead: (text) => terminal.style('bold', text),
  })
  await terminal.writeLine(table.text)
  if (table.leftOff.length > 0) terminal.remark(leftOffRemark(table.leftOff))
}

async function plot(terminal: Terminal, chunks: AsyncIterable<object> | Iterable<object>): Promise<void> {
  const all: Record<keyof CandleColumns, number[]> = { ts: [], open: [], high: [], low: [], close: [], volume: [] }
  for await (const chunk of chunks) {
    for (const [name, values] of Object.entries(all)) {
      for (const value of (chunk as CandleColumns)[name as keyof CandleColumns]) values.push(value)
    }
  }
  const lines = renderCandles(all, {
    width: plotWidth(terminal),
    height: PLOT_HEIGHT,
    rising: (text) => terminal.style('green', text),
    falling: (text) => terminal.style('red', text),
    hasColors: terminal.style('green', 'x') !== 'x',
  })
  for (const line of lines) await terminal.writeLine(line)
}

function plotWidth(terminal: Terminal): number {
  return terminal.width ?? PLOT_WIDTH
}

function timeCell(ts: unknown): { text: string } {
  return { text: timeText(Number(ts)) }
}

export function timeText(ts: number): string {
  const text = new Date(ts).toISOString().replace('T', ' ').slice(0, -1)
  return text.endsWith(':00.000') ? text.slice(0, -7) : text.endsWith('.000') ? text.slice(0, -4) : text
}
