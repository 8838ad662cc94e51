/** `holdfast cache`: what the session cache holds, as CSV. Reading works beside a running owner. */
import type { Command } from 'commander'
import { type BarSeries, StoreError } from '../index.ts'
import { counted } from './counted.ts'
import { instantMs } from './instant.ts'
import { withOwner, withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import { visibleText } from './visible-text.ts'
import { wholeNumber } from './whole-number.ts'

interface ShowOptions {
  readonly interval?: string
  readonly from?: number
  readonly to?: number
  readonly limit?: number
}

/** How much is written at a time. */
const LINES_AT_ONCE = 1_000

export function addCacheCommand(program: Command, session: () => Session): void {
  const cache = program.command('cache').description('the session cache: bars of the running session, by symbol')
  cache
    .command('list')
    .description('symbols and intervals, with how many bars there are of each')
    .action(async () => await list(session()))
  cache
    .command('show')
    .description('the bars of a symbol as CSV, oldest first')
    .argument('<symbol>')
    .option('--interval <interval>', 'default: 1m')
    .option('--from <moment>', 'not before', instantMs)
    .option('--to <moment>', 'before', instantMs)
    .option('--limit <n>', 'the newest ones', wholeNumber)
    .addHelpText(
      'after',
      `
Times are Unix milliseconds. Moments: 2026-11-21, 2026-11-21T10:15 (UTC) or Unix milliseconds. With --json one array.

Examples:
  holdfast cache show BTC/USDT --limit 100
  holdfast cache show BTC/USDT --interval 1h --from 2026-11-01 > btc-1h.csv`,
    )
    .action(async (symbol: string, options: ShowOptions) => await show(session(), symbol, options))
  cache
    .command('clear')
    .description('shred what is kept of a symbol: its key, then its file')
    .argument('[symbol]')
    .option('--interval <interval>', 'default: all of them')
    .option('--all', 'of every symbol')
    .action(async (symbol: string | undefined, options: { readonly interval?: string; readonly all?: boolean }) => {
      await clear(session(), symbol, options)
    })
}

async function list(session: Session): Promise<void> {
  const { terminal } = session
  const symbols = await withReader(session, async (store) => await store.sessionCache.symbols())
  if (terminal.isJson) return await terminal.writeJson(symbols)
  if (symbols.length === 0) return terminal.notice('Nothing is cached.')
  const { text } = renderTable({
    columns: ['symbol', 'interval', 'bars', 'first', 'last', 'bytes', ''],
    rows: symbols.map(({ symbol, interval, bars, firstTs, lastTs, bytes, isDamaged }) =>
      [symbol, interval, bars, momentOf(firstTs), momentOf(lastTs), bytes, isDamaged ? 'damaged' : ''].map(tableCell),
    ),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}

function momentOf(ts: number | null): string {
  if (ts === null) return ''
  const date = new Date(ts)
  return Number.isNaN(date.getTime()) ? String(ts) : date.toISOString()
}

async function show(session: Session, symbol: string, options: ShowOptions): Promise<void> {
  const { terminal } = session
  const bars = await withReader(session, async (store) => await store.sessionCache.getBars(symbol, options))
  if (terminal.isJson) return await terminal.writeJson(bars.toRows())
  const columns = columnsOf(bars)
  await terminal.writeLine(columns.map(([name]) => csvName(name)).join(','))
  for (let first = 0; first < bars.length; first += LINES_AT_ONCE) {
    const lines: string[] = []
    for (let row = first; row < Math.min(first + LINES_AT_ONCE, bars.length); row++) {
      lines.push(columns.map(([, values]) => csvNumber(values[row] as number)).join(','))
    }
    await terminal.writeLine(lines.join('\n'))
  }
}

function columnsOf(bars: BarSeries): [string, Float64Array][] {
  return Object.entries(bars).flatMap(([name, values]): [string, Float64Array][] =>
    values instanceof Float64Array ? [[name, values]] : [],
  )
}

/** What is not there is empty. */
function csvNumber(value: number): string {
  return Number.isNaN(value) ? '' : String(value)
}

/** RFC 4180: a name with a comma or a quote stands in quotes. */
function csvName(name: string): string {
  const shown = visibleText(name)
  return /[",]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown
}

async function clear(
  session: Session,
  symbol: string | undefined,
  { interval, all = false }: { readonly interval?: string; readonly all?: boolean },
): Promise<void> {
  if (all === (symbol !== undefined) || (all && interval !== undefined)) {
    throw new StoreError('INVALID_ARGUMENT', 'Give a symbol to clear, with or without --interval, or --all.')
  }
  const { terminal } = session
  const cleared = await withOwner(session, async ({ sessionCache }) =>
    symbol === undefined ? await sessionCache.clearAll() : await sessionCache.clear(symbol, { interval }),
  )
  if (terminal.isJson) await terminal.writeJson({ cleared })
  else await terminal.writeLine(cleared === 0 ? 'There was nothing to clear.' : `Cleared ${counted(cleared, 'file')}.`)
}
