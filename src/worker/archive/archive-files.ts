/** Where an archive keeps what, and the documents in it: a generation is a base, segments behind it, and a head. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson, type JsonValue } from '../../crypto/canonical-json.ts'
import { parseKeyring } from '../../crypto/keyring.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import type { BackupTarget } from '../backup/target.ts'
import { sha256Hex } from './segment.ts'

/** Everything is below this, so that backups can be kept in the same place. */
export const ARCHIVE_AREA = 'archive'

const NUMBER_DIGITS = 10
/** A newer or a whole copy may be beside it. */
const LOST_COPY: ReadonlySet<string> = new Set([
  'KEYRING_CORRUPT',
  'NOT_A_STORE',
  'ARCHIVE_DAMAGED',
  'TARGET_FILE_MISSING',
])
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

const TIME_OF_NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-/

/**
 * Sorts behind every name that is there: the order of names is the order of generations, and a clock may have been set
 * back since the last of them.
 */
export function generationName(now: Date, random: string, names: readonly string[]): string {
  const latestMs = Math.max(...names.map(timeOfName), -1)
  const at = new Date(Math.max(now.getTime(), latestMs + 1))
  return `${at.toISOString().replaceAll(/[-:.]/g, '')}-${random}`
}

function timeOfName(name: string): number {
  const [, year, month = 1, ...rest] = (TIME_OF_NAME.exec(name) ?? []).map(Number)
  return year === undefined ? -1 : Date.UTC(year, month - 1, ...rest)
}

export function basePath(generation: string, file: DatabaseFile): string {
  return `${ARCHIVE_AREA}/${generation}/base/${file}.db`
}

/** Written last: a generation without it was never finished. */
export function manifestPath(generation: string): string {
  return `${ARCHIVE_AREA}/${generation}/manifest.json`
}

export function headPath(generation: string): string {
  return `${ARCHIVE_AREA}/${generation}/head.json`
}

export function segmentsPrefix(generation: string, file: DatabaseFile): string {
  return `${ARCHIVE_AREA}/${generation}/${file}/`
}

export function segmentPath(generation: string, file: DatabaseFile, number: number): string {
  return `${segmentsPrefix(generation, file)}${padded(number)}.segment`
}

export function keyringPrefix(generation: string): string {
  return `${ARCHIVE_AREA}/${generation}/keyring/`
}

/** Each is kept twice: the newest is what everything else is opened by. */
export function keyringPaths(generation: string, number: number): readonly [first: string, second: string] {
  const path = `${keyringPrefix(generation)}${padded(number)}`
  return [`${path}.json`, `${path}.copy.json`]
}

export function padded(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0')
}

/** The number in the name of a segment or a keyring. */
export function numberOf(path: string): number | undefined {
  const match = /\/(\d{10})\.(?:segment|json|copy\.json)$/.exec(path)
  return match === null ? undefined : Number(match[1])
}

const fileBase = z.strictObject({
  sha256: sha256Hex,
  bytes: z.int().positive(),
  /** False when it is a database only together with the first segment. */
  isWhole: z.boolean(),
})

const manifest = z.strictObject({
  format: z.literal('holdfast-archive'),
  version: z.literal(1),
  storeId: z.uuid(),
  generation: z.string().min(1),
  createdAt: z.iso.datetime(),
  createdAtMs: z.number(),
  session: z.int().nonnegative(),
  /** Of state.db: everything up to this batch is in the base. */
  sequence: z.number(),
  pageBytes: z.int().min(512).max(65_536),
  files: z.strictObject({ state: fileBase, market: fileBase }),
  mac: sha256Hex,
})

export type Manifest = z.infer<typeof manifest>

const fileHead = z.strictObject({
  segments: z.int().nonnegative(),
  sha256: sha256Hex,
  sequence: z.number().nullable(),
  timeMs: z.number(),
})

const head = z.strictObject({
  format: z.literal('holdfast-archive-head'),
  version: z.literal(1),
  generation: z.string().min(1),
  files: z.strictObject({ state: fileHead, market: fileHead }),
  mac: sha256Hex,
})

export type FileHead = z.infer<typeof fileHead>
/** How far a generation reaches: what is missing behind its last segment shows by this. */
export type Head = z.infer<typeof head>

type WithoutMac<T> = Omit<T, 'mac'>

export function manifestText(content: WithoutMac<Manifest>, macKey: Uint8Array): string {
  return JSON.stringify({ ...content, mac: documentMac(content, macKey) })
}

export function headText(content: WithoutMac<Head>, macKey: Uint8Array): string {
  return JSON.stringify({ ...content, mac: documentMac(content, macKey) })
}

export function documentMac(content: object, macKey: Uint8Array): string {
  return createHmac('sha256', macKey)
    .update(canonicalJson(content as unknown as JsonValue))
    .digest('hex')
}

