/** `holdfast skill`: save, read, search and judge skills. Reading works beside a running owner. */
import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { type SkillFilterOptions, type SkillSearchOptions, type SkillSummary, StoreError } from '../index.ts'
import { fileError } from './file-error.ts'
import { instantMs } from './instant.ts'
import { parseJsonDocument } from './json-document.ts'
import { withOwner, withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { readStandardInput } from './standard-input.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import { visibleText } from './visible-text.ts'
import { wholeNumber } from './whole-number.ts'

export function addSkillCommand(program: Command, session: () => Session): void {
  const skill = program.command('skill').description('skills: versioned code and text, with full-text search')
  skill
    .command('save')
    .description('save a new version; the same content again makes none')
    .argument('<name>')
    .option('--file <file>', 'where its content is; - for standard input', '-')
    .option('--kind <kind>', 'code, text or a word of your own')
    .option('--description <text>')
    .option('--tag <tag>', 'may be given several times', collected, [])
    .option('--depends-on <name[@version]>', 'a skill it builds on; may be given several times', collected, [])
    .option('--metadata <json>', 'a JSON object')
    .option('--note <text>', 'what is new')
    .addHelpText(
      'after',
      `
Examples:
  holdfast skill save btc-mean-reversion --kind code --file strategy.ts --tag btc --depends-on zscore@2
  holdfast skill save notes < notes.md`,
    )
    .action(async (name: string, options: SaveOptions) => await save(session(), name, options))
  skill
    .command('get')
    .description('the content of a skill; with --json everything about it')
    .argument('<name[@version]>')
    .action(async (name: string) => await get(session(), versionOf(name)))
  withFilters(skill.command('list'))
    .description('skills by name')
    .action(async (options: FilterOptions) => await list(session(), options))
  withFilters(skill.command('search'))
    .description('full-text search, best first')
    .argument('<words...>')
    .option('--any', 'any of the words instead of all')
    .addHelpText(
      'after',
      `
"a phrase" is found as a phrase, rever* what begins so, -word what has it not, a OR b either.

Examples:
  holdfast skill search mean reversion --min-sharpe 1 --tag live
  holdfast skill search '"mean reversion" -grid'`,
    )
    .action(async (words: string[], options: FilterOptions & { readonly any?: boolean }) => {
      await search(session(), words.join(' '), options)
    })
  skill
    .command('history')
    .description('all versions, newest first')
    .argument('<name>')
    .action(async (name: string) => await history(session(), name))
  skill
    .command('dependencies')
    .description('what it needs, in the order to load it')
    .argument('<name[@version]>')
    .action(async (name: string) => await dependencies(session(), versionOf(name)))
  skill
    .command('performance')
    .description('how it did, summed up; with --record how it did now')
    .argument('<name[@version]>', 'of all versions unless one is given; --record: of the current one')
    .option('--record <metric=number>', 'may be given several times', metric, {})
    .option('--at <moment>', 'when it was measured; default: now', instantMs)
    .addHelpText(
      'after',
      '\nExample:\n  holdfast skill performance btc-mean-reversion --record sharpe=1.8 --record winRate=0.56',
    )
    .action(async (name: string, options: PerformanceOptions) => await performance(session(), versionOf(name), options))
  skill
    .command('delete')
    .description('delete all versions; refused while others depend on it')
    .argument('<name>')
    .action(async (name: string) => await remove(session(), name))
}

function collected(value: string, before: string[]): string[] {
  return [...before, value]
}

function metric(text: string, before: Readonly<Record<string, number>>): Record<string, number> {
  const [, name, digits] = /^([^=]+)=([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i.exec(text) ?? []
  if (name === undefined || name === 'at')
    throw new InvalidArgumentError('Give a name and a number, such as sharpe=1.8.')
  return { ...before, [name]: Number(digits) }
}

function decimalNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Give a number.')
  return value
}

interface NamedVersion {
  readonly name: string
  readonly version: number | undefined
}

/** No name of a skill ends like this. */
function versionOf(text: string): NamedVersion {
  const [, name, version] = /^(.+)@(\d+)$/.exec(text) ?? []
  return name === undefined ? { name: text, version: undefined } : { name, version: Number(version) }
}

interface FilterOptions {
  readonly kind?: string
  readonly tag: readonly string[]
  readonly minSharpe?: number
  readonly limit?: number
}

function withFilters(command: Command): Command {
  return command
    .option('--kind <kind>')
    .option('--tag <tag>', 'has this one; may be given several times', collected, [])
    .option('--min-sharpe <number>', 'at least, in its newest record', decimalNumber)
    .option('--limit <n>', 'at most', wholeNumber)
}

function filterOf({ kind, tag, minSharpe, limit }: FilterOptions): SkillFilterOptions {
  return { kind, tags: tag, minSharpe, limit }
}

interface SaveOptions {
  readonly file: string
  readonly kind?: string
  readonly description?: string
  readonly tag: readonly string[]
  readonly dependsOn: readonly string[]
  readonly metadata?: string
  readonly note?: string
}

async function save(session: Session, name: string, options: SaveOptions): Promise<void> {
  const { kind, description, note, tag: tags } = options
  const content = options.file === '-' ? await readStandardInput() : await textOf(options.file)
  const metadata = options.metadata === undefined ? undefined : parseMetadata(options.metadata)
  const dependencies = options.dependsOn.map(dependencyOf)
  const { terminal } = session
  const saved = await withOwner(session, async ({ skills }) =>
    skills.save({ name, content, kind, description, note, tags, dependencies, metadata }),
  )
  if (terminal.isJson) return await terminal.writeJson(saved)
  await terminal.writeLine(saved.isNew ? `Version ${saved.version} saved.` : `Version ${saved.version} is the same.`)
}

async function textOf(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error) => {
    throw fileError(error, path, 'read')
  })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new StoreError('INVALID_DOCUMENT', `${path} is not UTF-8 text. Nothing was written.`)
  }
}

