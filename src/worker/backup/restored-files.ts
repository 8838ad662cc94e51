/** Puts the files of a backup together again from its packs, and checks what it has written. Ciphertext all the way. */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { deriveSubKey, type SubKeyPurpose } from '../../crypto/sub-key.ts'
import { withSecret } from '../../crypto/zero.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { type Connection, DriverError, queryOnce } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { takenAhead } from './chunk-queue.ts'
import { type BackedUpDatabase, damaged, filePath, type ManifestBody } from './manifest.ts'
import { fullPace, type Pace } from './pace.ts'
import { advance } from './progress.ts'
import type { BackupTarget } from './target.ts'
import { writePaced, writeWhole } from './write-whole.ts'

/** Two may look at the same file. */
const BUSY_TIMEOUT_MS = 10_000
const BYTES_AHEAD = 2 * 1024 * 1024
const DATABASE_PATH = /^(?:(state|market)|archive\/(trades-\d{4}))\.db$/

/** How files are written: those that are removed at once need not reach the disk. */
export interface WriteManner {
  readonly pace: Pace
  readonly isDurable: boolean
}

const TO_STAY: WriteManner = { pace: fullPace, isDurable: true }

/** Writes a database to `path`; @throws StoreError `BACKUP_DAMAGED` naming the pack that is not whole */
async function writeDatabase(
  target: BackupTarget,
  { packs }: ManifestBody,
  database: BackedUpDatabase,
  path: string,
  { pace, isDurable }: WriteManner,
): Promise<void> {
  const digest = createHash('sha256')
  await writeFile(
    path,
    async (file) => {
      const pages = takenAhead(hashedPages(), BYTES_AHEAD)
      if (isDurable) await writePaced(file, pages, null, pace)
      else for await (const chunk of pages) await writeWhole(file, chunk)
    },
    isDurable,
  )
  if (digest.digest('hex') === database.sha256) return
  await assertPacksWhole(
    target,
    packs.filter((_, index) => database.runs.some(([pack]) => pack === index)),
  )
  throw damaged(database.path, 'the hash of its pages does not fit')

  async function* hashedPages(): AsyncIterable<Uint8Array> {
    for (const [pack, offset, , count] of database.runs) {
      const length = count * database.pageBytes
      let read = 0
      for await (const chunk of target.read(packs[pack]?.path as string, { offset, length })) {
        await pace.giveWay()
        await hashInSlices(digest, chunk, pace)
        yield chunk
        read += chunk.length
        advance(chunk.length)
      }
      if (read < length) throw damaged(packs[pack]?.path as string, 'it is too short')
    }
  }
}

/** With a turn of the event loop between the slices. */
async function hashInSlices(digest: Hash, chunk: Uint8Array, pace: Pace): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const slice = chunk.subarray(at, at + pace.sliceBytes)
    digest.update(slice)
    at += slice.length
    await setImmediate()
  }
}

/** @throws StoreError `BACKUP_DAMAGED` naming the first pack that is not whole */
export async function assertPacksWhole(
  target: BackupTarget,
  packs: ManifestBody['packs'],
  pace: Pace = fullPace,
): Promise<void> {
  for (const { path, bytes, sha256 } of packs) {
    const digest = createHash('sha256')
    let length = 0
    for await (const chunk of target.read(path, undefined, true)) {
      await pace.giveWay()
      await hashInSlices(digest, chunk, pace)
      length += chunk.length
      advance(chunk.length)
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
export async function writeDatabases(
  target: BackupTarget,
  manifest: ManifestBody,
  dir: string,
  manner: WriteManner = TO_STAY,
): Promise<void> {
  for (const database of manifest.databases) {
    const path = join(dir, database.path)
    await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
    await writeDatabase(target, manifest, database, path, manner)
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

/**
 * Opens each restored database and checks every page and the structure, side by side unless commits need the processors.
 *
 * @throws StoreError `BACKUP_DAMAGED`
 */
export async function assertDatabasesOpen(
  databases: readonly { readonly path: string }[],
  dir: string,
  keys: BackupKeys,
  pace: Pace = fullPace,
): Promise<void> {
  for (const { path } of databases) {
    const problems = await withFittingKey(keys, path, (key) => problemsOf(join(dir, path), key, pace.isAlone))
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

async function problemsOf(path: string, key: Uint8Array, isAlone: boolean): Promise<string[]> {
  const opened: Connection[] = []
  try {
    // One after the other, and closed so too: the last one takes the log away.
    for (let count = 0; count < (isAlone ? 2 : 1); count++) opened.push(await openToCheck(path, key))
    const [first, second] = opened as [Connection, Connection | undefined]
    const structure = second === undefined ? undefined : ask(second, 'quick_check')
    // It is looked at when the pages are whole.
    structure?.catch(() => undefined)
    const pages = await ask(first, 'cipher_integrity_check')
    if (pages.length > 0) {
      await structure?.catch(() => undefined)
      return pages
    }
    return (await (structure ?? ask(first, 'quick_check'))).filter((text) => text !== 'ok')
  } finally {
    for (const connection of opened) await connection.close()
  }
}

async function openToCheck(path: string, key: Uint8Array): Promise<Connection> {
  // For writing, so that closing leaves no log behind.
  return await openKeyedDatabase(sqlcipherDriver, path, {
    key,
    mode: 'read-write',
    role: 'reader',
    durability: 'full',
    busyTimeoutMs: BUSY_TIMEOUT_MS,
  })
}

async function ask(connection: Connection, pragma: string): Promise<string[]> {
  return (await queryOnce(connection, `PRAGMA ${pragma}`)).flatMap(Object.values).map(String)
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

async function writeFile(path: string, fill: (file: FileHandle) => Promise<void>, isDurable = true): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await fill(file)
    if (isDurable) await file.sync()
  } finally {
    await file.close()
  }
}