/** @param macKey null where there is no key @throws StoreError `ARCHIVE_DAMAGED`, `TARGET_FILE_MISSING`, `STORE_FROM_FUTURE` */
export async function readManifest(
  target: BackupTarget,
  generation: string,
  macKey: Uint8Array | null,
): Promise<Manifest> {
  return await readDocument(target, manifestPath(generation), manifest, macKey)
}

/** Undefined when there is none: a generation that has just begun. */
export async function readHead(
  target: BackupTarget,
  generation: string,
  macKey: Uint8Array | null,
): Promise<Head | undefined> {
  try {
    return await readDocument(target, headPath(generation), head, macKey)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'TARGET_FILE_MISSING') return undefined
    throw error
  }
}

export async function readDocument<T extends { readonly mac: string }>(
  target: BackupTarget,
  path: string,
  schema: z.ZodType<T>,
  macKey: Uint8Array | null,
): Promise<T> {
  const bytes = await readWhole(target, path)
  let document: T
  try {
    const json = JSON.parse(bytes.toString('utf8')) as { readonly version?: unknown }
    if (typeof json.version === 'number' && json.version > 1) throw fromFuture(path)
    document = schema.parse(json)
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw damagedDocument(path, 'it can not be read')
  }
  const { mac, ...content } = document
  if (macKey !== null && !timingSafeEqual(Buffer.from(documentMac(content, macKey)), Buffer.from(mac))) {
    throw damagedDocument(path, 'it was changed, or made with the key of another store')
  }
  return document
}

/** A small file, whole. */
export async function readWhole(target: BackupTarget, path: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of target.read(path)) {
    parts.push(part)
    length += part.length
    if (length > MAX_DOCUMENT_BYTES) throw damagedDocument(path, 'it is far larger than any such file')
  }
  return Buffer.concat(parts)
}

/** Names of all generations that were begun, oldest first. */
export async function generationNames(target: BackupTarget): Promise<string[]> {
  const names = new Set<string>()
  for (const { path } of await target.list(`${ARCHIVE_AREA}/`)) {
    const [, name, rest] = path.split('/')
    if (name !== undefined && rest !== undefined) names.add(name)
  }
  return [...names].sort()
}

/** Names of the generations whose base is complete, oldest first. */
export async function finishedGenerations(target: BackupTarget): Promise<string[]> {
  const files = await target.list(`${ARCHIVE_AREA}/`)
  return files
    .map(({ path }) => path.split('/'))
    .filter(([, , name, rest]) => name === 'manifest.json' && rest === undefined)
    .map(([, generation]) => generation as string)
    .sort()
}

/** Numbers of the segments of each database that are there, in order. */
export async function segmentNumbers(target: BackupTarget, generation: string, file: DatabaseFile): Promise<number[]> {
  const files = await target.list(segmentsPrefix(generation, file))
  return files
    .map(({ path }) => numberOf(path))
    .filter((number) => number !== undefined)
    .sort((left, right) => left - right)
}

export interface FoundKeyring {
  readonly text: string
  /** Newer copies that can't be used, each named. */
  readonly problems: readonly string[]
}

/**
 * The keyring as it was last changed, in its text form; one from before when no newer copy is whole: it opens with the
 * passwords of then.
 *
 * @throws StoreError `ARCHIVE_DAMAGED` when no copy is whole
 */
export async function readKeyringText(target: BackupTarget, generation: string): Promise<FoundKeyring> {
  const files = await target.list(keyringPrefix(generation))
  const numbers = new Set(files.map(({ path }) => numberOf(path)).filter((number) => number !== undefined))
  const problems: string[] = []
  for (const number of [...numbers].sort((left, right) => right - left)) {
    for (const path of keyringPaths(generation, number)) {
      try {
        const text = (await readWhole(target, path)).toString('utf8')
        parseKeyring(text)
        return { text, problems }
      } catch (error) {
        if (!(error instanceof StoreError) || !LOST_COPY.has(error.code)) throw error
        problems.push(`${path} is ${error.code === 'TARGET_FILE_MISSING' ? 'missing' : 'damaged'}.`)
      }
    }
  }
  const why = problems.length === 0 ? 'there is no keyring' : `no copy of the keyring is whole. ${problems.join(' ')}`
  throw damagedDocument(keyringPrefix(generation), why)
}

export function forEachFile<T>(make: (file: DatabaseFile) => T): Record<DatabaseFile, T> {
  return Object.fromEntries(DATABASE_FILES.map((file) => [file, make(file)])) as Record<DatabaseFile, T>
}

export function damagedDocument(path: string, what: string): StoreError {
  return new StoreError('ARCHIVE_DAMAGED', `${path} of the archive is damaged: ${what}.`, { details: { path } })
}

function fromFuture(path: string): StoreError {
  return new StoreError('STORE_FROM_FUTURE', `${path} was written by a later version of Holdfast. Update it.`, {
    details: { path },
  })
}
