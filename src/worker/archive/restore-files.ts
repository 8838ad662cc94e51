/**
 * Brings the files back that a restored moment counts on: chunks of artifacts, and yearly files of archived trades. A
 * chunk never changes under its name, so whichever copy of it is whole will do. Of a yearly file any copy is right that
 * has every move that `state.db` counts: what is newer in it counts for nobody. What can't be brought back is named.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { StoreKeys } from '../../crypto/keyring.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { syncPath } from '../../crypto/sync-path.ts'
import { withSecret } from '../../crypto/zero.ts'
import type { RestoredMoment } from '../../protocol/archive.ts'
import { isStoreError } from '../../protocol/store-error.ts'
import { ARCHIVED_COLLECTIONS } from '../../schema/built-in/trading.ts'
import { DATABASE_FILES } from '../../schema/database-file.ts'
import { blobPath } from '../artifacts/blob-files.ts'
import { assertDatabasesOpen } from '../backup/restored-files.ts'
import type { BackupTarget } from '../backup/target.ts'
import { writeWhole } from '../backup/write-whole.ts'
import { DatabaseKeys } from '../database-keys.ts'
import { type BindValue, type Connection, queryOnce, type Row } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import { quoteName } from '../quote.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { DIRECTORY_MODE, databasePath, FILE_MODE, type StoreDatabase, yearlyDatabase } from '../store-files.ts'
import { isGap, type ListedFile, pooledFiles, pooledPath, readLists } from './file-list.ts'

const ROWS = 1_000
/** Named one by one; of more, how many. */
const MAX_NAMED = 20

export type Query = (sql: string, parameters?: readonly BindValue[]) => Promise<Row[]>

export interface RestoreFilesOptions {
  readonly target: BackupTarget
  readonly generation: string
  /** The directory with the restored databases. */
  readonly dir: string
  /** Of the restored `state.db`. */
  readonly query: Query
  readonly keys: StoreKeys
  readonly storeId: string
}

export type RestoredFiles = Pick<RestoredMoment, 'problems' | 'missingFiles' | 'artifactsWithoutContent'>

export async function restoreFiles(options: RestoreFilesOptions): Promise<RestoredFiles> {
  const { target, generation, query } = options
  const { files: listed, damaged } = await readLists(target, generation, null)
  const pool = new Map<string, ListedFile[]>()
  // The newest first: what is listed last, and then what only other generations list.
  for (const file of [...listed.reverse(), ...(await pooledFiles(target))]) {
    const copies = pool.get(file.path) ?? []
    if (copies.every(({ sha256 }) => sha256 !== file.sha256)) pool.set(file.path, [...copies, file])
  }
  const problems: string[] = [...damaged]
  const missingYears = await restoreYears(options, pool, problems)
  const missingBlobs = await restoreBlobs(options, pool)
  for (const path of missingBlobs.slice(0, MAX_NAMED)) {
    problems.push(`${path}, with chunks of artifacts, is missing or damaged in the archive. Copy it from a backup.`)
  }
  const others = missingBlobs.length - MAX_NAMED
  if (others > 0) problems.push(`So are ${others} more. holdfast artifact verify lists them.`)
  return {
    problems,
    missingFiles: [...missingYears, ...missingBlobs],
    artifactsWithoutContent: await artifactsWith(missingBlobs, query),
  }
}

async function hasTable(query: Query, name: string): Promise<boolean> {
  return (await query('SELECT 1 FROM "sqlite_schema" WHERE "name" = ?', [name])).length > 0
}

type Pool = ReadonlyMap<string, readonly ListedFile[]>

/** None in a store from before trades were archived. */
async function restoreYears(options: RestoreFilesOptions, pool: Pool, problems: string[]): Promise<string[]> {
  const { dir, query } = options
  if (!(await hasTable(query, '_yearlyFiles'))) return []
  const missing: string[] = []
  for (const row of await query('SELECT "year", "move" FROM "_yearlyFiles" ORDER BY "year"')) {
    const { relativePath } = yearlyDatabase(dir, Number(row.year))
    if (await restoreYear(options, pool.get(relativePath) ?? [], Number(row.move))) continue
    missing.push(relativePath)
    problems.push(
      `No whole copy of ${relativePath} that is as new as this moment is in the archive: trades that were moved into it are not in what was restored. Put a copy of it there, as new as the moment or newer, or restore a moment from before the move.`,
    )
  }
  return missing
}

async function restoreYear(
  options: RestoreFilesOptions,
  copies: readonly ListedFile[],
  move: number,
): Promise<boolean> {
  for (const dataKey of await keysThatStay(options)) {
    for (const copy of copies) {
      const isThere = await fetchFile(options.target, copy, options.dir)
      if (isThere && (await isRight(options, copy.path, dataKey, move))) return true
      await rm(join(options.dir, copy.path), { force: true })
    }
  }
  return false
}

