/**
 * The embedded backend: two SQLCipher files under one keyring. Opening goes lock, keyring, databases, migrations,
 * session; each step that fails says which it was and has changed nothing before it.
 */
import { existsSync } from 'node:fs'
import { DEFAULT_KDF_COST } from '../crypto/kdf.ts'
import {
  createKeyring,
  isKeyringOf,
  type Keyring,
  parseKeyring,
  type StoreKeys,
  serializeKeyring,
  unlockKeyring,
} from '../crypto/keyring.ts'
import { readKeyring, restoreKeyringCopies, writeKeyring } from '../crypto/keyring-file.ts'
import { assertPasswordStrength, passwordBytes } from '../crypto/password.ts'
import { deriveSubKey } from '../crypto/sub-key.ts'
import { withSecret, zero } from '../crypto/zero.ts'
import type { AuditNoteRequest, AuditPage, AuditPageRequest, AuditVerification } from '../protocol/audit.ts'
import type { BackupRequest, BackupResult } from '../protocol/backup.ts'
import type { Batch, CommitResult, UnitBatch, UnitCommitResult } from '../protocol/batch.ts'
import type { CheckFinding, CheckRequest, RepairRequest, RepairResult } from '../protocol/check-finding.ts'
import type { RotateDataKeyRequest, RotateDataKeyResult, RotationProgress } from '../protocol/keys.ts'
import type { MaintainRequest, MaintenanceResult, MaintenanceSchedule, StoreSizes } from '../protocol/maintenance.ts'
import type {
  AppliedRequest,
  AppliedResult,
  CountRequest,
  EntryWire,
  GetRequest,
  HydratePage,
  HydrateRequest,
  LastCheck,
  OpenRequest,
  OpenResult,
  Page,
  PageRequest,
  RevealRequest,
  SqlRequest,
  SqlRow,
  SqlTable,
  WorkerStatus,
} from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { ArchiveTradesRequest, ArchiveTradesResult } from '../protocol/trade-archive.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import { removeLink } from './archive/archive-link.ts'
import { Archiver } from './archive/archiver.ts'
import { LogKeeper } from './archive/log-keeper.ts'
import {
  assertNoStandby,
  finishApplying,
  forgetStandby,
  readyStandby,
  type StandbyState,
} from './archive/standby-state.ts'
import { ArtifactStore } from './artifacts/artifact-store.ts'
import { noteWrongPassword } from './audit/audit-inbox.ts'
import { AuditKeys } from './audit/audit-keys.ts'
import { AuditReader } from './audit/audit-reader.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import type { Backend } from './backend.ts'
import { givingWayTo } from './backup/give-way.ts'
import { StoreBackups } from './backup/store-backups.ts'
import { ensureCollectionTables, recordedCollections } from './collection-tables.ts'
import type { AuditRecord, Committer } from './committer.ts'
import { DatabaseKeys } from './database-keys.ts'
import { type Connection, type Driver, queryOnce, type Row } from './driver.ts'
import { failpoint } from './failpoint.ts'
import { FileBackend, takeSession } from './file-backend.ts'
import { toStoreError } from './io-error.ts'
import { keyringInfo } from './key-operations.ts'
import { KeyRotation, ROTATION, settleInterrupted } from './key-rotation.ts'
import { isPlainSqlite, openKeyedDatabase } from './keyed-database.ts'
import { withKeyringLock } from './keyring-lock.ts'
import {
  acceptIfOlder,
  KeyringWatch,
  keyringOutdated,
  olderKeyring,
  type Query,
  recordKeyring,
} from './keyring-record.ts'
import { type CheckedStore, checkBeside, checkStore, repairStore, summaryOf } from './maintenance/check.ts'
import { readDiskSpace } from './maintenance/disk-space.ts'
import { readGrowth } from './maintenance/growth.ts'
import { LastBackup } from './maintenance/last-backup.ts'
import { Maintenance } from './maintenance/maintenance.ts'
import { KeysInUse, openedBeforeRotation } from './maintenance/rotation-beside.ts'
import { measureSizes } from './maintenance/sizes.ts'
import { yearlyFileSizes } from './maintenance/yearly-file-sizes.ts'
import { MaintenanceLock } from './maintenance-lock.ts'
import { readMigrations } from './migration-files.ts'
import {
  type AppliedMigration,
  applyMigrations,
  type MigrationSet,
  type PendingMigration,
  pendingMigrations,
  readAppliedMigrations,
  rehearseMigrations,
} from './migrator.ts'
import { nativeCall } from './native-calls.ts'
import { acquireOwnerLock, type OwnerLock } from './owner-lock.ts'
import { countSql, hydrateSql, pageSql, type Sql } from './query-sql.ts'
import { quoteName } from './quote.ts'
import { ReadSlots } from './read-slots.ts'
import { SealedFields } from './sealed-fields.ts'
import { BookStore } from './series/books/book-store.ts'
import { SeriesRuleStore } from './series/rules/rule-store.ts'
import { SeriesStore } from './series/series-store.ts'
import { SessionCache } from './session-cache/session-cache.ts'
import { SkillStore } from './skills/skill-store.ts'
import {
  assertDatabasesPresent,
  assertMayCreate,
  discardUnfinished,
  hasLog,
  notFound,
  prepareDirectory,
  publishDatabases,
} from './store-directory.ts'
import { databasePath, storeDatabases, unfinishedDatabasePath } from './store-files.ts'
import { openDocumentSql } from './table-sql.ts'
import { TradeArchive } from './trade-archive/trade-archive.ts'
import { type RunQuery, readOnlySql, readOnlyTable } from './user-sql.ts'
import { assertWalUndamaged } from './wal-damage.ts'

