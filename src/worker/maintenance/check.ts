/** Everything that can be verified of an open store, and the repair of what can be derived from the rest. */
import { chmod } from 'node:fs/promises'
import { readKeyring, restoreKeyringCopies } from '../../crypto/keyring-file.ts'
import type { ArchiveStatus } from '../../protocol/archive.ts'
import type { AuditVerification } from '../../protocol/audit.ts'
import type {
  CheckFinding,
  CheckRequest,
  FindingCode,
  RepairRequest,
  RepairResult,
} from '../../protocol/check-finding.ts'
import type { FileStatus, LastCheck } from '../../protocol/methods.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { DatabaseFile } from '../../schema/database-file.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import { DriverError } from '../driver.ts'
import type { FileBackend } from '../file-backend.ts'
import type { Query } from '../keyring-record.ts'
import { quoteName } from '../quote.ts'
import { seriesFindings } from '../series/series-findings.ts'
import { cacheFindings } from '../session-cache/cache-findings.ts'
import type { SessionCache } from '../session-cache/session-cache.ts'
import { databasePath, storeDatabases } from '../store-files.ts'
import type { TradeArchive } from '../trade-archive/trade-archive.ts'
import { archiveFindings } from './archive-findings.ts'
import { blobFindings } from './blob-findings.ts'
import { contentFindings, logFindings } from './database-findings.ts'
import { directoryFindings, openModes } from './directory-findings.ts'
import { outdatedKeyringFindings, overdueKeyFindings } from './key-findings.ts'
import { type KeysInUse, rotationUnderWay } from './rotation-beside.ts'
import { yearlyFindings } from './yearly-findings.ts'

export interface CheckedStore {
  readonly dir: string
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  readonly verifyAudit: () => Promise<AuditVerification>
  readonly tradeArchive: TradeArchive
  readonly artifacts: ArtifactStore
  readonly sessionCache: SessionCache
  readonly archiveStatus: () => ArchiveStatus | null
}

/** What can't be derived from anything else. Beside it nothing is touched: every write makes a rescue harder. */
const BEYOND_REPAIR: ReadonlySet<FindingCode> = new Set([
  'PAGE_DAMAGED',
  'STRUCTURE_DAMAGED',
  'LOG_DAMAGED',
  'DATABASE_MISSING',
  'DATABASE_OUTDATED',
] as const)

/** What a repair looks at: of sealed files, nothing can be derived. */
const FOR_REPAIR: CheckRequest = { maxKeyAgeMs: null, blobs: 'quick' }

export async function checkStore(
  { dir, files, verifyAudit, tradeArchive, artifacts, sessionCache, archiveStatus }: CheckedStore,
  { maxKeyAgeMs, blobs }: CheckRequest = FOR_REPAIR,
): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = []
  const statuses: Record<string, FileStatus> = {}
  for (const [name, file] of files) {
    const path = databasePath(dir, name)
    const database = { subject: `${name}.db`, path, query: (sql: string) => file.readers.query(sql, []) }
    findings.push(...(await logFindings(dir, database)), ...(await contentFindings(database)))
    statuses[name] = await file.status()
  }
  // What is behind a page that can't be decrypted can't be verified.
  const canRead = !findings.some(({ code }) => code === 'PAGE_DAMAGED')
  const queryState: Query = (sql, parameters = []) => (files.get('state') as FileBackend).readers.query(sql, parameters)
  return [
    ...findings,
    ...(canRead ? auditFindings(await verifyAudit()) : []),
    ...(canRead ? await seriesFindings(files.get('market') as FileBackend) : []),
    ...(canRead ? await yearlyFindings({ dir, tradeArchive, queryState }) : []),
    ...(canRead ? await blobFindings(artifacts, blobs) : []),
    ...(canRead ? await cacheFindings(sessionCache) : []),
    ...(canRead ? await outdatedKeyringFindings(dir, queryState) : []),
    ...(await outsideFindings(dir, statuses, maxKeyAgeMs)),
    ...archiveFindings(archiveStatus()),
  ]
}

/**
 * As `checkStore`, for a store that is looked at beside its owner.
 *
 * @param keys since the store was opened
 */
export async function checkBeside(
  store: CheckedStore,
  request: CheckRequest,
  keys: KeysInUse,
): Promise<CheckFinding[]> {
  let findings: CheckFinding[] = []
  let failure: unknown
  try {
    findings = await checkStore(store, request)
  } catch (error) {
    failure = error
  }
  if (await keys.haveChanged()) {
    return [rotationUnderWay(), ...(await outsideFindings(store.dir, {}, request.maxKeyAgeMs))]
  }
  if (failure !== undefined) throw failure
  return findings
}

