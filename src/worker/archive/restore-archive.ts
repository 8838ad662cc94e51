/**
 * A moment of an archive becomes a store: put together beside the directory, opened with the password and checked, and
 * only then given its name. What the trail of the moment itself lacks is told and not refused: the archive has kept what
 * the source had.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseKeyring, type StoreKeys, unlockKeyring } from '../../crypto/keyring.ts'
import { KEYRING_FILE } from '../../crypto/keyring-file.ts'
import { passwordBytes } from '../../crypto/password.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret, zero } from '../../crypto/zero.ts'
import type { RestoredMoment, RestoreMomentRequest } from '../../protocol/archive.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES } from '../../schema/database-file.ts'
import { deriveChainKey } from '../audit/audit-chain.ts'
import { leaveAuditNote } from '../audit/audit-inbox.ts'
import { verifyTrail } from '../audit/audit-verification.ts'
import { assertDatabasesOpen } from '../backup/restored-files.ts'
import { assertMayRestore, restoreStaged } from '../backup/staged-restore.ts'
import { openTarget } from '../backup/target.ts'
import { DatabaseKeys } from '../database-keys.ts'
import { type BindValue, queryOnce, type Row } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import { acceptIfOlder } from '../keyring-record.ts'
import { nativeCall } from '../native-calls.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { databasePath, yearlyDatabase } from '../store-files.ts'
import { type Moment, type MomentFiles, restoreMoment } from './restore-moment.ts'

/**
 * @throws StoreError `BACKUP_NOT_FOUND`, `ARCHIVE_DAMAGED`, `WRONG_PASSWORD`, `STORE_EXISTS`, `STORE_LOCKED`,
 * `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`; nothing is at `dir` then, or what was
 */
export async function restoreArchive(request: RestoreMomentRequest): Promise<RestoredMoment> {
  const { from, dir, force, actor, atMs, sequence, password } = request
  await assertMayRestore(dir, force)
  const target = await openTarget(from)
  const { result, movedAside } = await restoreStaged({ dir, force, name: 'archive' }, async (stage) => {
    const files = await restoreMoment({
      target,
      moment: momentOf(atMs, sequence),
      dir: stage,
      macKeyOf: (keyringText) =>
        withKeys(keyringText, password, async ({ dataKey }, storeId) => deriveSubKey(dataKey, storeId, 'backup-mac')),
    })
    const keyringText = await readFile(join(stage, KEYRING_FILE), 'utf8')
    const told = await withKeys(keyringText, password, (keys, storeId) => finish(stage, files, keys, storeId, actor))
    return { ...files, ...told, problems: [...files.problems, ...told.problems] }
  })
  return { ...result, dir, movedAside }
}

const OLDER_KEYRING =
  'The last change of the keyring is not in the archive, so the keyring of before was taken. See holdfast key list for the passwords that open it.'

type Told = Pick<RestoredMoment, 'problems' | 'missingFiles' | 'artifactsWithoutContent'>

/** Checks what was written, notes it for the trail, and tells what is wrong with the trail and what is not there. */
async function finish(
  stage: string,
  files: MomentFiles,
  keys: StoreKeys,
  storeId: string,
  actor: string,
): Promise<Told> {
  const databases = DATABASE_FILES.map((file) => ({ path: `${file}.db` }))
  await assertDatabasesOpen(databases, stage, { storeId, ...keys }).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.code !== 'BACKUP_DAMAGED') throw error
    throw new StoreError('ARCHIVE_DAMAGED', `What was restored is damaged. ${error.message}`, { cause: error })
  })
  const told = await lookInto(stage, keys, storeId)
  await withSecret(deriveSubKey(keys.dataKey, storeId, 'audit-mac'), (key) =>
    leaveAuditNote(stage, key, {
      actor,
      event: 'store.restored',
      data: {
        archive: files.generation,
        moment: new Date(files.timeMs).toISOString(),
        sequence: files.sequence === null ? null : String(files.sequence),
      },
    }),
  )
  return told
}

async function lookInto(stage: string, keys: StoreKeys, storeId: string): Promise<Told> {
  const connection = await new DatabaseKeys(keys, storeId).open('database:state', (key) =>
    openKeyedDatabase(sqlcipherDriver, databasePath(stage, 'state'), {
      key,
      mode: 'read-write',
      role: 'reader',
      durability: 'full',
      busyTimeoutMs: 0,
    }),
  )
  try {
    const query = (sql: string, parameters: readonly BindValue[] = []) => queryOnce(connection, sql, parameters)
    const older = await acceptIfOlder(stage, keys, query)
    const missingFiles = await yearlyFiles(stage, query)
    const missing = missingFiles.map(
      (file) =>
        `${file} is in no archive: trades that were moved into it before this moment are not in what was restored. Put a copy of it there, as new as the moment or newer, or restore a moment from before the move.`,
    )
    return {
      problems: [
        ...(await trailProblems(query, keys, storeId)),
        ...missing,
        ...(older === undefined ? [] : [OLDER_KEYRING]),
      ],
      missingFiles,
      artifactsWithoutContent: await artifactsWithChunks(query),
    }
  } finally {
    await connection.close()
  }
}

type Query = (sql: string, parameters?: readonly BindValue[]) => Promise<Row[]>

/** Those that the moment counts on. A store from before there were any has no table of them. */
async function yearlyFiles(stage: string, query: Query): Promise<string[]> {
  const tables = await query(`SELECT 1 FROM "sqlite_schema" WHERE "name" = '_yearlyFiles'`)
  if (tables.length === 0) return []
  const rows = await query('SELECT "year" FROM "_yearlyFiles" ORDER BY "year"')
  return rows.map(({ year }) => yearlyDatabase(stage, Number(year)).relativePath)
}

/** None in a store from before there were artifacts. */
async function artifactsWithChunks(query: Query): Promise<string[]> {
  const tables = await query(`SELECT 1 FROM "sqlite_schema" WHERE "name" = '_artifactVersions'`)
  if (tables.length === 0) return []
  const rows = await query(
    `SELECT DISTINCT v."name" FROM "_artifactVersions" AS v
     WHERE EXISTS (SELECT 1 FROM "_artifactParts" AS p WHERE p."content" = v."content") ORDER BY 1`,
  )
  return rows.map(({ name }) => String(name))
}

/** The head of the trail is in no archive; that it is missing here says nothing. */
async function trailProblems(query: Query, { sealingKey }: StoreKeys, storeId: string): Promise<string[]> {
  const { problems } = await withSecret(deriveChainKey(sealingKey, storeId), (key) =>
    verifyTrail({ key, query }, { state: 'missing' }, null),
  )
  return problems
    .filter(({ kind }) => kind !== 'head-missing')
    .map(({ message }) => `The audit trail of this moment is broken: ${message}`)
}

function momentOf(atMs: number | null, sequence: number | null): Moment {
  if (atMs !== null) return { kind: 'at', timeMs: atMs }
  return sequence === null ? { kind: 'latest' } : { kind: 'sequence', sequence }
}

async function withKeys<T>(
  keyringText: string,
  password: Uint8Array,
  use: (keys: StoreKeys, storeId: string) => Promise<T>,
): Promise<T> {
  const keyring = parseKeyring(keyringText)
  const keys = await withSecret(passwordBytes(Buffer.from(password).toString('utf8')), (bytes) =>
    nativeCall(() => unlockKeyring(keyring, bytes)),
  )
  try {
    return await use(keys, keyring.storeId)
  } finally {
    zero(keys.dataKey, keys.nextDataKey, keys.sealingKey)
  }
}
