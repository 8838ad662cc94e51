/** Which files an import reads, into which collections, in which order. Settled before a single document is read. */
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { type CollectionSpec, StoreError } from '../index.ts'
import { inOrderOfReference } from './collection-specs.ts'
import { fileError } from './file-error.ts'

export interface ImportSource {
  readonly path: string
  readonly spec: CollectionSpec
}

const EXTENSIONS = new Set(['.json', '.jsonl', '.ndjson'])

/** @throws StoreError `INVALID_ARGUMENT`, `UNKNOWN_COLLECTION`, `IO_ERROR`, `PERMISSION_DENIED` */
export async function planImport(
  paths: readonly string[],
  specs: ReadonlyMap<string, CollectionSpec>,
  collection: string | undefined,
): Promise<ImportSource[]> {
  const files: string[] = []
  for (const path of paths) files.push(...(await filesAt(path)))
  const sources = files.map((path) => ({ path, spec: specOf(path, specs, collection) }))
  const order = inOrderOfReference([...specs.values()])
  return sources.sort((a, b) => order.indexOf(a.spec) - order.indexOf(b.spec))
}

async function filesAt(path: string): Promise<string[]> {
  if (path === '-') {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'import reads each file twice, so it takes no pipe. Save the documents to a file.',
    )
  }
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter((name) => EXTENSIONS.has(extname(name)) && !name.startsWith('.')).sort()
    if (names.length > 0) return names.map((name) => join(path, name))
  } catch (error) {
    throw fileError(error, path, 'read')
  }
  throw new StoreError('INVALID_ARGUMENT', `${path} holds no .json or .jsonl file.`, { details: { path } })
}

function specOf(path: string, specs: ReadonlyMap<string, CollectionSpec>, given: string | undefined): CollectionSpec {
  const name = given ?? basename(path, extname(path))
  const spec = specs.get(name)
  if (spec !== undefined) return spec
  const hint = given === undefined ? ' Name the collection with --collection.' : ''
  const ownCollections = 'One of your own is there once a program that defines it has opened the store.'
  throw new StoreError(
    'UNKNOWN_COLLECTION',
    `There is no collection "${name}" to import ${path} into.${hint} ${ownCollections} There are: ${[...specs.keys()].join(', ')}.`,
    { details: { collection: name, path } },
  )
}
