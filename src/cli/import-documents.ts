/**
 * Importing reads every file twice: once to judge all documents, and only when all of them are valid once more to write
 * them. So bad input writes nothing, however large it is, and memory stays bounded.
 *
 * What the second pass may still meet is the store's own refusal (a key that exists, a constraint, a full disk).
 * `insert` writes up to 10,000 documents in one transaction, so a file of that size is whole or absent; `put` writes in
 * small pieces, and can simply be run again.
 */
import { isStoreError, type Store, StoreError } from '../index.ts'
import { counted } from './counted.ts'
import { documentCheck } from './document-check.ts'
import { readDocumentTexts } from './document-file.ts'
import type { ImportSource } from './import-plan.ts'
import { parseJsonDocument, positionIn } from './json-document.ts'
import { Progress } from './progress.ts'
import { type StoredCollection, type StoredDocument, storedCollection } from './stored-collection.ts'
import type { Terminal } from './terminal.ts'

export type ImportMode = 'insert' | 'put'

const MAX_PROBLEMS_TOLD = 20
const PIECE_DOCUMENTS = 10_000
const PIECE_CHARACTERS = 16 * 1024 * 1024
/** How often a long pass lets signals in. */
const TURN_DOCUMENTS = 1_000

/** @throws StoreError `INVALID_DOCUMENT` with file, line and path of the first problems. */
export async function assertAllValid(sources: readonly ImportSource[], terminal: Terminal): Promise<void> {
  const problems: string[] = []
  let count = 0
  for (const source of sources) {
    for await (const problem of problemsOf(source, terminal)) {
      count += 1
      if (problems.length < MAX_PROBLEMS_TOLD) problems.push(problem)
    }
  }
  if (count === 0) return
  const more = count > problems.length ? `\n  … and ${(count - problems.length).toLocaleString('en-US')} more` : ''
  throw new StoreError(
    'INVALID_DOCUMENT',
    `Nothing was imported, because not every document is valid:\n${problems.map((each) => `  ${each}`).join('\n')}${more}\nCorrect them and import again.`,
    { details: { count, problems } },
  )
}

async function* problemsOf({ path, spec }: ImportSource, terminal: Terminal): AsyncGenerator<string> {
  const check = documentCheck(spec)
  const progress = new Progress(`checking ${path}:`, terminal)
  let count = 0
  try {
    for await (const { text, line } of readDocumentTexts(path)) {
      if (++count % TURN_DOCUMENTS === 0) await turn()
      progress.add(1)
      const parsed = parseJsonDocument(text)
      if ('problem' in parsed) yield `${path}:${line + lineOffset(text, parsed.offset)}: ${parsed.problem}`
      else for (const problem of check(parsed.value)) yield `${path}:${line}: ${problem}`
    }
  } catch (error) {
    if (!isStoreError(error) || error.code !== 'INVALID_DOCUMENT') throw error
    yield error.message
  } finally {
    progress.end()
  }
}

/** How many lines after the beginning of a document a fault in it lies; the text begins with what precedes it. */
function lineOffset(text: string, offset: number | undefined): number {
  if (offset === undefined) return 0
  const start = text.length - text.trimStart().length
  return Math.max(0, positionIn(text, offset).line - positionIn(text, start).line)
}

/** Writes the documents of a file that is known to be valid; returns how many. */
export async function importFile(
  store: Store,
  source: ImportSource,
  mode: ImportMode,
  terminal: Terminal,
): Promise<number> {
  const progress = new Progress(`importing ${source.path}:`, terminal)
  const durableBefore = durableDocuments(store)
  try {
    const collection = storedCollection(store, source.spec.name)
    const documents = readDocuments(source.path, progress)
    if (mode === 'put') return await collection.load(documentsOnly(documents))
    return await insertInPieces(collection, documents)
  } catch (error) {
    await store.flush().catch(() => undefined)
    throw await placed(error, source, durableDocuments(store) - durableBefore, mode)
  } finally {
    progress.end()
  }
}

interface ReadDocument {
  readonly document: StoredDocument
  /** Characters of its JSON. */
  readonly length: number
}

async function insertInPieces(collection: StoredCollection, documents: AsyncIterable<ReadDocument>): Promise<number> {
  let piece: StoredDocument[] = []
  let characters = 0
  let count = 0
  for await (const { document, length } of documents) {
    const isFull = piece.length === PIECE_DOCUMENTS || characters + length > PIECE_CHARACTERS
    if (isFull && piece.length > 0) {
      await collection.insertMany(piece)
      count += piece.length
      piece = []
      characters = 0
    }
    piece.push(document)
    characters += length
  }
  await collection.insertMany(piece)
  return count + piece.length
}

async function* readDocuments(path: string, progress: Progress): AsyncGenerator<ReadDocument> {
  let count = 0
  for await (const { text } of readDocumentTexts(path)) {
    if (++count % TURN_DOCUMENTS === 0) await turn()
    const parsed = parseJsonDocument(text)
    if ('problem' in parsed) throw new StoreError('INVALID_DOCUMENT', 'The file has changed while it was imported.')
    progress.add(1)
    yield { document: parsed.value as StoredDocument, length: text.length }
  }
}

async function* documentsOnly(documents: AsyncIterable<ReadDocument>): AsyncGenerator<StoredDocument> {
  for await (const { document } of documents) yield document
}

/** The store names the key of the document it refuses; a person wants its line, and what was written before. */
async function placed(
  error: unknown,
  { path, spec }: ImportSource,
  written: number,
  mode: ImportMode,
): Promise<unknown> {
  if (!isStoreError(error)) return error
  const { key } = error.details
  const lines = typeof key === 'string' ? await linesOfKey(path, spec.key, key) : []
  const place = lines.length === 0 ? path : `${path}:${lines.join(',')}`
  const again = mode === 'put' ? ' It is safe to import the same file again.' : ''
  return new StoreError(
    error.code,
    `${place}: ${error.message} ${counted(written, 'document')} of this file ${written === 1 ? 'was' : 'were'} written.${again}`,
    { details: { ...error.details, path, lines: lines.map(String), written }, cause: error },
  )
}

async function linesOfKey(path: string, keyField: string, key: string): Promise<number[]> {
  const lines: number[] = []
  for await (const { text, line } of readDocumentTexts(path)) {
    const parsed = parseJsonDocument(text)
    if ('value' in parsed && (parsed.value as StoredDocument)[keyField] === key) lines.push(line)
    if (lines.length === 2) break
  }
  return lines
}

export function durableDocuments(store: Store): number {
  const stats = store.stats()
  return stats.durableOperations + stats.market.durableOperations
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
