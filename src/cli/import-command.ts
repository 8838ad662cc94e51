import { type Command, Option } from 'commander'
import { collectionSpecs } from './collection-specs.ts'
import { counted } from './counted.ts'
import { assertAllValid, durableDocuments, type ImportMode, importFile } from './import-documents.ts'
import { planImport } from './import-plan.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'

interface ImportOptions {
  readonly collection?: string
  readonly mode: ImportMode
}

export function addImportCommand(program: Command, session: () => Session): void {
  program
    .command('import')
    .description('read documents from plain files: an array in positions.json, one a line in positions.jsonl')
    .argument('<paths...>', 'files, or folders of .json and .jsonl files')
    .option('--collection <name>', 'the collection to import into; default: what the file is named for')
    .addOption(
      new Option('--mode <name>', 'put replaces documents that are there; insert refuses to')
        .choices(['put', 'insert'])
        .default('put'),
    )
    .addHelpText(
      'after',
      `
All files are read and checked first: unless every document is valid, nothing is written. The fields of a collection
that a program of yours has defined are known to that program alone; here only the key is checked.
Collections are imported in the order of their references. With --mode insert a file of up to 10,000 documents is
written whole or not at all; with --mode put an import that was broken off can be run again.
Numbers with more digits than a JSON number keeps are refused; write them as strings.

Examples:
  holdfast import backup/
  holdfast import old-trades.jsonl --collection trades --mode insert`,
    )
    .action(async (paths: readonly string[], options: ImportOptions) => await importAll(session(), paths, options))
}

async function importAll(session: Session, paths: readonly string[], options: ImportOptions): Promise<void> {
  const { terminal } = session
  await withOwner(session, async (store) => {
    const sources = await planImport(paths, await collectionSpecs(store), options.collection)
    await assertAllValid(sources, terminal)
    const forget = session.interruption.beforeEnd(async () => {
      await store.close()
      terminal.warn(`Interrupted; ${counted(durableDocuments(store), 'document')} had been written.`)
    })
    const imported: { path: string; collection: string; documents: number }[] = []
    for (const source of sources) {
      const documents = await importFile(store, source, options.mode, terminal)
      const { name } = source.spec
      imported.push({ path: source.path, collection: name, documents })
      if (!terminal.isJson) {
        await terminal.writeLine(`${source.path}: ${counted(documents, 'document')} into ${name}`)
      }
    }
    forget()
    if (terminal.isJson) await terminal.writeJson({ files: imported })
  })
}
