/** `holdfast artifact`: files in and out of the store, streamed; what is known of them; upkeep. */
import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import { type ArtifactReference, type ArtifactVersion, type JsonValue, type Store, StoreError } from '../index.ts'
import { gatherMetadata, gatherMetrics, gatherParents, gatherTexts, versionOrTag } from './artifact-arguments.ts'
import { byteSize } from './byte-size.ts'
import { counted } from './counted.ts'
import { durationMs } from './duration.ts'
import { EXIT } from './exit-codes.ts'
import { writeNewFile } from './export-file.ts'
import { fileError } from './file-error.ts'
import { withOwner, withReader } from './open-session-store.ts'
import { Progress } from './progress.ts'
import type { Session } from './session.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import { visibleText } from './visible-text.ts'
import { wholeNumber } from './whole-number.ts'

interface PutOptions {
  readonly tag?: readonly string[]
  readonly metadata?: Readonly<Record<string, JsonValue>>
  readonly metric?: Readonly<Record<string, number>>
  readonly parent?: readonly ArtifactReference[]
  readonly uploadId?: string
}

interface GetOptions {
  readonly out?: string
  readonly force?: boolean
}

interface ListOptions {
  readonly prefix?: string
  readonly tag?: string
}

export function addArtifactCommand(program: Command, session: () => Session): void {
  const artifact = program
    .command('artifact')
    .description('models, data sets and other large files, in versions')
    .addHelpText(
      'after',
      `
Examples:
  holdfast artifact put model model.onnx --tag candidate --metric sharpe=1.8 --parent features@12
  holdfast artifact get model production --out model.onnx
  holdfast artifact tag model 3 production
  holdfast artifact verify`,
    )
  artifact
    .command('put')
    .description('store a file as the next version; after a broken one, the same command goes on')
    .argument('<name>')
    .argument('<file>', '- for standard input')
    .option('--tag <tag>', 'put this tag on it; may be repeated', gatherTexts)
    .option('--metadata <name=value>', 'text, or JSON; may be repeated', gatherMetadata)
    .option('--metric <name=number>', 'may be repeated', gatherMetrics)
    .option('--parent <name@version>', 'what it was made from; may be repeated', gatherParents)
    .option('--upload-id <id>', 'makes a version once, however often this is run')
    .action(async (name: string, file: string, options: PutOptions) => await put(session(), name, file, options))
  artifact
    .command('get')
    .description('write a version to a file, or to standard output')
    .argument('<name>')
    .argument('[version]', 'a number or a tag; default: the newest')
    .option('--out <file>', 'write it there, whole or not at all')
    .option('--force', 'replace the file')
    .action(async (name: string, version: string | undefined, options: GetOptions) => {
      await get(session(), name, versionOrTag(version), options)
    })
  artifact
    .command('list')
    .description('list artifacts, each at its newest version')
    .option('--prefix <text>', 'only names that begin with it')
    .option('--tag <tag>', 'only artifacts that have it, each at the version it is on')
    .action(async (options: ListOptions) => await list(session(), options))
  artifact
    .command('versions')
    .description('list the versions of an artifact, newest first')
    .argument('<name>')
    .action(async (name: string) => {
      const found = await withReader(session(), (store) => store.artifacts.versions(name))
      await writeVersions(session().terminal, found)
    })
  artifact
    .command('info')
    .description('show what is known of a version, and its lineage')
    .argument('<name>')
    .argument('[version]', 'a number or a tag; default: the newest')
    .action(async (name: string, version: string | undefined) => await info(session(), name, versionOrTag(version)))
  artifact
    .command('tag')
    .description('put a tag on a version, from wherever it is')
    .argument('<name>')
    .argument('<version>', 'a number', wholeNumber)
    .argument('<tag>')
    .action(async (name: string, version: number, tag: string) => {
      await change(session(), { name, version, tag }, `${name} version ${version} is ${tag} now.`, (store) =>
        store.artifacts.tag(name, version, tag),
      )
    })
  artifact
    .command('untag')
    .description('take a tag away')
    .argument('<name>')
    .argument('<tag>')
    .action(async (name: string, tag: string) => {
      await change(session(), { name, tag }, `No version of ${name} is ${tag} now.`, (store) =>
        store.artifacts.untag(name, tag),
      )
    })
  artifact
    .command('metrics')
    .description('add to the metrics of a version')
    .argument('<name>')
    .argument('<version>', 'a number', wholeNumber)
    .requiredOption('--metric <name=number>', 'may be repeated', gatherMetrics)
    .action(async (name: string, version: number, { metric }: { readonly metric: Record<string, number> }) => {
      await change(session(), { name, version, metrics: metric }, `Recorded for ${name} version ${version}.`, (store) =>
        store.artifacts.recordMetrics(name, version, metric),
      )
    })
  artifact
    .command('verify')
    .description(`read and authenticate every chunk; exits with ${EXIT.checkFoundErrors} when there is damage`)
    .argument('[name]', 'default: all artifacts')
    .action(async (name: string | undefined) => {
      process.exitCode = await verify(session(), name)
    })
  artifact
    .command('delete')
    .description('delete a version; what no other version needs can never be decrypted again')
    .argument('<name>')
    .argument('[version]', 'a number', wholeNumber)
    .option('--all-versions', 'instead of one')
    .action(async (name: string, version: number | undefined, options: { readonly allVersions?: boolean }) => {
      await deleteVersions(session(), name, version, options.allVersions === true)
    })
  artifact
    .command('gc')
    .description('remove what crashes and broken puts have left')
    .option('--unfinished-older-than <duration>', 'puts that were not taken up for as long; default 24h', durationMs)
    .action(async ({ unfinishedOlderThan }: { readonly unfinishedOlderThan?: number }) => {
      await collectGarbage(session(), unfinishedOlderThan)
    })
}

