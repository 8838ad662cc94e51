/**
 * The files beside the databases in an archive: sealed chunks of artifacts, and yearly files of archived trades. They
 * lie in one pool for all generations, each under its name and the hash of its content, so that what did not change is
 * there once. A generation lists what any moment of it may need; a list is there before the segment that counts on it,
 * and it needs no key to be read: a standby goes by it, and so does what is removed from the pool.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson, type JsonValue } from '../../crypto/canonical-json.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { BackupTarget } from '../backup/target.ts'
import { ARCHIVE_AREA, damagedDocument, documentMac, numberOf, padded, readDocument } from './archive-files.ts'
import { sha256Hex } from './segment.ts'

/** Beside the generations, which are listed often. */
export const FILES_AREA = 'archive-files'
/** What keeps a list well below the bound of a document. */
export const MAX_LISTED = 2_000

const YEARLY = /^archive\/trades-\d{4}\.db$/
/** From the store directory. A standby writes to it, so nothing else may be named. */
const listedPath = z.string().regex(/^(?:blobs(?:\/[0-9a-z_-][0-9a-z._-]*)+|archive\/trades-\d{4}\.db)$/)
const POOLED = new RegExp(`^${FILES_AREA}/(.+)\\.([0-9a-f]{64})$`)

const listedFile = z.strictObject({
  path: listedPath,
  sha256: sha256Hex,
  bytes: z.int().nonnegative(),
  /** Of a yearly file, what its owner knows it by: as long as it looks like this, it need not be read again. */
  stamp: z.string().optional(),
})

const fileList = z.strictObject({
  format: z.literal('holdfast-archive-files'),
  version: z.literal(1),
  generation: z.string().min(1),
  number: z.int().min(1),
  files: z.array(listedFile).max(MAX_LISTED),
  /** SHA-256 of the canonical JSON of what is above. */
  checksum: sha256Hex,
  mac: sha256Hex,
})

export type ListedFile = z.infer<typeof listedFile>
export type FileList = z.infer<typeof fileList>

/** A blob never changes under its name; a yearly file does, and the newest copy is right for every moment before it. */
export function isYearly(path: string): boolean {
  return YEARLY.test(path)
}

export function pooledPath({ path, sha256 }: Pick<ListedFile, 'path' | 'sha256'>): string {
  return `${FILES_AREA}/${path}.${sha256}`
}

/** What the pool holds. */
export async function pooledFiles(target: BackupTarget, prefix = ''): Promise<ListedFile[]> {
  const found = await target.list(`${FILES_AREA}/${prefix}`)
  return found.flatMap(({ path: pooled, bytes }) => {
    const [, path, sha256] = POOLED.exec(pooled) ?? []
    return path === undefined || sha256 === undefined ? [] : [{ path, sha256, bytes }]
  })
}

function listsPrefix(generation: string): string {
  return `${ARCHIVE_AREA}/${generation}/files/`
}

export function listPath(generation: string, number: number): string {
  return `${listsPrefix(generation)}${padded(number)}.json`
}

export function listText(content: Pick<FileList, 'generation' | 'number' | 'files'>, macKey: Uint8Array): string {
  const { generation, number, files } = content
  const listed = { format: 'holdfast-archive-files', version: 1, generation, number, files } as const
  const checked = { ...listed, checksum: checksumOf(listed) }
  return JSON.stringify({ ...checked, mac: documentMac(checked, macKey) })
}

function checksumOf(content: object): string {
  return createHash('sha256')
    .update(canonicalJson(content as unknown as JsonValue))
    .digest('hex')
}

/** @param macKey null where there is no key @throws StoreError `ARCHIVE_DAMAGED`, `TARGET_FILE_MISSING` */
export async function readList(
  target: BackupTarget,
  generation: string,
  number: number,
  macKey: Uint8Array | null,
): Promise<FileList> {
  const path = listPath(generation, number)
  const list = await readDocument(target, path, fileList, macKey)
  const { checksum, mac: _, ...content } = list
  if (checksumOf(content) !== checksum) throw damagedDocument(path, 'its content and its checksum differ')
  if (list.generation !== generation || list.number !== number) {
    throw damagedDocument(path, 'it is a list of another place')
  }
  return list
}

/** Numbers of the lists of a generation, in order. */
export async function listNumbers(target: BackupTarget, generation: string): Promise<number[]> {
  const found = await target.list(listsPrefix(generation))
  return found
    .map(({ path }) => numberOf(path))
    .filter((number) => number !== undefined)
    .sort((left, right) => left - right)
}

/** All lists of a generation, oldest first; `damaged` says which can't be used. */
export async function readLists(
  target: BackupTarget,
  generation: string,
  macKey: Uint8Array | null,
): Promise<{ readonly files: ListedFile[]; readonly last: number; readonly damaged: readonly string[] }> {
  const numbers = await listNumbers(target, generation)
  const files: ListedFile[] = []
  const damaged: string[] = []
  const last = numbers.at(-1) ?? 0
  for (let number = 1; number <= last; number++) {
    try {
      files.push(...(await readList(target, generation, number, macKey)).files)
    } catch (error) {
      if (!isGap(error)) throw error
      damaged.push(error.message)
    }
  }
  return { files, last, damaged }
}

/** Something of an archive is damaged or gone, and not its place out of reach. */
export function isGap(error: unknown): error is StoreError {
  return error instanceof StoreError && (error.code === 'ARCHIVE_DAMAGED' || error.code === 'TARGET_FILE_MISSING')
}
