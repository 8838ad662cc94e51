import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { type WriteFormat, writeArrow, writeParquet, writeSeries } from '../../index.ts'
import { byteSize } from '../byte-size.ts'
import { counted } from '../counted.ts'
import { alreadyThere, writeNewFile } from '../export-file.ts'
import { instantMs } from '../instant.ts'
import { withReader } from '../open-session-store.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { noSuchSeries } from './no-such-series.ts'
import { STANDARD_STREAM } from './series-file.ts'
import type { SeriesKindCommands, SpanMs } from './series-kind.ts'

interface ExportOptions {
  readonly out: string
  readonly format?: ExportFormat
  readonly from?: number
  readonly to?: number
  readonly iso?: boolean
  readonly force?: boolean
}

type ExportFormat = WriteFormat | 'arrow' | 'feather' | 'parquet'

const FORMATS: readonly ExportFormat[] = ['csv', 'json', 'jsonl', 'arrow', 'feather', 'parquet']
const BARS_FORMATS: readonly ExportFormat[] = [...FORMATS, 'binance', 'ccxt', 'freqtrade']

export function addExportSeries(parent: Command, kind: SeriesKindCommands, session: () => Session): void {
  const command = parent.command('export').description('write a series to a plain file')
  for (const name of kind.arguments) command.argument(`<${name}>`)
  const formats = kind.name === 'bars' ? BARS_FORMATS : FORMATS
  command
    .option('--out <file>', 'or - for standard output', STANDARD_STREAM)
    .addOption(new Option('--format <name>', 'default: what the name of the file says, else csv').choices(formats))
    .option('--from <time>', 'a date, a date with a time, or Unix milliseconds', instantMs)
    .option('--to <time>', 'up to there, exclusive', instantMs)
    .option('--iso', 'times of CSV as dates in UTC instead of Unix milliseconds')
    .option('--force', 'overwrite a file that is there')
    .addHelpText(
      'after',
      `
The file is not encrypted; it gets mode 0600.

Example:
  holdfast ${kind.name} export ${kind.example} --from 2024-01-01 --out january.csv`,
    )
    .action(async (...given: unknown[]) => {
      const [options] = given.slice(-2) as [ExportOptions]
      await exportSeries(session(), kind, given.slice(0, -2) as string[], options)
    })
}

async function exportSeries(
  session: Session,
  kind: SeriesKindCommands,
  key: readonly string[],
  options: ExportOptions,
): Promise<void> {
  const { terminal } = session
  const { out } = options
  await withReader(session, async (store) => {
    const series = kind.one(store, key)
    if ((await series.info()) === null) throw noSuchSeries(kind, key)
    const format = options.format ?? FORMATS.find((name) => out.endsWith(`.${name}`)) ?? 'csv'
    const span: SpanMs = {
      ...(options.from === undefined ? {} : { from: options.from }),
      ...(options.to === undefined ? {} : { to: options.to }),
    }
    const progress = new Progress(`exporting to ${out}:`, terminal)
    let points = 0
    async function* counting(): AsyncGenerator<object> {
      for await (const chunk of series.scan(span)) {
        points += (chunk as { readonly ts: Float64Array }).ts.length
        progress.add((chunk as { readonly ts: Float64Array }).ts.length)
        yield chunk
      }
    }
    const pieces =
      format === 'parquet'
        ? writeParquet(counting())
        : format === 'arrow' || format === 'feather'
          ? writeArrow(counting(), { container: format === 'feather' ? 'file' : 'stream' })
          : writeSeries(counting(), { format, time: options.iso === true ? 'iso' : 'ms', ...intervalOf(key[1]) })
    if (out === STANDARD_STREAM) {
      for await (const piece of pieces) await terminal.write(piece)
      return
    }
    if (options.force !== true && existsSync(out)) throw alreadyThere(out)
    terminal.warn('The exported file is NOT encrypted. Protect it, and delete it when it has served.')
    const bytes = await writeNewFile(pieces, {
      path: out,
      overwrite: options.force === true,
      interruption: session.interruption,
    }).finally(() => progress.end())
    if (terminal.isJson) await terminal.writeJson({ path: out, points, bytes })
    else await terminal.writeLine(`${out}: ${counted(points, 'point')}, ${byteSize(bytes)}`)
  })
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The length of a bar, for klines; months have none. */
function intervalOf(interval: string | undefined): { intervalMs?: number } {
  const match = /^(\d+)([smhdw])$/.exec(interval ?? '')
  return match === null ? {} : { intervalMs: Number(match[1]) * (UNIT_MS[match[2] as string] as number) }
}
