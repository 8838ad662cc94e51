import { type Command, Option } from 'commander'
import { isStoreError, StoreError, type TimeUnit } from '../../index.ts'
import { counted } from '../counted.ts'
import { withOwner } from '../open-session-store.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { formatOfName, randomAccessFile, seriesFile } from './series-file.ts'
import type { SeriesKindCommands } from './series-kind.ts'

interface ImportOptions {
  readonly format?: string
  readonly timeUnit?: TimeUnit
  readonly utcOffset?: string
  readonly delimiter?: string
  readonly exact?: boolean
  readonly allowNan?: boolean
  readonly texts?: readonly string[]
  readonly dryRun?: boolean
}

export function addImportSeries(parent: Command, kind: SeriesKindCommands, session: () => Session): void {
  const command = parent
    .command('import')
    .description('read a file into a series; also gzipped, or - for standard input')
  for (const name of kind.arguments) command.argument(`<${name}>`)
  command
    .argument('<file>')
    .addOption(new Option('--format <name>', 'default: what the name of the file says').choices(kind.formats))
    .addOption(
      new Option('--time-unit <unit>', 'of times that are numbers; default: what their digits name').choices([
        's',
        'ms',
        'us',
        'ns',
      ]),
    )
    .option('--utc-offset <offset>', 'of dates that name none, such as -05:00; default: UTC')
    .option('--delimiter <character>', 'of CSV; default: a comma')
    .option('--allow-nan', 'take NaN and infinity as numbers')
    .option('--dry-run', 'read the file and write nothing')
  if (kind.name === 'ticks') command.option('--exact', 'keep the decimal digits of prices and amounts')
  if (kind.name === 'series')
    command.option('--texts <columns>', 'columns that hold texts, separated by commas', commaList)
  command
    .addHelpText(
      'after',
      `
A fault in the file ends the import with its line; what was before it has been written. What is there already is not
written twice, so the import can be run again.

Example:
  holdfast ${kind.name} import ${kind.example} file.csv.gz --format ${kind.formats.at(-1)}`,
    )
    .action(async (...given: unknown[]) => {
      const [options] = given.slice(-2) as [ImportOptions]
      const values = given.slice(0, -2) as string[]
      await importSeries(session(), kind, values.slice(0, -1), values.at(-1) as string, options)
    })
}

async function importSeries(
  session: Session,
  kind: SeriesKindCommands,
  key: readonly string[],
  path: string,
  options: ImportOptions,
): Promise<void> {
  const { terminal } = session
  const format = options.format ?? formatOfName(path)
  if (format === undefined || !kind.formats.includes(format)) {
    throw new StoreError('INVALID_ARGUMENT', `Name the format of the file: --format ${kind.formats.join('|')}.`)
  }
  await withOwner(session, async (store) => {
    const series = kind.one(store, key)
    const progress = new Progress(`importing ${path}:`, terminal)
    let points = 0
    let written = 0
    const file = format === 'parquet' ? await randomAccessFile(path) : undefined
    try {
      const chunks = kind.read(file ?? seriesFile(path), {
        format,
        ...(options.timeUnit === undefined ? {} : { timeUnit: options.timeUnit }),
        ...(options.utcOffset === undefined ? {} : { utcOffset: options.utcOffset }),
        ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
        ...(options.texts === undefined ? {} : { texts: options.texts }),
        exact: options.exact === true,
        allowNonFinite: options.allowNan === true,
      })
      for await (const chunk of chunks) {
        if (options.dryRun !== true) written += (await series.append(chunk, options.exact === true)).written
        points += chunk.ts.length
        progress.add(chunk.ts.length)
      }
    } catch (error) {
      throw placed(error, path, points)
    } finally {
      progress.end()
      await file?.close()
    }
    if (terminal.isJson) await terminal.writeJson({ path, points, written })
    else {
      const outcome = options.dryRun === true ? 'nothing written (--dry-run)' : `${written.toLocaleString('en-US')} new`
      await terminal.writeLine(`${path}: ${counted(points, 'point')}, ${outcome}`)
    }
  })
}

function placed(error: unknown, path: string, points: number): unknown {
  if (!isStoreError(error)) return error
  return new StoreError(
    error.code,
    `${path}: ${error.message} ${counted(points, 'point')} before it ${points === 1 ? 'was' : 'were'} read; it is safe to import the file again.`,
    { details: { ...error.details, path, points }, cause: error },
  )
}

export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}
