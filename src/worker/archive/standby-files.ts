/**
 * The files beside the databases of a standby: it takes what the lists of its generation name, before the segments that
 * count on it. A damaged or missing one keeps no commit from arriving; it is told, and asked for again.
 */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { BLOBS_FOLDER } from '../artifacts/blob-files.ts'
import type { BackupTarget } from '../backup/target.ts'
import { failpoint } from '../failpoint.ts'
import { YEARLY_DIRECTORY } from '../store-files.ts'
import { isGap, isYearly, type ListedFile, listNumbers, listPath, readList } from './file-list.ts'
import { fetchFile } from './restore-files.ts'

/** A yearly file of a newer base, until its databases take their places. */
export const COPY_SUFFIX = '.base'
const PART_SUFFIX = '.part'

export interface TakenFiles {
  /** Up to this list all is here. */
  readonly lists: number
  /** What could not be taken. */
  readonly problems: readonly string[]
}

export interface TakeFilesOptions {
  readonly target: BackupTarget
  readonly dir: string
  readonly generation: string
  /** Lists that need not be looked at again. */
  readonly after: number
  /** Yearly files of a base that is being copied are under another data key than the rest, maybe. */
  readonly isBase: boolean
  readonly isEnding: () => boolean
}

export async function takeFiles(options: TakeFilesOptions): Promise<TakenFiles> {
  const { target, dir, generation, after, isBase, isEnding } = options
  const last = (await listNumbers(target, generation)).at(-1) ?? 0
  const problems: string[] = []
  const yearly = new Map<string, { readonly file: ListedFile; readonly number: number }>()
  let lists = after
  const tell = (number: number, problem: string) => {
    problems.push(problem)
    lists = Math.min(lists, number - 1)
  }
  for (let number = after + 1; number <= last; number++) {
    if (problems.length === 0) lists = number
    let files: readonly ListedFile[] = []
    try {
      ;({ files } = await readList(target, generation, number, null))
    } catch (error) {
      if (!isGap(error)) throw error
      tell(number, `${listPath(generation, number)} is damaged or missing.`)
    }
    for (const file of files) {
      if (isEnding()) return { lists: Math.min(lists, number - 1), problems }
      if (isYearly(file.path)) yearly.set(file.path, { file, number })
      else if (!(await takeBlob(target, file, dir))) tell(number, `${file.path} is damaged or missing in the archive.`)
    }
  }
  for (const { file, number } of yearly.values()) {
    if (isEnding()) return { lists: Math.min(lists, number - 1), problems }
    const isTaken = await take(target, file, dir, isBase ? COPY_SUFFIX : '')
    if (!isTaken) tell(number, `${file.path} is damaged or missing in the archive.`)
  }
  return { lists, problems }
}

/** One of the right name and length is the right one. */
async function takeBlob(target: BackupTarget, file: ListedFile, dir: string): Promise<boolean> {
  const found = await stat(join(dir, file.path)).catch(() => undefined)
  return found?.size === file.bytes || (await take(target, file, dir, ''))
}

async function take(target: BackupTarget, file: ListedFile, dir: string, suffix: string): Promise<boolean> {
  if (!(await fetchFile(target, file, dir, PART_SUFFIX))) return false
  await failpoint('standby:file-fetched')
  const path = join(dir, file.path)
  await rename(`${path}${PART_SUFFIX}`, `${path}${suffix}`)
  await syncPath(dirname(path))
  return true
}

/** Removes blobs that the lists of the generation do not name: their moments are in generations before it. */
export async function removeUnlisted(target: BackupTarget, dir: string, generation: string): Promise<void> {
  const listed = new Set<string>()
  for (const number of await listNumbers(target, generation)) {
    for (const { path } of (await readList(target, generation, number, null)).files) listed.add(path)
  }
  const entries = await readdir(join(dir, BLOBS_FOLDER), { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !listed.has(path.slice(dir.length + 1))) await rm(path, { force: true })
  }
}

/** Yearly files of a newer base that wait for their place, or were not finished. */
async function unplacedYearly(dir: string, suffix: string): Promise<string[]> {
  const names = await readdir(join(dir, YEARLY_DIRECTORY)).catch(() => [])
  return names.filter((name) => name.endsWith(suffix)).map((name) => join(dir, YEARLY_DIRECTORY, name))
}

/** Together with the databases that are under the same key. */
export async function placeYearly(dir: string): Promise<void> {
  const copies = await unplacedYearly(dir, COPY_SUFFIX)
  for (const copy of copies) await rename(copy, copy.slice(0, -COPY_SUFFIX.length))
  if (copies.length > 0) await syncPath(join(dir, YEARLY_DIRECTORY))
}

export async function removeUnplaced(dir: string): Promise<void> {
  for (const suffix of [COPY_SUFFIX, PART_SUFFIX]) {
    for (const path of await unplacedYearly(dir, suffix)) await rm(path, { force: true })
  }
}
