import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { type Command, Option } from 'commander'
import { type CollectionSpec, type Store, StoreError } from '../index.ts'
import { byteSize } from './byte-size.ts'
import { collectionSpecs } from './collection-specs.ts'
import { counted } from './counted.ts'
import { DOCUMENT_FORMATS, type DocumentFormat, formatDocuments } from './document-format.ts'
import { alreadyThere, writeExportFile } from './export-file.ts'
import { fileError } from './file-error.ts'
import { withReader } from './open-session-store.ts'
import { Progress } from './progress.ts'
import type { Session } from './session.ts'
import { type StoredDocument, storedCollection } from './stored-collection.ts'
import type { Terminal } from './terminal.ts'

interface ExportOptions {
  readonly out: string
  readonly format?: DocumentFormat
  readonly force?: boolean
}

interface ExportTarget {
  readonly spec: CollectionSpec
  readonly path: string
  readonly format: DocumentFormat
}

const STANDARD_OUTPUT = '-'

export function addExportCommand(program: Command, session: () => Session): void {
  program
    .command('export')
    .description('write collections to plain files: positions.json and so on')
    .argument('[collections...]', 'default: all of them')
    .option('--out <path>', 'a folder, or for one collection a .json or .jsonl file or - for standard output', '.')
    .addOption(
      new Option('--format <name>', 'default: json, or what the name of the file says').choices(DOCUMENT_FORMATS),
    )
    .option('--force', 'overwrite files that are there')
    .addHelpText(
      'after',
      `
The files are not encrypted; they get mode 0600. Sealed fields, such as the private keys of wallets, are not exported.
Beside a running owner the collections are not all of the same moment.

Examples:
  holdfast export positions orders --out backup/
  holdfast export trades --out trades.jsonl
  holdfast export fills --out - --format jsonl | gpg --encrypt -r desk > fills.jsonl.gpg`,
    )
    .action(async (names: readonly string[], options: ExportOptions) => await exportAll(session(), names, options))
}

async function exportAll(session: Session, names: readonly string[], options: ExportOptions): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const specs = await chosenSpecs(store, names)
    if (options.out === STANDARD_OUTPUT) return await exportToOutput(store, specs, options, terminal)
    const targets = planTargets(specs, options)
    if (options.force !== true) {
      for (const { path } of targets) if (existsSync(path)) throw alreadyThere(path)
    }
    if (!isFilePath(options.out)) await makeFolder(options.out)
    terminal.warn('The exported files are NOT encrypted. Protect them, and delete them when they have served.')
    for (const { spec } of targets) {
      if (spec.sealed.length > 0)
        terminal.warn(`${spec.name}: sealed fields are not exported (${spec.sealed.join(', ')}).`)
    }
    const written: { collection: string; path: string; documents: number; bytes: number }[] = []
    for (const target of targets) {
      const { documents, bytes } = await exportToFile(store, target, options, session)
      written.push({ collection: target.spec.name, path: target.path, documents, bytes })
      if (!terminal.isJson) {
        await terminal.writeLine(`${target.path}: ${counted(documents, 'document')}, ${byteSize(bytes)}`)
      }
    }
    if (terminal.isJson) await terminal.writeJson({ files: written })
  })
}

async function chosenSpecs(store: Store, names: readonly string[]): Promise<CollectionSpec[]> {
  const specs = await collectionSpecs(store)
  if (names.length === 0) return [...specs.values()]
  for (const name of names) store.collection(name)
  return [...new Set(names)].flatMap((name) => specs.get(name) ?? [])
}

/** @throws StoreError `INVALID_ARGUMENT` when several collections are to go into one file. */
function planTargets(specs: readonly CollectionSpec[], { out, format }: ExportOptions): ExportTarget[] {
  if (isFilePath(out)) {
    const spec = onlyOne(specs, out)
    return [{ spec, path: out, format: format ?? (extname(out) === '.json' ? 'json' : 'jsonl') }]
  }
  const chosen = format ?? 'json'
  return specs.map((spec) => ({ spec, path: join(out, `${spec.name}.${chosen}`), format: chosen }))
}

function isFilePath(out: string): boolean {
  return ['.json', '.jsonl', '.ndjson'].includes(extname(out))
}

function onlyOne(specs: readonly CollectionSpec[], out: string): CollectionSpec {
  const [spec, ...others] = specs
  if (spec !== undefined && others.length === 0) return spec
  const where = out === STANDARD_OUTPUT ? 'standard output' : `the file ${out}`
  throw new StoreError(
    'INVALID_ARGUMENT',
    `Only one collection fits into ${where}. Name one, or give a folder with --out.`,
  )
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fileError(error, path, 'written')
  }
}

async function exportToOutput(
  store: Store,
  specs: readonly CollectionSpec[],
  { format }: ExportOptions,
  terminal: Terminal,
): Promise<void> {
  const { name } = onlyOne(specs, STANDARD_OUTPUT)
  const texts = formatDocuments(storedCollection(store, name).stream(), format ?? 'json')
  for await (const text of texts) await terminal.write(text)
}

async function exportToFile(
  store: Store,
  { spec, path, format }: ExportTarget,
  { force }: ExportOptions,
  { terminal, interruption }: Session,
): Promise<{ readonly documents: number; readonly bytes: number }> {
  const progress = new Progress(`exporting ${spec.name}:`, terminal)
  let documents = 0
  async function* counted(): AsyncGenerator<StoredDocument> {
    for await (const document of storedCollection(store, spec.name).stream()) {
      documents += 1
      progress.add(1)
      yield document
    }
  }
  try {
    const bytes = await writeExportFile(counted(), { path, format, overwrite: force === true, interruption })
    return { documents, bytes }
  } finally {
    progress.end()
  }
}
