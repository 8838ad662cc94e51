/**
 * The manifest of a backup: which pages of which packs make which files, with a hash of each file and pack, under a MAC
 * of the store's data key. A backup counts from the moment its manifest is there, and the manifest is written last.
 *
 * In a target: `backups/<id>.json`, `backups/packs/…` (pages), `backups/pages/…` (a truncated hash of each page, to tell
 * next time which have changed) and `backups/files/<sha256>` (keyring, blobs, cache). All of it is ciphertext.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson } from '../../crypto/canonical-json.ts'
import type { BackupListing, BackupSummary } from '../../protocol/backup.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { BackupTarget } from './target.ts'

export const BACKUP_AREA = 'backups'
const FORMAT = 'holdfast-backup'
const VERSION = 1
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024
const MANIFEST_PATH = /^backups\/([^/]+)\.json$/

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const bytes = z.int().nonnegative()
const backupId = z.string().regex(/^\d{6}-\d{8}T\d{9}Z$/)
/** From a store directory; nothing that could leave it. */
const relativePath = z.string().regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*\/)*[A-Za-z0-9_][A-Za-z0-9_.-]*$/)

const manifestBody = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  id: backupId,
  storeId: z.uuid(),
  createdAt: z.iso.datetime(),
  sequences: z.strictObject({ state: bytes, market: bytes }),
  packs: z.array(z.strictObject({ path: relativePath, bytes, sha256 })),
  databases: z.array(
    z.strictObject({
      path: relativePath,
      pageBytes: z.int().min(512).max(65_536),
      pages: z.int().positive(),
      sha256,
      /** [index in `packs`, offset in bytes, first page, number of pages], by page. */
      runs: z.array(z.tuple([bytes, bytes, z.int().positive(), z.int().positive()])),
      pageHashes: z.strictObject({ path: relativePath, sha256 }),
    }),
  ),
  files: z.array(z.strictObject({ path: relativePath, bytes, sha256 })),
})
const manifestSchema = z.strictObject({ ...manifestBody.shape, checksum: sha256, mac: sha256 })

export type ManifestBody = z.infer<typeof manifestBody>
export type Manifest = z.infer<typeof manifestSchema>
export type BackedUpDatabase = ManifestBody['databases'][number]
export type PageRun = BackedUpDatabase['runs'][number]
export type Pack = ManifestBody['packs'][number]

/** Sorts by a number that rises with every backup: clocks jump. */
export function nextBackupId(ids: readonly string[], at: Date): string {
  const number = Math.max(0, ...ids.map((id) => Number.parseInt(id, 10))) + 1
  return `${String(number).padStart(6, '0')}-${at.toISOString().replaceAll(/[-:.]/g, '')}`
}

export function manifestPath(id: string): string {
  return `${BACKUP_AREA}/${id}.json`
}

export function filePath(hash: string): string {
  return `${BACKUP_AREA}/files/${hash}`
}

/** @param macKey the sub-key `backup-mac` */
export function sealManifest(body: ManifestBody, macKey: Uint8Array): Manifest {
  const signed = { ...body, mac: macOf(canonicalJson(body), macKey) }
  return { ...signed, checksum: checksumOf(signed) }
}

export async function writeManifest(target: BackupTarget, manifest: Manifest): Promise<void> {
  await target.write(manifestPath(manifest.id), canonicalJson(manifest))
}

/** @throws StoreError `BACKUP_DAMAGED` when the manifest was not made under this key */
export function assertAuthentic(manifest: Manifest, macKey: Uint8Array): void {
  const { checksum: _checksum, mac, ...body } = manifest
  const expected = macOf(canonicalJson(body), macKey)
  if (!timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(mac, 'hex'))) {
    throw damaged(manifestPath(manifest.id), 'it was not made by this store')
  }
}

/** Of everything else, the MAC included: damage is told without a key. */
function checksumOf(signed: Omit<Manifest, 'checksum'>): string {
  return createHash('sha256').update(canonicalJson(signed)).digest('hex')
}

function macOf(content: Uint8Array, macKey: Uint8Array): string {
  return createHmac('sha256', macKey).update(content).digest('hex')
}

/**
 * The manifest of backup `id`. Its checksum tells damage; only `assertAuthentic` tells who made it.
 *
 * @throws StoreError `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED`, `STORE_FROM_FUTURE`
 */