const HYDRATE_ROWS = 1_000
/** Beside an owner that rotates its data key. */
const OPENING_ATTEMPTS = 10
const MIGRATION_BUSY_TIMEOUT_MS = 10_000

export interface OpenedBackend {
  readonly backend: Backend
  readonly result: OpenResult
}

/** @throws StoreError with the code of the step that failed. */
export async function openSqlcipherBackend(driver: Driver, request: OpenRequest): Promise<OpenedBackend> {
  try {
    return await new Opening(driver, request).run()
  } catch (error) {
    throw await toStoreError(error, request.dir)
  } finally {
    zero(request.password)
  }
}

/** The steps of one open, and what has to be undone when a later one fails. */
class Opening {
  readonly #driver: Driver
  readonly #request: OpenRequest
  readonly #undo: (() => Promise<unknown>)[] = []
  #databaseKeys: DatabaseKeys | undefined

  constructor(driver: Driver, request: OpenRequest) {
    this.#driver = driver
    this.#request = request
  }

  async run(): Promise<OpenedBackend> {
    try {
      return this.#request.readOnly ? await this.#openBesideRotations() : await this.#openAsOwner()
    } catch (error) {
      await this.#undoAll()
      throw error
    }
  }

  async #undoAll(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo().catch(() => undefined)
    this.#databaseKeys = undefined
  }

  /** A key that is replaced between reading the keyring and opening a file would pass for damage of that file. */
  async #openBesideRotations(): Promise<OpenedBackend> {
    const { dir } = this.#request
    for (let attempt = 1; ; attempt++) {
      const keysInUse = await KeysInUse.of(dir)
      try {
        return await this.#openReadOnly(keysInUse)
      } catch (error) {
        const thrown = await toStoreError(error, dir)
        if (thrown.code !== 'STORE_CORRUPT' || !(await keysInUse.haveChanged())) throw thrown
        if (attempt === OPENING_ATTEMPTS) throw openedBeforeRotation(dir, thrown)
        await this.#undoAll()
      }
    }
  }

  async #openAsOwner(): Promise<OpenedBackend> {
    const { dir } = this.#request
    const [sets, found] = await Promise.all([
      this.#migrationSets(),
      existsSync(dir) ? readKeyring(dir) : Promise.resolve(undefined),
    ])
    if (found === undefined) await this.#assertMayCreate()
    const lock = await acquireOwnerLock(this.#driver, dir)
    this.#undo.push(() => lock.release())
    const standby = await readyStandby(dir)
    const { keyring, keys, created, restored } = await this.#keys(sets)
    this.#undo.push(async () => zero(keys.dataKey, keys.sealingKey, keys.nextDataKey))

    if (standby !== undefined) await finishApplying(dir, standby)
    if (lock.previousOwner?.durability !== 'normal') {
      for (const { path } of await storeDatabases(dir)) await assertWalUndamaged(`${path}-wal`)
    }
    const guards = await this.#openGuards(keys, keyring)

    const applied: string[] = []
    const writers = new Map<DatabaseFile, Connection>()
    const pendingOf = new Map<DatabaseFile, PendingMigration[]>()
    for (const file of DATABASE_FILES) {
      const writer = await this.#openWriter(file, keys, keyring)
      this.#undo.push(() => writer.close())
      writers.set(file, writer)
      const known = await this.#naming(file, () => readAppliedMigrations(writer))
      pendingOf.set(file, pendingMigrations(known, sets[file]))
    }
    await this.#refusePending(pendingOf, writers)
    const older = await this.#naming('state', () =>
      this.#olderKeyring(keys, writers.get('state') as Connection, standby !== undefined),
    )
    const isInterrupted = await settleInterrupted({
      driver: this.#driver,
      dir,
      keys,
      databaseKeys: this.#keysOf(keys, keyring),
    })
    // Only now that no file is refused, for one that is from the future, is any of them changed.
    await lock.recordDurability(this.#request.durability)
    const startedAtMs = Date.now()
    for (const [file, pending] of pendingOf) {
      const writer = writers.get(file) as Connection
      await this.#naming(file, () => this.#migrate(writer, file, pending, keys, keyring))
      applied.push(...pending.map((migration) => migration.name))
    }
    const migrated = applied.length === 0 ? null : { startedAtMs, endedAtMs: Date.now() }
    const collections = await this.#collections(writers)
    await ensureCollectionTables(writers, this.#request.collections)
    const state = writers.get('state') as Connection
    await this.#naming('state', () => recordKeyring(state, dir, keys))
    const session = await this.#naming('state', () => takeSession(state, this.#request.session))
    const auditKeys = this.#auditKeys(keys, keyring)
    const trail = await this.#naming('state', () =>
      AuditTrail.open(
        state,
        { dir, keys: auditKeys, durability: this.#request.durability },
        {
          created,
          isRestart: this.#request.session !== null,
          marketMigrations: (pendingOf.get('market') ?? []).map(({ name }) => name),
          promoted: standby && { generation: standby.generation, sequence: standby.files.state.sequence },
        },
      ),
    )
    const backend = await this.#start({
      keys,
      keyring,
      collections,
      writers,
      lock,
      restored,
      auditKeys,
      trail,
      session,
      standby,
      guards,
      keysInUse: null,
      older,
    })
    if (this.#request.archive === null) for (const guard of guards.values()) await guard.release()
    if (isInterrupted) backend.resumeRotation()
    return {
      backend,
      result: {
        storeId: keyring.storeId,
        created,
        session,
        keyring: serializeKeyring(keyring),
        appliedMigrations: applied,
        migrated,
        restoredKeyringCopies: restored,
        hasUserMigrations: (await readAppliedMigrations(writers.get('state') as Connection)).some(isUserMigration),
        collections: [...collections.values()],
      },
    }
  }

  async #assertMayCreate(): Promise<void> {
    const { dir, create } = this.#request
    if (!create) throw notFound(dir)
    if (existsSync(dir)) await assertMayCreate(dir)
    await withSecret(this.#passwordBytes(), assertPasswordStrength)
    await prepareDirectory(dir, create)
  }

  async #openReadOnly(keysInUse: KeysInUse): Promise<OpenedBackend> {
    const { dir } = this.#request
    const sets = await this.#migrationSets()
    await prepareDirectory(dir, false)
    await assertNoStandby(dir)
    const found = await readKeyring(dir)
    if (found === undefined) {
      await assertMayCreate(dir)
      throw notFound(dir)
    }
    assertDatabasesPresent(dir)
    const { keyring } = found
    const keys = await this.#unlock(keyring)
    this.#undo.push(async () => zero(keys.dataKey, keys.sealingKey, keys.nextDataKey))
    const readers = new Map<DatabaseFile, Connection>()
    const pending: PendingMigration[] = []
    for (const file of DATABASE_FILES) {
      const reader = await this.#keysOf(keys, keyring).open(`database:${file}`, (key) =>
        openKeyedDatabase(this.#driver, databasePath(dir, file), {
          key,
          role: 'reader',
          mode: 'read-only',
          durability: this.#request.durability,
          busyTimeoutMs: MIGRATION_BUSY_TIMEOUT_MS,
        }),
      )
      readers.set(file, reader)
      this.#undo.push(() => reader.close())
      const applied = await this.#naming(file, () => readAppliedMigrations(reader))
      pending.push(...pendingMigrations(applied, sets[file]))
    }
    if (pending.length > 0) throw migrationsPending(pending)
    const state = readers.get('state') as Connection
    const older = await olderKeyring(dir, (sql, parameters) => queryOnce(state, sql, parameters))
    if (older !== undefined) throw keyringOutdated(dir, older)
    const collections = await this.#collections(readers)
    for (const reader of readers.values()) await reader.close()
    const backend = await this.#start({
      keys,
      keyring,
      collections,
      writers: new Map(),
      lock: null,
      restored: [],
      auditKeys: this.#auditKeys(keys, keyring),
      trail: null,
      session: 0,
      standby: undefined,
      guards: new Map(),
      keysInUse,
      older: undefined,
    })
    return {
      backend,
      result: {
        storeId: keyring.storeId,
        created: false,
        session: 0,
        keyring: serializeKeyring(keyring),
        appliedMigrations: [],
        migrated: null,
        restoredKeyringCopies: [],
        hasUserMigrations: false,
        collections: [...collections.values()],
      },
    }
  }

  async #migrationSets(): Promise<Record<DatabaseFile, MigrationSet[]>> {
    const { migrationsDir, userMigrationsDir } = this.#request
    const state: MigrationSet[] = [{ origin: 'holdfast', migrations: await readMigrations(migrationsDir) }]
    if (userMigrationsDir !== null) state.push({ origin: 'user', migrations: await readMigrations(userMigrationsDir) })
    return {
      state,
      market: [{ origin: 'holdfast', migrations: await readMigrations(`${migrationsDir}/market`) }],
    }
  }

  async #keys(sets: Record<DatabaseFile, MigrationSet[]>): Promise<{
    readonly keyring: Keyring
    readonly keys: StoreKeys
    readonly created: boolean
    readonly restored: readonly string[]
  }> {
    const { dir } = this.#request
    const found = await readKeyring(dir)
    if (found === undefined) return { ...(await this.#create(sets)), created: true, restored: [] }
    const keys = await this.#unlock(found.keyring)
    await publishDatabases(dir)
    assertDatabasesPresent(dir)
    if (found.damagedCopies.length > 0) {
      await withKeyringLock(this.#driver, dir, () => restoreCopies(dir))
    }
    return { keyring: found.keyring, keys, created: false, restored: found.damagedCopies }
  }

  async #unlock(keyring: Keyring): Promise<StoreKeys> {
    try {
      return await withSecret(this.#passwordBytes(), (password) => nativeCall(() => unlockKeyring(keyring, password)))
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'WRONG_PASSWORD') throw error
      const remembered = await this.#unlockRemembered(keyring)
      if (remembered !== undefined) return remembered
      await noteWrongPassword(this.#request.dir)
      throw error
    }
  }

  /**
   * A worker that takes over has the password that the store was opened with, and somebody may have changed it since. The
   * keyring as it was then still opens with it; what counts is that the one on disk was written with the same data key.
   */
  async #unlockRemembered(keyring: Keyring): Promise<StoreKeys | undefined> {
    if (this.#request.keyring === null || keyring.version === 1) return undefined
    const before = parseKeyring(this.#request.keyring)
    const keys = await withSecret(this.#passwordBytes(), (password) =>
      nativeCall(() => unlockKeyring(before, password)),
    ).catch(() => undefined)
    if (keys === undefined) return undefined
    const isComplete = keyring.dataKeys.length === (keys.nextDataKey === undefined ? 1 : 2)
    if (isComplete && isKeyringOf(keyring, keys.dataKey)) return keys
    zero(keys.dataKey, keys.sealingKey, keys.nextDataKey)
    return undefined
  }

  #keysOf(keys: StoreKeys, { storeId }: Keyring): DatabaseKeys {
    this.#databaseKeys ??= new DatabaseKeys(keys, storeId)
    return this.#databaseKeys
  }

  #auditKeys(keys: StoreKeys, keyring: Keyring): AuditKeys {
    const auditKeys = new AuditKeys(keys, keyring.storeId)
    this.#undo.push(async () => auditKeys.zero())
    return auditKeys
  }

  #passwordBytes(): Uint8Array {
    return passwordBytes(Buffer.from(this.#request.password).toString('utf8'))
  }

  async #create(
    sets: Record<DatabaseFile, MigrationSet[]>,
  ): Promise<{ readonly keyring: Keyring; readonly keys: StoreKeys }> {
    const { dir } = this.#request
    await discardUnfinished(dir)
    const { keyring, ...keys } = await withSecret(this.#passwordBytes(), (password) =>
      nativeCall(() => createKeyring({ password, cost: this.#request.kdfCost ?? DEFAULT_KDF_COST, now: new Date() })),
    )
    for (const file of DATABASE_FILES) await this.#createDatabase(file, keys, keyring, sets[file].slice(0, 1))
    await failpoint('create:databases-made')
    await writeKeyring(dir, keyring)
    await failpoint('create:keyring-written')
    await publishDatabases(dir)
    return { keyring, keys }
  }

  async #createDatabase(file: DatabaseFile, keys: StoreKeys, keyring: Keyring, sets: MigrationSet[]): Promise<void> {
    const path = unfinishedDatabasePath(this.#request.dir, file)
    const connection = await this.#openKeyed(path, file, keys, keyring, 'create')
    try {
      await applyMigrations(connection, pendingMigrations([], sets), {
        path,
        dir: this.#request.dir,
        openCopy: (copy) => this.#openKeyed(copy, file, keys, keyring, 'read-write'),
      })
    } finally {
      await connection.close()
    }
    if (await isPlainSqlite(path)) {
      throw new StoreError('INTERNAL', 'The new database is not encrypted. The driver in use is not SQLCipher.')
    }
  }

  /**
   * The last connection to close moves the log into the database, whatever that file holds by then: an open that is
   * refused would still write into a file that does not even belong here. While a connection that can't write is open
   * beside them, closing the others does nothing of the kind. An archive needs that to the end (`archive/log-keeper.ts`).
   */
  async #openGuards(keys: StoreKeys, keyring: Keyring): Promise<Map<DatabaseFile, LogKeeper>> {
    const { dir, archive } = this.#request
    const guards = new Map<DatabaseFile, LogKeeper>()
    for (const file of DATABASE_FILES) {
      if (archive === null && !hasLog(dir, file)) continue
      const guard = new LogKeeper(await this.#openKeyed(databasePath(dir, file), file, keys, keyring, 'read-only'))
      this.#undo.push(() => guard.release())
      guards.set(file, guard)
    }
    return guards
  }

  #openWriter(file: DatabaseFile, keys: StoreKeys, keyring: Keyring): Promise<Connection> {
    return this.#openKeyed(databasePath(this.#request.dir, file), file, keys, keyring, 'read-write')
  }

  #openKeyed(
    path: string,
    file: DatabaseFile,
    keys: StoreKeys,
    keyring: Keyring,
    mode: 'create' | 'read-write' | 'read-only',
  ): Promise<Connection> {
    return this.#naming(file, () =>
      this.#keysOf(keys, keyring).open(`database:${file}`, (key) =>
        openKeyedDatabase(this.#driver, path, {
          key,
          mode,
          role: 'writer',
          durability: this.#request.durability,
          busyTimeoutMs: MIGRATION_BUSY_TIMEOUT_MS,
        }),
      ),
    )
  }

  /** So that an error tells which database it was. */
  async #naming<T>(file: DatabaseFile, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#request.dir, `${file}.db`)
    }
  }

  /**
   * A keyring that was taken back is refused. Not so where somebody promotes a standby, whose archive may lack the last
   * change, nor when a worker takes over: a store that trades goes on with the keys it has.
   *
   * @returns what the audit trail is told
   * @throws StoreError `KEYRING_OUTDATED`
   */
  async #olderKeyring(keys: StoreKeys, state: Connection, isPromoted: boolean): Promise<AuditRecord | undefined> {
    const { dir, session } = this.#request
    const query: Query = (sql, parameters) => queryOnce(state, sql, parameters)
    const older = await olderKeyring(dir, query)
    if (older === undefined) return undefined
    const record = { actor: 'holdfast', data: { ...older } }
    if (session !== null) return { ...record, event: 'key.keyring-outdated' }
    if (!isPromoted) throw keyringOutdated(dir, older)
    await withKeyringLock(this.#driver, dir, () => acceptIfOlder(dir, keys, query))
    return { ...record, event: 'key.older-accepted' }
  }

  /** All that is pending, of every file, is told at once. @throws StoreError `MIGRATION_PENDING` */
  async #refusePending(
    pendingOf: ReadonlyMap<DatabaseFile, readonly PendingMigration[]>,
    writers: ReadonlyMap<DatabaseFile, Connection>,
  ): Promise<void> {
    const { dir, migrate } = this.#request
    const pending = [...pendingOf.values()].flat()
    if (migrate === 'apply' || pending.length === 0) return
    if (migrate === 'rehearse') {
      for (const [file, own] of pendingOf) {
        if (own.length > 0) await rehearseMigrations(writers.get(file) as Connection, own, dir)
      }
    }
    throw migrationsPending(pending)
  }

  async #migrate(
    writer: Connection,
    file: DatabaseFile,
    pending: readonly PendingMigration[],
    keys: StoreKeys,
    keyring: Keyring,
  ): Promise<void> {
    if (pending.length === 0) return
    const { dir } = this.#request
    await applyMigrations(writer, pending, {
      path: databasePath(dir, file),
      dir,
      openCopy: (copy) => this.#openKeyed(copy, file, keys, keyring, 'read-write'),
    })
  }

  /** What this open defines, what the store has recorded besides, and what is built in. */
  async #collections(connections: ReadonlyMap<DatabaseFile, Connection>): Promise<Map<string, CollectionSpec>> {
    const specs = new Map<string, CollectionSpec>()
    for (const spec of this.#request.builtInCollections) specs.set(spec.name, spec)
    for (const [file, connection] of connections) {
      const recorded = await this.#naming(file, () => recordedCollections(connection))
      for (const spec of recorded) specs.set(spec.name, spec)
    }
    for (const spec of this.#request.collections) specs.set(spec.name, spec)
    return specs
  }

  async #start(parts: {
    readonly keys: StoreKeys
    readonly keyring: Keyring
    readonly collections: ReadonlyMap<string, CollectionSpec>
    readonly writers: ReadonlyMap<DatabaseFile, Connection>
    readonly lock: OwnerLock | null
    /** Copies of the keyring that had to be written anew. */
    readonly restored: readonly string[]
    readonly auditKeys: AuditKeys
    /** Null for a read-only store. */
    readonly trail: AuditTrail | null
    readonly session: number
    /** What this directory was until now. */
    readonly standby: StandbyState | undefined
    readonly guards: ReadonlyMap<DatabaseFile, LogKeeper>
    /** Null for the owner. */
    readonly keysInUse: KeysInUse | null
    /** Of a keyring that is older than the store, and was taken all the same. */
    readonly older: AuditRecord | undefined
  }): Promise<SqlcipherBackend> {
    const { dir, durability } = this.#request
    const { keys, keyring, collections, writers, lock, restored, auditKeys, trail, session, standby, guards } = parts
    const databaseKeys = this.#keysOf(keys, keyring)
    const sealedFields = new SealedFields(keys.sealingKey)
    const readSlots = new ReadSlots()
    const files = new Map<DatabaseFile, FileBackend>()
    const maintenanceLock = new MaintenanceLock()
    const archiver =
      lock === null ? null : await this.#startArchiver({ keys, keyring, session, files, maintenanceLock, guards })
    for (const file of DATABASE_FILES) {
      const backend = await FileBackend.start({
        driver: this.#driver,
        dir,
        file,
        key: databaseKeys.keyOf(`database:${file}`),
        durability,
        readSlots,
        collections,
        sealedFields,
        writer: writers.get(file) ?? null,
        audit: file === 'state' ? (trail?.writer ?? null) : null,
        archiver: archiver?.file(file) ?? null,
      })
      files.set(file, backend)
      this.#undo.push(() => backend.close())
    }
    if (standby !== undefined) await forgetStandby(dir)
    for (const name of restored) {
      await files.get('state')?.committer?.audit({
        actor: 'holdfast',
        event: 'store.repaired',
        data: { code: 'KEYRING_COPY_DAMAGED', subject: name },
      })
    }
    if (parts.older !== undefined) await files.get('state')?.committer?.audit(parts.older)
    const state = files.get('state') as FileBackend
    const tradeArchive = new TradeArchive({
      driver: this.#driver,
      dir,
      keyOf: ({ keyPurpose }) => databaseKeys.keyOf(keyPurpose),
      readSlots,
      collections,
      committer: state.committer,
      maintenanceLock,
      queryState: (sql) => state.readers.query(sql, []),
    })
    const artifacts = new ArtifactStore({
      dir,
      state,
      sealingKey: keys.sealingKey,
      storeId: keyring.storeId,
      commits: () => [...files.values()].reduce((sum, { committer }) => sum + (committer?.status.commits ?? 0), 0),
      archived: archiver?.beside ?? null,
    })
    const commits = () => files.get('state')?.committer?.status.commits ?? 0
    const series = new SeriesStore({ dir, market: files.get('market') as FileBackend, commits })
    const skills = new SkillStore({ dir, readers: state.readers, committer: state.committer })
    const sessionCache = new SessionCache({
      dir,
      settings: this.#request.sessionCache,
      wrappingKey: deriveSubKey(keys.sealingKey, keyring.storeId, 'session-cache-wrap'),
      readers: state.readers,
      committer: state.committer,
    })
    const seriesRules = new SeriesRuleStore({ dir, market: files.get('market') as FileBackend, series })
    const committer = files.get('state')?.committer ?? null
    if (committer !== null) trail?.start(committer)
    const backups = new StoreBackups({
      driver: this.#driver,
      dir,
      durability,
      files,
      keys: { storeId: keyring.storeId, dataKey: keys.dataKey },
      sessionCache,
      maintenanceLock,
    })
    archiver?.run()
    const rotation = new KeyRotation({
      driver: this.#driver,
      dir,
      keys,
      databaseKeys,
      files,
      maintenanceLock,
      closeYearlyReaders: async () => {
        await tradeArchive.closeReaders()
        await archiver?.beside.keepFromYearly()
      },
      beforePromoted: async () => archiver?.beforeDataKeyPromoted(),
      onDataKeyRotated: async () => {
        archiver?.onDataKeyRotated(deriveSubKey(keys.dataKey, keyring.storeId, 'backup-mac'))
      },
    })
    return new SqlcipherBackend({
      backups,
      series,
      books: new BookStore(series),
      seriesRules,
      skills,
      artifacts,
      sessionCache,
      dir,
      rotation,
      files,
      readSlots,
      collections,
      sealedFields,
      keys,
      lock,
      archiver,
      maintenanceLock,
      tradeArchive,
      auditKeys,
      trail,
      schedule: lock === null ? null : this.#request.maintenance,
      keysInUse: parts.keysInUse,
      keyringWatch:
        committer === null
          ? null
          : new KeyringWatch({
              dir,
              keys,
              query: (sql, parameters = []) => state.readers.query(sql, parameters),
              transact: (work) => committer.transact(work),
              audit: (record) => committer.audit(record),
            }),
    })
  }

  async #startArchiver(parts: {
    readonly keys: StoreKeys
    readonly keyring: Keyring
    readonly session: number
    readonly files: ReadonlyMap<DatabaseFile, FileBackend>
    readonly maintenanceLock: MaintenanceLock
    readonly guards: ReadonlyMap<DatabaseFile, LogKeeper>
  }): Promise<Archiver | null> {
    const { dir, archive } = this.#request
    const { keys, keyring, session, files, maintenanceLock, guards } = parts
    if (archive === null) {
      await removeLink(dir)
      return null
    }
    const archiver = await Archiver.start({
      ...archive,
      dir,
      storeId: keyring.storeId,
      session,
      macKey: deriveSubKey(keys.dataKey, keyring.storeId, 'backup-mac'),
      openReader: (file) => this.#openKeyed(databasePath(dir, file), file, keys, keyring, 'read-only'),
      openYearly: ({ path, keyPurpose }) =>
        this.#keysOf(keys, keyring).open(keyPurpose, (key) =>
          openKeyedDatabase(this.#driver, path, {
            key,
            mode: 'read-only',
            role: 'reader',
            durability: this.#request.durability,
            busyTimeoutMs: MIGRATION_BUSY_TIMEOUT_MS,
          }),
        ),
      isRotating: () => maintenanceLock.running === ROTATION,
      giveWay: givingWayTo(() =>
        [...files.values()].reduce((sum, { committer }) => sum + (committer?.status.commits ?? 0), 0),
      ),
      keepers: guards,
      alone: (work) => maintenanceLock.exclusiveOperation('new generation of the archive', work),
      audit: async (data) => {
        await files.get('state')?.committer?.audit({ actor: 'holdfast', event: 'archive.started', data })
      },
    })
    this.#undo.push(() => archiver.discard())
    return archiver
  }
}