/** What is no object is refused with the skill. */
function parseMetadata(text: string) {
  const parsed = parseJsonDocument(text)
  if ('value' in parsed) return parsed.value as never
  throw new StoreError('INVALID_DOCUMENT', `--metadata can't be taken: ${parsed.problem}. Nothing was written.`)
}

function dependencyOf(text: string): string | { readonly name: string; readonly version: number } {
  const { name, version } = versionOf(text)
  return version === undefined ? name : { name, version }
}

async function get(session: Session, { name, version }: NamedVersion): Promise<void> {
  const { terminal } = session
  const found = await withReader(session, async ({ skills }) => await skills.get(name, version))
  if (found === undefined) throw notFound(name)
  if (terminal.isJson) await terminal.writeJson(found)
  else if (terminal.isTerminal) await terminal.writeLine(found.content.split('\n').map(visibleText).join('\n'))
  else await terminal.write(found.content)
}

async function list(session: Session, options: FilterOptions): Promise<void> {
  const { terminal } = session
  const found = await withReader(session, async ({ skills }) => await skills.list(filterOf(options)))
  if (terminal.isJson) return await terminal.writeJson(found)
  if (found.length === 0) return terminal.notice('There are none.')
  await writeTable(session, ['name', 'version', 'kind', 'sharpe', 'tags', 'description'], found.map(summaryCells))
}

function summaryCells({ name, version, kind, sharpe, tags, description }: SkillSummary): unknown[] {
  return [name, version, kind, sharpe, tags.join(', '), description]
}

async function search(
  session: Session,
  text: string,
  { any = false, ...filter }: FilterOptions & { readonly any?: boolean },
): Promise<void> {
  const { terminal } = session
  const options: SkillSearchOptions = { ...filterOf(filter), match: any ? 'any' : 'all' }
  const found = await withReader(session, async ({ skills }) => await skills.search(text, options))
  if (terminal.isJson) return await terminal.writeJson(found)
  if (found.length === 0) return terminal.notice('Nothing was found.')
  const rows = found.map(({ name, version, sharpe, tags, snippet }) => [
    name,
    version,
    sharpe,
    tags.join(', '),
    snippet,
  ])
  await writeTable(session, ['name', 'version', 'sharpe', 'tags', 'found'], rows)
}

async function history(session: Session, name: string): Promise<void> {
  const { terminal } = session
  const versions = await withReader(session, async ({ skills }) => await skills.history(name))
  if (versions.length === 0) throw notFound(name)
  if (terminal.isJson) return await terminal.writeJson(versions)
  const rows = versions.map(({ version, savedAt, kind, contentBytes, note }) => [
    version,
    new Date(savedAt).toISOString(),
    kind,
    contentBytes,
    note,
  ])
  await writeTable(session, ['version', 'saved', 'kind', 'bytes', 'note'], rows)
}

async function dependencies(session: Session, { name, version }: NamedVersion): Promise<void> {
  const { terminal } = session
  const needed = await withReader(session, async ({ skills }) => await skills.dependencies(name, version))
  if (terminal.isJson) return await terminal.writeJson(needed)
  for (const each of needed) await terminal.writeLine(visibleText(`${each.name}@${each.version}`))
}

interface PerformanceOptions {
  readonly record: Readonly<Record<string, number>>
  readonly at?: number
}

async function performance(
  session: Session,
  { name, version }: NamedVersion,
  { record, at }: PerformanceOptions,
): Promise<void> {
  const { terminal } = session
  if (Object.keys(record).length > 0) {
    const measured = { ...record, at }
    await withOwner(session, async ({ skills }) =>
      version === undefined
        ? await skills.recordPerformance(name, measured)
        : await skills.recordPerformance(name, version, measured),
    )
    if (terminal.isJson) await terminal.writeJson({ recorded: true })
    else await terminal.writeLine('Recorded.')
    return
  }
  const summary = await withReader(session, async ({ skills }) => {
    if ((await skills.get(name, version)) === undefined) throw notFound(name)
    return await skills.performance(name, version)
  })
  if (terminal.isJson) return await terminal.writeJson(summary)
  if (summary.records === 0) return terminal.notice('Nothing was recorded.')
  const rows = Object.entries(summary.metrics).map(([each, { count, mean, min, max, last }]) => [
    each,
    count,
    mean,
    min,
    max,
    last,
  ])
  await writeTable(session, ['metric', 'records', 'mean', 'min', 'max', 'last'], rows)
}

async function remove(session: Session, name: string): Promise<void> {
  const { terminal } = session
  const deleted = await withOwner(session, async ({ skills }) => await skills.delete(name))
  if (!deleted) throw notFound(name)
  if (terminal.isJson) await terminal.writeJson({ deleted })
  else await terminal.writeLine('Deleted.')
}

async function writeTable({ terminal }: Session, columns: readonly string[], rows: readonly (readonly unknown[])[]) {
  const { text } = renderTable({
    columns,
    rows: rows.map((row) => row.map(tableCell)),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}

function notFound(name: string): StoreError {
  return new StoreError('NOT_FOUND', 'There is no such skill, or it has no such version. See holdfast skill list.', {
    details: { name },
  })
}