/** The next data key, of a rotation that was under way, is forgotten by the owner who opens this if no database has it. */
async function keysThatStay({ dir, keys, storeId }: RestoreFilesOptions): Promise<readonly Uint8Array[]> {
  const { dataKey, nextDataKey } = keys
  if (nextDataKey === undefined) return [dataKey]
  const databaseKeys = new DatabaseKeys(keys, storeId)
  for (const file of DATABASE_FILES) {
    const purpose = `database:${file}` as const
    const connection = await databaseKeys.open(purpose, (key) => openToRead(databasePath(dir, file), key))
    await connection.close()
    if (databaseKeys.hasMoved(purpose)) return [dataKey, nextDataKey]
  }
  return [dataKey]
}

/** It opens under the key, every page of it, and has what the moment counts. */
async function isRight(
  { dir, storeId }: RestoreFilesOptions,
  path: string,
  dataKey: Uint8Array,
  move: number,
): Promise<boolean> {
  try {
    await assertDatabasesOpen([{ path }], dir, { storeId, dataKey })
    return (await lastMoveIn(yearlyDatabase(dir, Number(/\d{4}/.exec(path)?.[0])), dataKey, storeId)) >= move
  } catch (error) {
    if (isStoreError(error) && (error.code === 'BACKUP_DAMAGED' || error.code === 'STORE_CORRUPT')) return false
    throw error
  }
}

async function lastMoveIn({ path, keyPurpose }: StoreDatabase, dataKey: Uint8Array, storeId: string): Promise<number> {
  const connection = await withSecret(deriveSubKey(dataKey, storeId, keyPurpose), (key) => openToRead(path, key))
  try {
    const moves = ARCHIVED_COLLECTIONS.map((name) => `SELECT max("_move") AS "move" FROM ${quoteName(name)}`)
    const [row] = await queryOnce(connection, `SELECT max("move") AS "move" FROM (${moves.join(' UNION ALL ')})`)
    return Number(row?.move ?? 0)
  } finally {
    await connection.close()
  }
}

/** Not read-only, so that closing leaves no log behind. */
async function openToRead(path: string, key: Uint8Array): Promise<Connection> {
  return await openKeyedDatabase(sqlcipherDriver, path, {
    key,
    mode: 'read-write',
    role: 'reader',
    durability: 'full',
    busyTimeoutMs: 0,
  })
}

/** @returns paths of those that could not be brought back */
async function restoreBlobs({ target, dir, query }: RestoreFilesOptions, pool: Pool): Promise<string[]> {
  if (!(await hasTable(query, '_artifactChunks'))) return []
  const missing: string[] = []
  const folders = new Set<string>()
  let after: Uint8Array = Buffer.alloc(0)
  for (;;) {
    const rows = await query(
      `SELECT DISTINCT "file" FROM "_artifactChunks" WHERE "file" > ? ORDER BY "file" LIMIT ${ROWS}`,
      [after],
    )
    for (const { file } of rows) {
      after = file as Uint8Array
      const path = blobPath(after)
      let isBack = false
      for (const copy of pool.get(path) ?? []) isBack ||= await fetchFile(target, copy, dir)
      if (isBack) folders.add(dirname(join(dir, path)))
      else missing.push(path)
    }
    if (rows.length < ROWS) break
  }
  for (const folder of [...folders, ...[...folders].slice(0, 1).map(dirname)]) await syncPath(folder)
  return missing
}

async function artifactsWith(blobs: readonly string[], query: Query): Promise<string[]> {
  const names = new Set<string>()
  for (let from = 0; from < blobs.length; from += ROWS) {
    const files = blobs.slice(from, from + ROWS).map((path) => path.slice(path.lastIndexOf('/') + 1))
    const rows = await query(
      `SELECT DISTINCT v."name" FROM "_artifactVersions" AS v JOIN "_artifactParts" AS p ON p."content" = v."content"
       JOIN "_artifactChunks" AS c ON c."id" = p."chunk" WHERE c."file" IN (SELECT unhex(value) FROM json_each(?))`,
      [JSON.stringify(files)],
    )
    for (const { name } of rows) names.add(String(name))
  }
  return [...names].sort()
}

/**
 * Writes a file of the pool to its place below `dir`, durable but for its name.
 *
 * @returns false, and nothing is there, when the pool's copy is missing or damaged
 */
export async function fetchFile(target: BackupTarget, file: ListedFile, dir: string, suffix = ''): Promise<boolean> {
  const path = `${join(dir, file.path)}${suffix}`
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
  const hash = createHash('sha256')
  const handle = await open(path, 'w', FILE_MODE)
  let isWhole = false
  try {
    for await (const part of target.read(pooledPath(file))) {
      hash.update(part)
      await writeWhole(handle, part)
    }
    isWhole = hash.digest('hex') === file.sha256
    if (isWhole) await handle.sync()
  } catch (error) {
    if (!isGap(error)) throw error
  } finally {
    await handle.close()
    if (!isWhole) await rm(path, { force: true })
  }
  return isWhole
}
