import type { Command } from 'commander'
import { StoreError } from '../index.ts'
import { collectionSpec } from './collection-specs.ts'
import { parseJsonDocument, positionIn } from './json-document.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'
import { readStandardInput } from './standard-input.ts'
import { type StoredDocument, storedCollection } from './stored-collection.ts'
import { wholeNumber } from './whole-number.ts'

interface PutOptions {
  readonly insert?: boolean
  readonly ifVersion?: number
}

export function addPutCommand(program: Command, session: () => Session): void {
  program
    .command('put')
    .description('write a document, in place of the one with its key if there is one')
    .argument('<collection>')
    .argument('[document]', 'JSON; - or nothing reads it from standard input')
    .option('--insert', 'fail when there is a document with this key')
    .option('--if-version <n>', 'fail unless the stored document has this version (0: there is none)', wholeNumber)
    .addHelpText(
      'after',
      `
An argument can be seen by other processes and stays in the history of the shell: give secrets through standard input.
Numbers with more digits than a JSON number keeps are refused; write them as strings.

Examples:
  holdfast put kv '{"key":"mode","value":"paper"}'
  holdfast put wallets - < wallet.json`,
    )
    .action(async (collection: string, document: string | undefined, options: PutOptions) => {
      await put(session(), collection, document, options)
    })
}

async function put(
  session: Session,
  name: string,
  argument: string | undefined,
  { insert, ifVersion }: PutOptions,
): Promise<void> {
  const { terminal } = session
  if (insert === true && ifVersion !== undefined) {
    throw new StoreError('INVALID_ARGUMENT', 'Give --insert or --if-version: an insert has no version to compare with.')
  }
  const document = parseDocument(await documentText(argument))
  await withOwner(session, async (store) => {
    const collection = storedCollection(store, name)
    if (insert === true) await collection.insert(document)
    else await collection.put(document, ifVersion === undefined ? {} : { ifVersion })
    const key = String((document as StoredDocument)[(await collectionSpec(store, name)).key])
    const version = (await collection.entry(key))?.version
    if (terminal.isJson) await terminal.writeJson({ collection: name, key, version })
    else await terminal.writeLine(`Put ${name}/${key}, now at version ${version}.`)
  })
}

async function documentText(argument: string | undefined): Promise<string> {
  if (argument !== undefined && argument !== '-') return argument
  if (argument === undefined && process.stdin.isTTY) {
    throw new StoreError('INVALID_ARGUMENT', 'No document given. Give it as JSON, or pipe it into the command.')
  }
  return await readStandardInput()
}

function parseDocument(text: string): unknown {
  const parsed = parseJsonDocument(text)
  if ('value' in parsed) return parsed.value
  const { line, column } = positionIn(text, parsed.offset ?? 0)
  const place = parsed.offset === undefined ? '' : ` (line ${line}, column ${column})`
  throw new StoreError(
    'INVALID_DOCUMENT',
    `The document can't be taken: ${parsed.problem}${place}. Nothing was written.`,
  )
}
