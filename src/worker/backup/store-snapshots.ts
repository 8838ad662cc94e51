/**
 * One moment of a whole store: a snapshot of each of its databases, `state` first, as the yearly files want it, and the
 * small files that belong to them.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serializeKeyring } from '../../crypto/keyring.ts'
import { KEYRING_FILE, readKeyring } from '../../crypto/keyring-file.ts'
import type { BackupSequences } from '../../protocol/backup.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import { blobPath } from '../artifacts/blob-files.ts'
import { AUDIT_HEAD_FILE } from '../audit/audit-head.ts'
import { type Connection, queryOnce } from '../driver.ts'
import type { FileBackend } from '../file-backend.ts'
import { quoteName } from '../quote.ts'
import type { SnapshotFile } from '../session-cache/snapshot-files.ts'
import { type StoreDatabase, storeDatabases } from '../store-files.ts'
import type { HeldDescriptors } from './held-descriptors.ts'
import type { NamedSnapshot } from './page-copier.ts'
import { takeSnapshot } from './snapshot.ts'

const MAX_ATTEMPTS = 3

export interface StoreSnapshotSource {
  readonly dir: string
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  /** Of the databases that are not among `files`. */
  readonly openReader: (database: StoreDatabase) => Promise<Connection>
  readonly descriptors: HeldDescriptors
  readonly cacheFilesIn: (state: Connection) => Promise<readonly SnapshotFile[]>
}

export interface StoreSnapshot {
  readonly takenAt: Date
  readonly databases: readonly NamedSnapshot[]
  /** To be awaited before the release. A store that has written nothing yet looks at every row for it. */
  readonly sequences: Promise<BackupSequences>
  /** Small files by their path in the store directory. */
  readonly contents: ReadonlyMap<string, Buffer>
  /** Paths of files that never change under their name. */
  readonly blobs: readonly string[]
  /** Files that may change, or go, at any moment, and are whole at each. */
  readonly cache: readonly SnapshotFile[]
  release(): Promise<void>
}

/** @throws StoreError `BUSY_OPERATION` when the keyring changes again and again meanwhile */
export async function takeStoreSnapshot(source: StoreSnapshotSource): Promise<StoreSnapshot> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const keyring = await keyringText(source.dir)
    // The head of the audit trail may be older than the trail, never newer.
    const head = await readIfPresent(join(source.dir, AUDIT_HEAD_FILE))
    const databases = await takeAll(source)
    try {
      // A data key that was rotated meanwhile: pages of one key and the keyring of another would be lost together.
      if ((await keyringText(source.dir)) === keyring) {
        const contents = new Map<string, Buffer>([[KEYRING_FILE, Buffer.from(keyring)]])
        if (head !== undefined) contents.set(AUDIT_HEAD_FILE, head)
        const state = databases.databases[0]?.snapshot.connection as Connection
        const blobs = await blobsOf(state)
        const cache = await source.cacheFilesIn(state)
        const sequences = sequencesOf(databases.sequenceOf)
        // They are looked at when the pages are copied.
        sequences.catch(() => undefined)
        return {
          ...databases,
          contents,
          blobs,
          cache,
          sequences,
          release: async () => {
            await sequences.catch(() => undefined)
            await databases.release()
          },
        }
      }
    } catch (error) {
      await databases.release()
      throw error
    }
    await databases.release()
  }
  throw new StoreError('BUSY_OPERATION', 'The keyring is being changed. Nothing was backed up; try again in a moment.')
}

async function sequencesOf(sequenceOf: (name: DatabaseFile) => Promise<number>): Promise<BackupSequences> {
  return { state: await sequenceOf('state'), market: await sequenceOf('market') }
}

/** Those that the snapshot has rows of: what else is in the folder, nobody can open. */
async function blobsOf(state: Connection): Promise<string[]> {
  const rows = await queryOnce(state, `SELECT DISTINCT "file" FROM "_artifactChunks" ORDER BY "file"`)
  return rows.map(({ file }) => blobPath(file as Uint8Array))
}

async function keyringText(dir: string): Promise<string> {
  const found = await readKeyring(dir)
  if (found === undefined) {
    throw new StoreError('KEYRING_CORRUPT', `The keyring in ${dir} is gone. Restore it from a backup.`, {
      details: { dir },
    })
  }
  return serializeKeyring(found.keyring)
}

async function takeAll({ dir, files, openReader, descriptors }: StoreSnapshotSource) {
  const databases: NamedSnapshot[] = []
  const release = async () => {
    for (const { snapshot } of databases.splice(0)) await snapshot.release()
  }
  try {
    let takenAt: Date | undefined
    for (const database of await storeDatabases(dir)) {
      const file = files.get(database.name as DatabaseFile)
      const snapshot =
        file === undefined
          ? await takeSnapshot({
              path: database.path,
              openReader: () => openReader(database),
              descriptors,
              onRelease: () => undefined,
            })
          : await file.snapshot()
      takenAt ??= new Date()
      databases.push({ path: database.relativePath, snapshot })
    }
    return {
      takenAt: takenAt ?? new Date(),
      databases,
      release,
      sequenceOf: async (name: DatabaseFile): Promise<number> => {
        const found = databases[DATABASE_FILES.indexOf(name)]
        return found === undefined
          ? 0
          : (found.snapshot.lastSequence ?? (await greatestSequence(found.snapshot.connection)))
      },
    }
  } catch (error) {
    await release()
    throw error
  }
}

/** Looks at every row: for a process beside the owner, which has counted the batches itself. */
async function greatestSequence(connection: Connection): Promise<number> {
  const tables = await queryOnce(
    connection,
    `SELECT DISTINCT t."name" FROM sqlite_schema AS t, pragma_table_info(t."name") AS c
     WHERE t."type" = 'table' AND c."name" = '_sequence'`,
  )
  let greatest = 0
  for (const [table, column] of [...tables.map(({ name }) => [String(name), '_sequence']), ['_session', 'sequence']]) {
    const [row] = await queryOnce(
      connection,
      `SELECT max(${quoteName(column as string)}) AS "last" FROM ${quoteName(table as string)}`,
    )
    greatest = Math.max(greatest, Number(row?.last ?? 0))
  }
  return greatest
}

async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