/** As they are by now: an operator beside may have written them meanwhile. */
async function restoreCopies(dir: string): Promise<void> {
  const found = await readKeyring(dir)
  if (found !== undefined) await restoreKeyringCopies(dir, found.keyring, found.damagedCopies)
}

function isUserMigration({ origin }: AppliedMigration): boolean {
  return origin === 'user'
}

function migrationsPending(pending: readonly PendingMigration[]): StoreError {
  return new StoreError(
    'MIGRATION_PENDING',
    `The store needs ${pending.length} migration(s) first: ${pending.map((each) => each.name).join(', ')}. Run holdfast migrate, or open it as its owner.`,
    { details: { pending: pending.map((each) => each.name) } },
  )
}

interface SqlcipherBackendParts {
  readonly backups: StoreBackups
  readonly series: SeriesStore
  readonly books: BookStore
  readonly seriesRules: SeriesRuleStore
  readonly skills: SkillStore
  readonly artifacts: ArtifactStore
  readonly sessionCache: SessionCache
  readonly dir: string
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  readonly readSlots: ReadSlots
  readonly collections: ReadonlyMap<string, CollectionSpec>
  readonly sealedFields: SealedFields
  readonly keys: StoreKeys
  readonly rotation: KeyRotation
  readonly lock: OwnerLock | null
  /** For what must not run beside a rotation of the data key, such as a backup or an archive's base. */
  readonly maintenanceLock: MaintenanceLock
  readonly tradeArchive: TradeArchive
  readonly auditKeys: AuditKeys
  readonly trail: AuditTrail | null
  readonly schedule: MaintenanceSchedule | null
  readonly archiver: Archiver | null
  /** Of a store that is looked at beside its owner, who may rotate its data key meanwhile; null for the owner. */
  readonly keysInUse: KeysInUse | null
  /** Null for a read-only store. */
  readonly keyringWatch: KeyringWatch | null
}

