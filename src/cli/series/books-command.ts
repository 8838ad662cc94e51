import { type Command, Option } from 'commander'
import { type OrderBook, type ReadBooksOptions, readBooks } from '../../index.ts'
import { counted } from '../counted.ts'
import { instantMs } from '../instant.ts'
import { withOwner, withReader } from '../open-session-store.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { visibleText } from '../visible-text.ts'
import { wholeNumber } from '../whole-number.ts'
import { addBooksExport } from './export-books.ts'
import { formatOfName, seriesFile } from './series-file.ts'
import { printSeriesList } from './series-listing.ts'
import { timeText } from './show-series.ts'

const DEFAULT_DEPTH = 10

export function addBooksCommand(program: Command, session: () => Session): void {
  const command = program.command('books').description('order books: the book of any moment, events, import')
  command
    .command('list')
    .description('which order books there are')
    .action(async () => {
      const infos = await withReader(session(), (store) => store.series.list())
      await printSeriesList(
        session().terminal,
        infos.filter(({ kind }) => kind === 'books'),
      )
    })
  command
    .command('show')
    .description('the book as it was at a moment; default: the last one known')
    .argument('<symbol>')
    .option('--at <time>', 'a date, a date with a time, or Unix milliseconds', instantMs)
    .option('--depth <n>', `levels of each side; default ${DEFAULT_DEPTH}, with --json all`, wholeNumber)
    .action(async (symbol: string, { at, depth }: { readonly at?: number; readonly depth?: number }) => {
      const { terminal } = session()
      const levels = depth ?? (terminal.isJson ? undefined : DEFAULT_DEPTH)
      const book = await withReader(session(), (store) =>
        store.books.at(symbol, at ?? Date.now(), levels === undefined ? {} : { depth: levels }),
      )
      if (terminal.isJson) await terminal.writeJson(book)
      else await printBook(terminal, book)
    })
  addBooksExport(command, session)
  command
    .command('import')
    .description(
      'read a file of depth events, as Binance publishes them or as JSON; also gzipped, or - for standard input',
    )
    .argument('<symbol>')
    .argument('<file>')
    .addOption(
      new Option('--format <name>', 'default: what the name of the file says, else binance').choices([
        'binance',
        'json',
      ]),
    )
    .addOption(
      new Option('--time-unit <unit>', 'of the times; default: what their digits name').choices([
        's',
        'ms',
        'us',
        'ns',
      ]),
    )
    .action(async (symbol: string, path: string, options: ReadBooksOptions) => {
      await importBooks(session(), symbol, path, options)
    })
}

async function importBooks(session: Session, symbol: string, path: string, options: ReadBooksOptions): Promise<void> {
  const { terminal } = session
  const format = options.format ?? (formatOfName(path)?.startsWith('json') === true ? 'json' : 'binance')
  const progress = new Progress(`importing ${path}:`, terminal)
  let count = 0
  await withOwner(session, async (store) => {
    try {
      for await (const events of readBooks(seriesFile(path), { ...options, format })) {
        await store.books.append(symbol, events)
        count += events.length
        progress.add(events.length)
      }
    } finally {
      progress.end()
    }
  })
  if (terminal.isJson) await terminal.writeJson({ path, events: count })
  else await terminal.writeLine(`${path}: ${counted(count, 'event')}`)
}

async function printBook(terminal: Terminal, { symbol, eventTs, lastId, bids, asks }: OrderBook): Promise<void> {
  await terminal.writeLine(`${visibleText(symbol)} at ${timeText(eventTs)} (id ${lastId})`)
  const rows = Array.from({ length: Math.max(bids.length, asks.length) }, (_, i) =>
    [bids[i]?.[1], bids[i]?.[0], asks[i]?.[0], asks[i]?.[1]].map((text) => ({ text: text ?? '', isNumber: true })),
  )
  const { text } = renderTable({
    columns: ['bid amount', 'bid', 'ask', 'ask amount'],
    rows,
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}
