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
import { type BackupTarget, openTarget } from '../backup/target.ts'
import { DatabaseKeys } from '../database-keys.ts'
import { queryOnce } from '../driver.ts'
import { openKeyedDatabase } from '../keyed-database.ts'
import { acceptIfOlder, type OlderKeyring } from '../keyring-record.ts'
import { nativeCall } from '../native-calls.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { databasePath } from '../store-files.ts'
import { type Query, type RestoredFiles, restoreFiles } from './restore-files.ts'
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
    const told = await withKeys(keyringText, password, (keys, storeId) =>
      finish(stage, target, files, keys, storeId, actor),
    )
    return { ...files, ...told, problems: [...files.problems, ...told.problems] }
  })
  return { ...result, dir, movedAside }
}

/** Checks what was written, brings the files back that it counts on, and notes the restore for the trail. */
async function finish(
  stage: string,
  target: BackupTarget,
  files: MomentFiles,
  keys: StoreKeys,
  storeId: string,
  actor: string,
): Promise<RestoredFiles> {
  const databases = DATABASE_FILES.map((file) => ({ path: `${file}.db` }))
  await assertDatabasesOpen(databases, stage, { storeId, ...keys }).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.code !== 'BACKUP_DAMAGED') throw error
    throw new StoreError('ARCHIVE_DAMAGED', `What was restored is damaged. ${error.message}`, { cause: error })
  })
  const { older, ...told } = await complete(stage, target, files.generation, keys, storeId)
  await withSecret(deriveSubKey(keys.dataKey, storeId, 'audit-mac'), async (key) => {
    const data = {
      archive: files.generation,
      moment: new Date(files.timeMs).toISOString(),
      sequence: files.sequence === null ? null : String(files.sequence),
    }
    await leaveAuditNote(stage, key, { actor, event: 'store.restored', data })
    if (older === undefined) return
    await leaveAuditNote(stage, key, { actor, event: 'key.older-accepted', data: { ...older } })
  })
  return told
}

async function complete(
  stage: string,
  target: BackupTarget,
  generation: string,
  keys: StoreKeys,
  storeId: string,
): Promise<RestoredFiles & { readonly older: OlderKeyring | undefined }> {
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
    const query: Query = (sql, parameters = []) => queryOnce(connection, sql, parameters)
    const older = await acceptIfOlder(stage, keys, query)
    const restored = await restoreFiles({ target, generation, dir: stage, query, keys, storeId })
    return { ...restored, problems: [...(await trailProblems(query, keys, storeId)), ...restored.problems], older }
  } finally {
    await connection.close()
  }
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
