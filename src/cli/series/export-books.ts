import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { type BookEvent, type BookWriteFormat, writeBooks } from '../../index.ts'
import { byteSize } from '../byte-size.ts'
import { counted } from '../counted.ts'
import { alreadyThere, writeNewFile } from '../export-file.ts'
import { instantMs } from '../instant.ts'
import { withReader } from '../open-session-store.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { noSuchBook } from './no-such-series.ts'
import { formatOfName, STANDARD_STREAM } from './series-file.ts'

interface ExportOptions {
  readonly out: string
  readonly format?: BookWriteFormat
  readonly from?: number
  readonly to?: number
  readonly force?: boolean
}

const FORMATS: readonly BookWriteFormat[] = ['csv', 'json', 'jsonl']

export function addBooksExport(parent: Command, session: () => Session): void {
  parent
    .command('export')
    .description('write the events of an order book to a plain file, which books import reads')
    .argument('<symbol>')
    .option('--out <file>', 'or - for standard output', STANDARD_STREAM)
    .addOption(
      new Option('--format <name>', 'default: what the name of the file says, else csv, as Binance has it').choices(
        FORMATS,
      ),
    )
    .option('--from <time>', 'a date, a date with a time, or Unix milliseconds', instantMs)
    .option('--to <time>', 'up to there, exclusive', instantMs)
    .option('--force', 'overwrite a file that is there')
    .addHelpText('after', '\nThe file is not encrypted; it gets mode 0600.')
    .action(async (symbol: string, options: ExportOptions) => await exportBooks(session(), symbol, options))
}

async function exportBooks(session: Session, symbol: string, options: ExportOptions): Promise<void> {
  const { terminal } = session
  const { out, from, to, force = false } = options
  const format = options.format ?? FORMATS.find((name) => name === formatOfName(out)) ?? 'csv'
  await withReader(session, async (store) => {
    const infos = await store.series.list()
    if (!infos.some((info) => info.kind === 'books' && info.symbol === symbol)) throw noSuchBook(symbol)
    const progress = new Progress(`exporting to ${out}:`, terminal)
    let count = 0
    async function* counting(): AsyncGenerator<BookEvent[]> {
      const span = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
      for await (const events of store.books.scan(symbol, span)) {
        count += events.length
        progress.add(events.length)
        yield events
      }
    }
    const pieces = writeBooks(counting(), { format, symbol })
    if (out === STANDARD_STREAM) {
      for await (const piece of pieces) await terminal.write(piece)
      return
    }
    if (!force && existsSync(out)) throw alreadyThere(out)
    terminal.warn('The exported file is NOT encrypted. Protect it, and delete it when it has served.')
    const bytes = await writeNewFile(pieces, {
      path: out,
      overwrite: force,
      interruption: session.interruption,
    }).finally(() => progress.end())
    if (terminal.isJson) await terminal.writeJson({ path: out, events: count, bytes })
    else await terminal.writeLine(`${out}: ${counted(count, 'event')}, ${byteSize(bytes)}`)
  })
}