async function put(session: Session, name: string, file: string, options: PutOptions): Promise<void> {
  const { terminal } = session
  const { tag, metadata, metric, parent, uploadId } = options
  const progress = new Progress('bytes', terminal)
  const stored = await withOwner(session, (store) =>
    store.artifacts.put(name, counting(pieces(file), progress), {
      ...(tag === undefined ? {} : { tags: tag }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(metric === undefined ? {} : { metrics: metric }),
      ...(parent === undefined ? {} : { parents: parent }),
      ...(uploadId === undefined ? {} : { uploadId }),
    }),
  ).finally(() => progress.end())
  if (terminal.isJson) return await terminal.writeJson(stored)
  const { version, bytes, newBytes } = stored
  await terminal.writeLine(
    `Stored ${visibleText(name)} version ${version}: ${byteSize(bytes)}, of which ${byteSize(newBytes)} had to be written.`,
  )
}

async function* pieces(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1024 * 1024 })
  } catch (error) {
    throw fileError(error, file === '-' ? 'standard input' : file, 'read')
  }
}

async function* counting(source: AsyncIterable<Uint8Array>, progress: Progress): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    progress.add(piece.length)
    yield piece
  }
}

async function get(
  session: Session,
  name: string,
  version: number | string | undefined,
  { out, force }: GetOptions,
): Promise<void> {
  const { terminal, interruption } = session
  if (out === undefined && terminal.isJson) {
    throw new StoreError('INVALID_ARGUMENT', 'With --json, say where the content goes: --out <file>.')
  }
  if (out === undefined && terminal.isTerminal) {
    throw new StoreError('INVALID_ARGUMENT', 'This would fill the terminal. Give --out <file>, or redirect the output.')
  }
  await withReader(session, async (store) => {
    const stream = store.artifacts.get(name, version)
    const found = await stream.info()
    if (out === undefined) {
      for await (const piece of stream) await terminal.write(piece)
      return
    }
    const progress = new Progress('bytes', terminal)
    const content = counting(stream, progress)
    await writeNewFile(content, { path: out, overwrite: force === true, interruption }).finally(() => progress.end())
    if (terminal.isJson) await terminal.writeJson({ ...found, file: out })
    else await terminal.writeLine(`${visibleText(name)} version ${found.version}: ${byteSize(found.bytes)} in ${out}.`)
  })
}

async function list(session: Session, { prefix, tag }: ListOptions): Promise<void> {
  const found = await withReader(session, async (store) => {
    const all: ArtifactVersion[] = []
    for (let after: string | undefined; ; ) {
      const page = await store.artifacts.list({
        ...(prefix === undefined ? {} : { prefix }),
        ...(tag === undefined ? {} : { tag }),
        ...(after === undefined ? {} : { after }),
      })
      if (page.length === 0) return all
      all.push(...page)
      after = page.at(-1)?.name
    }
  })
  await writeVersions(session.terminal, found)
}

