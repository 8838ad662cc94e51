/** Puts the files of a backup together again from its packs, and checks what it has written. Ciphertext all the way. */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { deriveSubKey, type SubKeyPurpose } from '../../crypto/sub-key.ts'
import { withSecret } from '../../crypto/zero.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DriverError, queryOnce } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { type BackedUpDatabase, damaged, filePath, type ManifestBody } from './manifest.ts'
import { advance } from './progress.ts'
import type { BackupTarget } from './target.ts'
import { writeWhole } from './write-whole.ts'

const DATABASE_PATH = /^(?:(state|market)|archive\/(trades-\d{4}))\.db$/

/** Writes a database to `path`, durable; @throws StoreError `BACKUP_DAMAGED` naming the pack that is not whole */
export async function writeDatabase(
  target: BackupTarget,
  { packs }: ManifestBody,
  database: BackedUpDatabase,
  path: string,
): Promise<void> {
  const digest = createHash('sha256')
  await writeFile(path, async (file) => {
    for (const [pack, offset, , count] of database.runs) {
      const length = count * database.pageBytes
      let read = 0
      for await (const chunk of target.read(packs[pack]?.path as string, { offset, length })) {
        digest.update(chunk)
        await writeWhole(file, chunk)
        read += chunk.length
        advance(chunk.length)
      }
      if (read < length) throw damaged(packs[pack]?.path as string, 'it is too short')
    }
  })
  if (digest.digest('hex') === database.sha256) return
  await assertPacksWhole(
    target,
    packs.filter((_, index) => database.runs.some(([pack]) => pack === index)),
  )
  throw damaged(database.path, 'the hash of its pages does not fit')
}

/** @throws StoreError `BACKUP_DAMAGED` naming the first pack that is not whole */
export async function assertPacksWhole(
  target: BackupTarget,
  packs: ManifestBody['packs'],
  giveWay: () => Promise<void> = async () => undefined,
): Promise<void> {
  for (const { path, bytes, sha256 } of packs) {
    const digest = createHash('sha256')
    let length = 0
    for await (const chunk of target.read(path)) {
      digest.update(chunk)
      length += chunk.length
      advance(chunk.length)
      await giveWay()
    }
    if (length !== bytes || digest.digest('hex') !== sha256) throw damaged(path, 'its hash does not fit')
  }
}

/** Writes one of the other files, durable. */
export async function writeStoredFile(target: BackupTarget, sha256: string, path: string): Promise<void> {
  const stored = filePath(sha256)
  const digest = createHash('sha256')
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
  await writeFile(path, async (file) => {
    for await (const chunk of target.read(stored)) {
      digest.update(chunk)
      await writeWhole(file, chunk)
      advance(chunk.length)
    }
  })
  if (digest.digest('hex') !== sha256) throw damaged(stored, 'its hash does not fit')
}

/** Every database of the backup, under `dir`. */
export async function writeDatabases(target: BackupTarget, manifest: ManifestBody, dir: string): Promise<void> {
  for (const database of manifest.databases) {
    const path = join(dir, database.path)
    await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
    await writeDatabase(target, manifest, database, path)
  }
}

/** What opens a database of a store is derived from its path. */
function keyPurpose(path: string): SubKeyPurpose {
  const [, file, yearly] = DATABASE_PATH.exec(path) ?? []
  const name = file ?? yearly
  if (name === undefined) {
    throw new StoreError('STORE_FROM_FUTURE', `The backup has a database that this version does not know: ${path}.`, {
      details: { file: path },
    })
  }
  return `database:${name}` as SubKeyPurpose
}

export interface BackupKeys {
  readonly storeId: string
  readonly dataKey: Uint8Array
  /** While a rotation of the data key was interrupted: a database may be under either. */
  readonly nextDataKey?: Uint8Array | undefined
}

/** Opens each restored database and checks every page and the structure. @throws StoreError `BACKUP_DAMAGED` */
export async function assertDatabasesOpen(
  databases: readonly { readonly path: string }[],
  dir: string,
  keys: BackupKeys,
): Promise<void> {
  for (const { path } of databases) {
    const problems = await withFittingKey(keys, path, (key) => problemsOf(join(dir, path), key))
    if (problems.length > 0) throw damaged(path, `${problems.length} problems, the first: ${problems[0]}`)
  }
}

/** `use` with the key of a database: after an interrupted rotation that may be one of the next data key. */
async function withFittingKey<T>(
  { storeId, dataKey, nextDataKey }: BackupKeys,
  path: string,
  use: (key: Buffer) => Promise<T>,
): Promise<T> {
  try {
    return await withSecret(deriveSubKey(dataKey, storeId, keyPurpose(path)), use)
  } catch (error) {
    if (nextDataKey === undefined || !(error instanceof StoreError) || error.code !== 'STORE_CORRUPT') throw error
    return await withSecret(deriveSubKey(nextDataKey, storeId, keyPurpose(path)), use)
  }
}

async function problemsOf(path: string, key: Uint8Array): Promise<string[]> {
  // Opened for writing, so that closing leaves no log behind.
  const connection = await openKeyedDatabase(sqlcipherDriver, path, {
    key,
    mode: 'read-write',
    role: 'reader',
    durability: 'full',
    busyTimeoutMs: 0,
  })
  try {
    const pages = await queryOnce(connection, 'PRAGMA cipher_integrity_check')
    if (pages.length > 0) return pages.map((row) => String(row.cipher_integrity_check))
    const structure = await queryOnce(connection, 'PRAGMA quick_check')
    return structure.map((row) => String(Object.values(row)[0])).filter((text) => text !== 'ok')
  } finally {
    await connection.close()
  }
}

/** Opens each database by its first page alone, in a file that has nothing else. @throws StoreError `BACKUP_DAMAGED` */
export async function assertFirstPagesOpen(
  target: BackupTarget,
  manifest: ManifestBody,
  dir: string,
  keys: BackupKeys,
): Promise<void> {
  for (const [index, database] of manifest.databases.entries()) {
    const [run] = database.runs
    const path = join(dir, `first-page-${index}.db`)
    await writeFile(path, async (file) => {
      const pack = manifest.packs[run?.[0] ?? 0]?.path as string
      const range = { offset: run?.[1] ?? 0, length: database.pageBytes }
      for await (const chunk of target.read(pack, range)) await writeWhole(file, chunk)
      await file.truncate(database.pages * database.pageBytes)
    })
    const key = deriveSubKey(keys.dataKey, keys.storeId, keyPurpose(database.path))
    const opens = await withSecret(key, () => firstPageOpens(path, key))
    if (!opens) throw damaged(database.path, 'it does not open under the key of the store')
  }
}

async function firstPageOpens(path: string, key: Uint8Array): Promise<boolean> {
  const connection = await sqlcipherDriver.open(path, { mode: 'read-only', busyTimeoutMs: 0 })
  try {
    await connection.exec('PRAGMA cipher_log = off')
    await connection.exec(`PRAGMA key = "x'${Buffer.from(key).toString('hex')}'"`)
    await queryOnce(connection, 'PRAGMA user_version')
    return true
  } catch (error) {
    if (error instanceof DriverError && (error.code === 'NOTADB' || error.code === 'CORRUPT')) return false
    throw error
  } finally {
    await connection.close()
  }
}

async function writeFile(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await fill(file)
    await file.sync()
  } finally {
    await file.close()
  }
}