export async function readManifest(target: BackupTarget, id: string): Promise<Manifest> {
  const path = manifestPath(id)
  if (!backupId.safeParse(id).success || !(await target.list(path)).some((file) => file.path === path)) {
    throw notFound(target, `no backup ${id} is there`)
  }
  const content = await readSmallFile(target, path, MAX_MANIFEST_BYTES)
  const manifest = parseManifest(path, content)
  if (manifest.id !== id) throw damaged(path, 'it is that of another backup')
  return manifest
}

function parseManifest(path: string, content: Buffer): Manifest {
  let json: unknown
  try {
    json = JSON.parse(content.toString('utf8'))
  } catch {
    throw damaged(path, 'it is no JSON')
  }
  if (isFromFuture(json)) {
    throw new StoreError(
      'STORE_FROM_FUTURE',
      `${path} was written by a newer version of Holdfast. Update the package.`,
      {
        details: { file: path },
      },
    )
  }
  const parsed = manifestSchema.safeParse(json)
  if (!parsed.success) throw damaged(path, 'it is no manifest')
  const { checksum, ...body } = parsed.data
  // Byte for byte: one content has one form, so no bit of it is without meaning.
  const isWhole = canonicalJson(parsed.data).equals(content) && checksumOf(body) === checksum
  if (!isWhole) throw damaged(path, 'its checksum does not fit')
  if (!body.databases.every((database) => isCovered(database, body.packs)))
    throw damaged(path, 'pages are missing in it')
  return parsed.data
}

function isFromFuture(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false
  const { format, version } = json as { format?: unknown; version?: unknown }
  return format === FORMAT && typeof version === 'number' && version > VERSION
}

/** Every page once, in order, from packs that are long enough. */
function isCovered({ runs, pages, pageBytes }: BackedUpDatabase, packs: readonly Pack[]): boolean {
  let next = 1
  for (const [pack, offset, firstPage, count] of runs) {
    if (firstPage !== next || offset + count * pageBytes > (packs[pack]?.bytes ?? 0)) return false
    next += count
  }
  return next === pages + 1
}

/** Ids of all backups, oldest first. */
export async function backupIds(target: BackupTarget): Promise<string[]> {
  const files = await target.list(`${BACKUP_AREA}/`)
  return files
    .map(({ path }) => MANIFEST_PATH.exec(path)?.[1])
    .filter((id) => id !== undefined)
    .filter((id) => backupId.safeParse(id).success)
}

/** @throws StoreError `BACKUP_NOT_FOUND` when there is none */
export async function newestBackupId(target: BackupTarget): Promise<string> {
  const id = (await backupIds(target)).at(-1)
  if (id === undefined) throw notFound(target, 'no backup is there')
  return id
}

/** Every manifest there is, oldest first, and the paths of those that can't be read. */
export async function readManifests(
  target: BackupTarget,
): Promise<{ readonly manifests: Manifest[]; readonly damaged: string[] }> {
  const manifests: Manifest[] = []
  const unreadable: string[] = []
  for (const id of await backupIds(target)) {
    try {
      manifests.push(await readManifest(target, id))
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'IO_ERROR') throw error
      unreadable.push(manifestPath(id))
    }
  }
  return { manifests, damaged: unreadable }
}

export async function listBackups(target: BackupTarget): Promise<BackupListing> {
  const { manifests, damaged: unreadable } = await readManifests(target)
  return { backups: manifests.map(summaryOf), damaged: unreadable }
}

export function summaryOf({ id, storeId, createdAt, sequences, databases, files }: ManifestBody): BackupSummary {
  const databaseBytes = databases.reduce((sum, { pages, pageBytes }) => sum + pages * pageBytes, 0)
  return {
    id,
    storeId,
    createdAt,
    sequences,
    bytes: files.reduce((sum, file) => sum + file.bytes, databaseBytes),
  }
}

/** The whole of a file that has to fit in memory. */
export async function readSmallFile(target: BackupTarget, path: string, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of target.read(path)) {
    length += chunk.length
    if (length > maxBytes) throw damaged(path, 'it is far too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function damaged(file: string, how: string): StoreError {
  return new StoreError(
    'BACKUP_DAMAGED',
    `${file} in the backup is damaged: ${how}. Nothing was changed; use another backup, and make a new one.`,
    { details: { file } },
  )
}

function notFound({ location }: BackupTarget, what: string): StoreError {
  return new StoreError('BACKUP_NOT_FOUND', `In ${location} ${what}. See holdfast backup list --from ${location}.`, {
    details: { location },
  })
}