/** What can be said without reading a page. */
async function outsideFindings(
  dir: string,
  statuses: Readonly<Record<string, FileStatus>>,
  maxKeyAgeMs: number | null,
): Promise<CheckFinding[]> {
  return [
    ...(await directoryFindings(dir, statuses)),
    ...(maxKeyAgeMs === null ? [] : await overdueKeyFindings(dir, maxKeyAgeMs)),
  ]
}

function auditFindings({ problems }: AuditVerification): CheckFinding[] {
  return problems.map(({ kind, id, message }) =>
    kind === 'head-missing'
      ? {
          code: 'AUDIT_HEAD_MISSING',
          severity: 'warning',
          subject: 'audit trail',
          problem: message,
          remedy:
            'After a restore from an archive there is none until an owner opens the store. Otherwise somebody removed it.',
          repairable: false,
        }
      : {
          code: 'AUDIT_BROKEN',
          severity: 'error',
          subject: id === null ? 'audit trail' : `audit trail: entry ${id}`,
          problem: `${kind}: ${message}`,
          remedy: 'Keep a copy of the directory as evidence. holdfast audit verify tells more.',
          repairable: false,
        },
  )
}

/**
 * Rebuilds what can be derived: indexes from their tables, the lost copy of the keyring from the other, modes. Each is
 * recorded in the audit trail before it is begun; what fails is found again by the check that ends it.
 *
 * @throws StoreError `READ_ONLY` without a writer
 */
export async function repairStore(store: CheckedStore, { actor }: RepairRequest): Promise<RepairResult> {
  const found = await checkStore(store)
  if (found.some(({ code, repairable }) => BEYOND_REPAIR.has(code) || (isIndex(code) && !repairable))) {
    return { repaired: [], remaining: found, refused: true }
  }
  const repairable = found.filter((finding) => finding.repairable)
  if (repairable.length === 0) return { repaired: [], remaining: found, refused: false }
  const { committer } = store.files.get('state') as FileBackend
  if (committer === null) throw new StoreError('READ_ONLY', 'A store opened with readOnly: true repairs nothing.')
  for (const finding of repairable) {
    const { code, subject } = finding
    await committer.audit({ actor, event: 'store.repaired', data: { code, subject } })
    await repairOne(store, finding)
  }
  const remaining = await checkStore(store)
  const isStillThere = (finding: CheckFinding) =>
    remaining.some(({ code, subject }) => code === finding.code && subject === finding.subject)
  return { repaired: repairable.filter((finding) => !isStillThere(finding)), remaining, refused: false }
}

export function summaryOf(findings: readonly CheckFinding[]): LastCheck {
  const count = (severity: CheckFinding['severity']) => findings.filter((each) => each.severity === severity).length
  return {
    atMs: Date.now(),
    errors: count('error'),
    warnings: count('warning'),
    codes: [...new Set(findings.map(({ code }) => code))],
  }
}

function isIndex(code: FindingCode): boolean {
  return code === 'INDEX_DAMAGED' || code === 'SEARCH_INDEX_DAMAGED'
}

async function repairOne({ dir, files, tradeArchive }: CheckedStore, { code, subject }: CheckFinding): Promise<void> {
  if (isIndex(code)) {
    const [database = '', name = ''] = subject.split(/: (.*)/s)
    const backend = files.get(database.replace(/\.db$/, '') as DatabaseFile)
    const table = quoteName(name)
    const sql = code === 'INDEX_DAMAGED' ? `REINDEX ${table}` : `INSERT INTO ${table} (${table}) VALUES ('rebuild')`
    const yearly = (await storeDatabases(dir)).find(({ relativePath }) => relativePath === database)
    const repairing =
      backend === undefined && yearly !== undefined
        ? tradeArchive.exec(yearly, sql)
        : backend?.committer?.maintain((connection) => connection.exec(sql))
    await repairing?.catch(leaveToTheCheck)
  } else if (code === 'MODE_TOO_OPEN') {
    for await (const { path, wanted } of openModes(subject)) if (path === subject) await chmod(path, wanted)
  } else {
    const found = await readKeyring(dir)
    if (found !== undefined) await restoreKeyringCopies(dir, found.keyring, found.damagedCopies)
  }
}

/** A unique index over values that are not unique can't be built: it stays as it is, and is found again. */
function leaveToTheCheck(error: unknown): void {
  if (!(error instanceof DriverError)) throw error
}
