/**
 * Looks for what was written in the files of a store. A search that finds nothing proves something only if it would have
 * found it: so the same search goes through files of the same values in clear, and has to find every one.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { ENCODINGS } from './encodings.ts'
import { PatternSearch } from './pattern-search.ts'
import type { StoredState } from './state-documents.ts'

export interface PlaintextSearch {
  readonly values: number
  readonly encodings: number
  readonly files: number
  readonly bytes: number
  /** Files with something in clear, and in which encoding; none is as it should be. */
  readonly hits: readonly string[]
  /** Of the values: found in the files made in clear, in the encoding where it found least. */
  readonly foundInControl: number
}

interface Tag {
  readonly encoding: string
}

export async function searchPlaintext(
  dirs: readonly string[],
  values: readonly string[],
  documents: StoredState['documents'],
  secrets: readonly string[],
  controlDir: string,
): Promise<PlaintextSearch> {
  const search = new PatternSearch<Tag>()
  for (const value of values) {
    for (const { name, patterns } of ENCODINGS) {
      const tag: Tag = { encoding: name }
      for (const pattern of patterns(value)) search.add(pattern, tag)
    }
  }
  const hits = new Set<string>()
  let files = 0
  let bytes = 0
  for (const dir of dirs) {
    for (const path of await filesBelow(dir)) {
      const content = await readFile(path)
      files += 1
      bytes += content.length
      for (const { encoding } of search.find(content)) hits.add(`${relative(dir, path)} (${encoding})`)
    }
  }
  const foundInControl = await searchControl(search, documents, secrets, controlDir)
  return { values: values.length, encodings: ENCODINGS.length, files, bytes, hits: [...hits], foundInControl }
}

/** The same documents and secrets in clear, once in each encoding, for as long as it takes to search them. */
async function searchControl(
  search: PatternSearch<Tag>,
  documents: StoredState['documents'],
  secrets: readonly string[],
  controlDir: string,
): Promise<number> {
  const text = JSON.stringify({ documents, secrets })
  await mkdir(controlDir, { recursive: true, mode: 0o700 })
  try {
    let least = Number.POSITIVE_INFINITY
    for (const [index, { name, encode }] of ENCODINGS.entries()) {
      const path = join(controlDir, `export-${index}`)
      await writeFile(path, encode(text))
      const found = search.find(await readFile(path))
      least = Math.min(least, [...found].filter(({ encoding }) => encoding === name).length)
    }
    return least
  } finally {
    await rm(controlDir, { recursive: true, force: true })
  }
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