class SqlcipherBackend implements Backend {
  readonly series: SeriesStore
  readonly books: BookStore
  readonly seriesRules: SeriesRuleStore
  readonly skills: SkillStore
  readonly artifacts: ArtifactStore
  readonly sessionCache: SessionCache
  readonly #parts: SqlcipherBackendParts
  readonly #maintenance: Maintenance
  #lastCheck: LastCheck | null = null
  readonly #lastBackup = new LastBackup((text, parameters) => this.#read('state', { text, parameters }))
  readonly #auditReader: AuditReader

  constructor(parts: SqlcipherBackendParts) {
    this.#parts = parts
    this.series = parts.series
    this.books = parts.books
    this.seriesRules = parts.seriesRules
    this.skills = parts.skills
    this.artifacts = parts.artifacts
    this.sessionCache = parts.sessionCache
    this.#auditReader = new AuditReader({
      dir: parts.dir,
      keys: parts.auditKeys,
      query: (text, parameters) => this.#read('state', { text, parameters }),
    })
    this.#maintenance = new Maintenance({
      ...parts,
      applySeriesRules: () => parts.seriesRules.seriesRulesApply({ nowMs: null, names: null }),
      compactSeries: (isFull, isStopped) => parts.series.compactAll(isFull, isStopped),
    })
    this.#maintenance.start()
  }

  async commit(batch: Batch): Promise<CommitResult> {
    return await this.#committer(batch.file).commit(batch)
  }

  async commitUnits(batch: UnitBatch): Promise<UnitCommitResult> {
    return await this.#committer(batch.file).commitUnits(batch)
  }

  async wasApplied(request: AppliedRequest): Promise<AppliedResult> {
    return await this.#committer(request.file).wasApplied(request)
  }

  async hydrate({ collection, after }: HydrateRequest): Promise<HydratePage> {
    const spec = this.#spec(collection)
    const [row] = await this.#read(spec.file, hydrateSql(spec, after, HYDRATE_ROWS))
    return { json: String(row?.json), last: Number(row?.count) < HYDRATE_ROWS ? null : Number(row?.last) }
  }

  async get({ collection, key, includeArchived }: GetRequest): Promise<string | null> {
    const spec = this.#spec(collection)
    if (includeArchived) return await this.#ownErrors(() => this.#parts.tradeArchive.get(collection, key))
    const text = `SELECT ${openDocumentSql(spec)} AS "json" FROM main.${quoteName(spec.name)} WHERE "_key" = ?`
    const [row] = await this.#read(spec.file, { text, parameters: [key] })
    return row === undefined ? null : String(row.json)
  }

  async entry({ collection, key }: { readonly collection: string; readonly key: string }): Promise<EntryWire | null> {
    const spec = this.#spec(collection)
    const text = `SELECT ${openDocumentSql(spec)} AS "json", "_version", "_createdAt", "_updatedAt", "_sequence" FROM main.${quoteName(spec.name)} WHERE "_key" = ?`
    const [row] = await this.#read(spec.file, { text, parameters: [key] })
    if (row === undefined) return null
    return {
      json: String(row.json),
      version: Number(row._version),
      createdAt: Number(row._createdAt),
      updatedAt: Number(row._updatedAt),
      sequence: Number(row._sequence),
    }
  }

  async page(request: PageRequest): Promise<Page> {
    const spec = this.#spec(request.collection)
    if (request.query.includeArchived) return await this.#ownErrors(() => this.#parts.tradeArchive.page(request))
    const [row] = await this.#read(spec.file, pageSql(request, spec))
    const count = Number(row?.count)
    const more = count === request.maxRows && count > 0
    return {
      json: String(row?.json),
      count,
      cursor: more ? { value: row?.value as string | number | null, id: Number(row?.id) } : null,
    }
  }

  async count(request: CountRequest): Promise<number> {
    const spec = this.#spec(request.collection)
    if (request.includeArchived) {
      return await this.#ownErrors(() => this.#parts.tradeArchive.count(request.collection, request.where))
    }
    const [row] = await this.#read(spec.file, countSql(spec, request.where))
    return Number(row?.count)
  }

  async sql(request: SqlRequest): Promise<readonly SqlRow[]> {
    return await this.#ownErrors(() => readOnlySql(request, this.#reader(request.file)))
  }

  async sqlTable(request: SqlRequest): Promise<SqlTable> {
    return await this.#ownErrors(() => readOnlyTable(request, this.#reader(request.file)))
  }

  #reader(file: DatabaseFile): RunQuery {
    return (text, parameters) => this.#file(file).readers.query(text, parameters)
  }

  async reveal({ collection, key, actor, reason }: RevealRequest): Promise<Readonly<Record<string, string | null>>> {
    const { sealedFields } = this.#parts
    const spec = this.#spec(collection)
    const text = `SELECT "_doc" AS "json" FROM main.${quoteName(spec.name)} WHERE "_key" = ?`
    const [row] = await this.#read(spec.file, { text, parameters: [key] })
    if (row === undefined) {
      throw new StoreError('NOT_FOUND', `"${spec.name}" has no document with this key.`, {
        details: { collection, key },
      })
    }
    await this.#committer('state').audit({ actor, event: 'wallet.revealed', data: { collection, key, reason } })
    return sealedFields.open(spec, key, String(row.json))
  }

  async auditPage(request: AuditPageRequest): Promise<AuditPage> {
    return await this.#auditReader.page(request)
  }

  async auditVerify({ head }: { readonly head: string | null }): Promise<AuditVerification> {
    return await this.#auditReader.verify(head)
  }

  async auditNote(request: AuditNoteRequest): Promise<void> {
    await this.#auditReader.leaveNote(request)
  }

  async archiveTrades(request: ArchiveTradesRequest): Promise<ArchiveTradesResult> {
    return await this.#ownErrors(() => this.#parts.tradeArchive.run(request))
  }

  async checkpoint(): Promise<void> {
    for (const file of this.#parts.files.values()) await file.checkpoint()
  }

  async check(request: CheckRequest): Promise<readonly CheckFinding[]> {
    const findings = await this.#ownErrors(() => this.#checkAside(request))
    this.#lastCheck = summaryOf(findings)
    return findings
  }

  /** Pages are read past SQLite's locks: beside a rotation, those under the other key would pass for damage. */
  async #checkAside(request: CheckRequest): Promise<readonly CheckFinding[]> {
    const { rotation, keysInUse } = this.#parts
    if (keysInUse !== null) return await checkBeside(this.#checked, request, keysInUse)
    for (;;) {
      await rotation.settled()
      const begun = rotation.begun
      const findings = await checkStore(this.#checked, request)
      if (rotation.begun === begun) return findings
    }
  }

  get #checked(): CheckedStore {
    const { dir, files, archiver, tradeArchive, artifacts, sessionCache } = this.#parts
    return {
      dir,
      files,
      tradeArchive,
      artifacts,
      sessionCache,
      verifyAudit: () => this.#auditReader.verify(null),
      archiveStatus: () => archiver?.status ?? null,
    }
  }

  async repair(request: RepairRequest): Promise<RepairResult> {
    const result = await this.#ownErrors(() =>
      this.#parts.maintenanceLock.exclusiveOperation('repair', () => repairStore(this.#checked, request)),
    )
    this.#lastCheck = summaryOf(result.remaining)
    return result
  }

  async maintain(request: MaintainRequest): Promise<MaintenanceResult> {
    return await this.#ownErrors(() => this.#maintenance.run(request))
  }

  async sizes(): Promise<StoreSizes> {
    return (await this.#ownErrors(() => measureSizes(this.#parts.files, () => false))) as StoreSizes
  }

  async backup(request: BackupRequest): Promise<BackupResult> {
    return await this.#ownErrors(() => this.#parts.backups.make(request))
  }

  async status(): Promise<WorkerStatus> {
    const { dir, readSlots } = this.#parts
    const disk = await readDiskSpace(dir)
    const { usedBytes } = await this.#file('state').freeSpace()
    const { usedBytes: marketBytes } = await this.#file('market').freeSpace()
    const growth = await this.#ownErrors(() =>
      readGrowth(
        (sql, values) => this.#file('state').readers.query(sql, values),
        usedBytes + marketBytes,
        disk.freeBytes,
      ),
    )
    return {
      archive: this.#parts.archiver?.status ?? null,
      files: { state: await this.#file('state').status(), market: await this.#file('market').status() },
      yearlyFiles: await yearlyFileSizes(dir),
      readsActive: readSlots.active,
      readsWaiting: readSlots.waiting,
      readLatency: readSlots.latency,
      disk,
      lastCheck: this.#lastCheck,
      artifacts: await this.artifacts.status(),
      skills: await this.skills.status(),
      sessionCache: await this.sessionCache.status(),
      series: await this.series.status(),
      audit: await this.#auditReader.status(),
      keys: await this.#keysStatus(),
      maintenance: this.#maintenance.status,
      lastBackupAtMs: await this.#lastBackup.atMs(),
      growth,
      migrations: await this.#migrations(),
    }
  }

  async rotateDataKey(request: RotateDataKeyRequest): Promise<RotateDataKeyResult> {
    if (this.#parts.lock === null) {
      throw new StoreError('READ_ONLY', 'Only the owner of a store can give it another data key.')
    }
    return await this.#ownErrors(() => this.#parts.rotation.rotate(request))
  }

  async rotationProgress(): Promise<RotationProgress | null> {
    return this.#parts.rotation.progress
  }

  /** In the background. */
  resumeRotation(): void {
    this.#parts.rotation.resume()
  }

  async #keysStatus(): Promise<WorkerStatus['keys']> {
    const { dir, rotation } = this.#parts
    const found = await readKeyring(dir)
    return {
      ...(found === undefined ? null : keyringInfo(found.keyring)),
      rotation: rotation.progress,
    } as WorkerStatus['keys']
  }

  async close(): Promise<void> {
    const { files, keys, rotation, lock, auditKeys, trail, archiver, tradeArchive, backups } = this.#parts
    await rotation.end()
    await this.#parts.keyringWatch?.close()
    await tradeArchive.close()
    await this.seriesRules.close()
    await this.#maintenance.stop()
    await this.books.close()
    await this.series.close()
    await this.artifacts.close()
    await this.sessionCache.close()
    await backups.end()
    await tradeArchive.close()
    await trail?.close()
    await archiver?.finish()
    for (const file of files.values()) await file.close()
    await backups.releaseFiles()
    await archiver?.close()
    await trail?.finish()
    auditKeys.zero()
    zero(keys.dataKey, keys.sealingKey, keys.nextDataKey)
    await lock?.release()
  }

  async #migrations(): Promise<WorkerStatus['migrations']> {
    const text = 'SELECT "origin", "number", "name" FROM "_migrations" ORDER BY "origin", "number"'
    const rows = (await this.#read('state', { text, parameters: [] })) as unknown as AppliedMigration[]
    return rows.map(({ origin, number, name }) => ({ origin, number, name }))
  }

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await this.#toOwnError(error)
    }
  }

  /** Beside an owner that has rotated its data key, what can't be read any more is not damaged. */
  async #toOwnError(error: unknown, file?: string): Promise<StoreError> {
    const { dir, keysInUse } = this.#parts
    const own = await toStoreError(error, dir, file)
    if (own.code !== 'STORE_CORRUPT' || keysInUse === null || !(await keysInUse.haveChanged())) return own
    return openedBeforeRotation(dir, own)
  }

  async #read(file: DatabaseFile, sql: Sql): Promise<Row[]> {
    try {
      return await this.#file(file).readers.query(sql.text, sql.parameters)
    } catch (error) {
      throw await this.#toOwnError(error, `${file}.db`)
    }
  }

  #file(file: DatabaseFile): FileBackend {
    return this.#parts.files.get(file) as FileBackend
  }

  #committer(file: DatabaseFile): Committer {
    const { committer } = this.#file(file)
    if (committer === null) {
      throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
    }
    return committer
  }

  #spec(collection: string): CollectionSpec {
    const spec = this.#parts.collections.get(collection)
    if (spec === undefined) throw new StoreError('UNKNOWN_COLLECTION', `There is no collection "${collection}".`)
    return spec
  }
}