async function writeVersions(terminal: Terminal, versions: readonly ArtifactVersion[]): Promise<void> {
  if (terminal.isJson) return await terminal.writeJson(versions)
  if (versions.length === 0) return terminal.remark('No artifact.')
  const columns = ['name', 'version', 'size', 'created', 'tags', 'metrics']
  const { text } = renderTable({
    columns,
    rows: versions.map(({ name, version, bytes, createdAt, tags, metrics }) => [
      tableCell(name),
      tableCell(version),
      tableCell(byteSize(bytes)),
      tableCell(new Date(createdAt).toISOString()),
      tableCell(tags.join(' ')),
      tableCell(pairs(metrics)),
    ]),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}

async function info(session: Session, name: string, version: number | string | undefined): Promise<void> {
  const { terminal } = session
  const { found, lineage } = await withReader(session, async (store) => {
    const known = await store.artifacts.info(name, version)
    return { found: known, lineage: await store.artifacts.lineage(name, known.version) }
  })
  if (terminal.isJson) return await terminal.writeJson({ ...found, lineage })
  const relatives = (of: typeof lineage.ancestors) =>
    of.map((each) => `${each.name}@${each.version}${each.isDeleted ? ' (deleted)' : ''}`).join(', ')
  const facts: readonly (readonly [string, string])[] = [
    ['size', `${byteSize(found.bytes)} in ${counted(found.chunks, 'chunk')}`],
    ['created', new Date(found.createdAt).toISOString()],
    ['tags', found.tags.join(', ')],
    ['metrics', pairs(found.metrics)],
    ['metadata', pairs(found.metadata)],
    ['made from', relatives(lineage.ancestors)],
    ['made into', relatives(lineage.descendants)],
  ]
  await terminal.writeLine(`${visibleText(found.name)} version ${found.version}`)
  for (const [label, text] of facts) {
    if (text !== '') await terminal.writeLine(`  ${label.padEnd(10)} ${visibleText(text)}`)
  }
}

function pairs(values: Readonly<Record<string, JsonValue>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}

async function change(
  session: Session,
  what: object,
  words: string,
  make: (store: Store) => Promise<void>,
): Promise<void> {
  const { terminal } = session
  await withOwner(session, make)
  if (terminal.isJson) await terminal.writeJson(what)
  else await terminal.writeLine(visibleText(words))
}

async function verify(session: Session, name: string | undefined): Promise<number> {
  const { terminal } = session
  const progress = new Progress('bytes', terminal)
  let shown = 0
  const onProgress = ({ bytes }: { readonly bytes: number }) => {
    progress.add(bytes - shown)
    shown = bytes
  }
  const { chunks, bytes, damage } = await withReader(session, (store) =>
    store.artifacts.verify(name, { onProgress }),
  ).finally(() => progress.end())
  if (terminal.isJson) await terminal.writeJson({ ok: damage.length === 0, chunks, bytes, damage })
  else {
    for (const each of damage) {
      await terminal.writeLine(visibleText(`${each.name} version ${each.version}: ${each.file} is ${each.problem}`))
    }
    if (damage.length === 0) await terminal.writeLine(`${counted(chunks, 'chunk')}, ${byteSize(bytes)}: all as stored.`)
  }
  return damage.length === 0 ? EXIT.ok : EXIT.checkFoundErrors
}

async function deleteVersions(
  session: Session,
  name: string,
  version: number | undefined,
  allVersions: boolean,
): Promise<void> {
  const { terminal } = session
  if ((version === undefined) !== allVersions) {
    throw new StoreError('INVALID_ARGUMENT', 'Say which version to delete, or --all-versions.')
  }
  const deletion = await withOwner(session, (store) => store.artifacts.delete(name, version))
  if (terminal.isJson) return await terminal.writeJson(deletion)
  await terminal.writeLine(`${counted(deletion.versions, 'version')} deleted, ${byteSize(deletion.freedBytes)} freed.`)
}

async function collectGarbage(session: Session, unfinishedOlderThanMs: number | undefined): Promise<void> {
  const { terminal } = session
  const garbage = await withOwner(session, (store) =>
    store.artifacts.collectGarbage(unfinishedOlderThanMs === undefined ? {} : { unfinishedOlderThanMs }),
  )
  if (terminal.isJson) return await terminal.writeJson(garbage)
  if (garbage.isDeferred)
    terminal.warn('A backup, or the archive, needs files of an earlier moment. Run this again later.')
  await terminal.writeLine(`${counted(garbage.files, 'file')} removed, ${byteSize(garbage.freedBytes)} freed.`)
}
