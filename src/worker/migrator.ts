/**
 * Brings a database to the version this package (and the user's folder) describes: forward only, each file in a
 * transaction of its own, its checksum recorded. A store that holds data is copied first, and the copy is opened and
 * checked before anything changes.
 */
import { rename, rm, writeFile } from 'node:fs/promises'
import { StoreError } from '../protocol/store-error.ts'
import { type Connection, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'
import { isDiskFull, toStoreError } from './io-error.ts'
import type { Migration } from './migration-files.ts'
import { quoteName, quoteText } from './quote.ts'
import { FILE_MODE } from './store-files.ts'

export type MigrationOrigin = 'holdfast' | 'user'

export interface MigrationSet {
  readonly origin: MigrationOrigin
  readonly migrations: readonly Migration[]
}

export interface AppliedMigration {
  readonly origin: MigrationOrigin
  readonly number: number
  readonly name: string
  readonly checksum: string
}

export interface PendingMigration extends Migration {
  readonly origin: MigrationOrigin
}

export interface MigrateOptions {
  readonly path: string
  readonly dir: string
  /** Opens a copy of the database under the same key, for verifying it. */
  readonly openCopy: (path: string) => Promise<Connection>
}

const CREATE_LEDGER = `CREATE TABLE IF NOT EXISTS "_migrations" (
  "origin" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "name" TEXT NOT NULL,
  "checksum" TEXT NOT NULL,
  "appliedAt" INTEGER NOT NULL,
  PRIMARY KEY ("origin", "number")
) STRICT, WITHOUT ROWID`

export async function readAppliedMigrations(connection: Connection): Promise<AppliedMigration[]> {
  const ledger = await queryOnce(connection, `SELECT 1 FROM sqlite_schema WHERE name = '_migrations'`)
  if (ledger.length === 0) return []
  const rows = await queryOnce(
    connection,
    'SELECT "origin", "number", "name", "checksum" FROM "_migrations" ORDER BY "origin", "number"',
  )
  return rows.map((row) => ({
    origin: row.origin as MigrationOrigin,
    number: Number(row.number),
    name: String(row.name),
    checksum: String(row.checksum),
  }))
}

/**
 * What is still to be applied, in order.
 *
 * @throws StoreError `STORE_FROM_FUTURE` when the database has migrations this folder lacks, `MIGRATION_CHANGED` when
 * an applied file reads differently now.
 */
export function pendingMigrations(
  applied: readonly AppliedMigration[],
  sets: readonly MigrationSet[],
): PendingMigration[] {
  const pending: PendingMigration[] = []
  for (const { origin, migrations } of sets) {
    const done = applied.filter((each) => each.origin === origin)
    for (const each of done) {
      const known = migrations[each.number - 1]
      if (known === undefined) throw fromFuture(origin, each)
      if (known.checksum !== each.checksum) throw changed(origin, each)
    }
    for (const migration of migrations.slice(done.length)) pending.push({ ...migration, origin })
  }
  return pending
}

/** Applies `pending`; returns the path of the copy made beforehand, or null when there was nothing to lose. */
export async function applyMigrations(
  connection: Connection,
  pending: readonly PendingMigration[],
  options: MigrateOptions,
): Promise<string | null> {
  if (pending.length === 0) return null
  const copy = (await holdsData(connection))
    ? await copyBefore(connection, pending[0] as PendingMigration, options)
    : null
  await failpoint('migrate:copy-made')
  for (const migration of pending) {
    await connection.exec('BEGIN IMMEDIATE')
    try {
      await applyOne(connection, migration)
      await failpoint('migrate:before-commit')
      await connection.exec('COMMIT')
      await failpoint('migrate:after-commit')
    } catch (error) {
      await rollBack(connection)
      throw await failed(migration, error, options.dir)
    }
  }
  return copy
}

/** Runs every pending migration inside one transaction and rolls it back: what would happen, without it happening. */
export async function rehearseMigrations(
  connection: Connection,
  pending: readonly PendingMigration[],
  dir: string,
): Promise<void> {
  await connection.exec('BEGIN IMMEDIATE')
  try {
    for (const migration of pending) {
      try {
        await applyOne(connection, migration)
      } catch (error) {
        throw await failed(migration, error, dir)
      }
    }
  } finally {
    await rollBack(connection)
  }
}

async function applyOne(connection: Connection, migration: PendingMigration): Promise<void> {
  await connection.exec(CREATE_LEDGER)
  await connection.exec(migration.sql)
  const violations = await queryOnce(connection, 'PRAGMA foreign_key_check')
  if (violations.length > 0) {
    throw new StoreError(
      'MIGRATION_FAILED',
      `Migration ${migration.name} leaves ${violations.length} rows that refer to nothing. It was rolled back.`,
      { details: { migration: migration.name } },
    )
  }
  await queryOnce(
    connection,
    'INSERT INTO "_migrations" ("origin", "number", "name", "checksum", "appliedAt") VALUES (?, ?, ?, ?, ?)',
    [migration.origin, migration.number, migration.name, migration.checksum, Date.now()],
  )
}

async function rollBack(connection: Connection): Promise<void> {
  await connection.exec('ROLLBACK').catch(() => undefined)
}

/** True when any table but those that every new store fills has a row. */
async function holdsData(connection: Connection): Promise<boolean> {
  const tables = await queryOnce(
    connection,
    `SELECT "name" FROM sqlite_schema WHERE "type" = 'table' AND "name" NOT IN ('_migrations', '_session', '_auditWaiting', '_skillSearch_config', '_skillSearch_data')`,
  )
  for (const { name } of tables) {
    if ((await queryOnce(connection, `SELECT 1 FROM ${quoteName(String(name))} LIMIT 1`)).length > 0) return true
  }
  return false
}

async function copyBefore(
  connection: Connection,
  first: PendingMigration,
  { path, dir, openCopy }: MigrateOptions,
): Promise<string> {
  const copyPath = `${path}.before-${first.origin === 'user' ? 'user-' : ''}${first.name.slice(0, 4)}`
  const partialPath = `${copyPath}.partial`
  await removeDatabase(partialPath)
  try {
    // SQLite writes into a file that is there and empty, and gives its journal the same mode.
    await writeFile(partialPath, '', { mode: FILE_MODE })
    await connection.exec(`VACUUM INTO ${quoteText(partialPath)}`)
    await verifyCopy(partialPath, path, openCopy)
  } catch (error) {
    // Told before there is room again.
    const refusal = await toStoreError(error, dir)
    await removeDatabase(partialPath)
    throw refusal
  }
  await rename(partialPath, copyPath)
  return copyPath
}

async function verifyCopy(copyPath: string, path: string, openCopy: MigrateOptions['openCopy']): Promise<void> {
  const copy = await openCopy(copyPath)
  try {
    const problems = [
      ...(await queryOnce(copy, 'PRAGMA cipher_integrity_check')),
      ...(await queryOnce(copy, 'PRAGMA quick_check')).filter((row) => !Object.values(row).includes('ok')),
    ]
    if (problems.length > 0) {
      throw new StoreError(
        'STORE_CORRUPT',
        `The copy made before migrating ${path} does not verify, so nothing was migrated. Check the disk.`,
        { details: { path } },
      )
    }
  } finally {
    await copy.close()
  }
}

async function removeDatabase(path: string): Promise<void> {
  for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${path}${suffix}`, { force: true })
}

async function failed(migration: PendingMigration, error: unknown, dir: string): Promise<StoreError> {
  if (error instanceof StoreError) return error
  if (await isDiskFull(dir)) return await toStoreError(error, dir)
  return new StoreError(
    'MIGRATION_FAILED',
    `Migration ${migration.name} failed and was rolled back; the store is as it was before it. Correct the file and open again.`,
    { details: { migration: migration.name, origin: migration.origin }, cause: error },
  )
}

function fromFuture(origin: MigrationOrigin, applied: AppliedMigration): StoreError {
  const remedy =
    origin === 'holdfast' ? 'Update the holdfast package' : 'Deploy the migrations folder it was written with'
  return new StoreError(
    'STORE_FROM_FUTURE',
    `The store has migration ${applied.name}, which this version does not know. ${remedy}; nothing was changed.`,
    { details: { migration: applied.name, origin } },
  )
}

function changed(origin: MigrationOrigin, applied: AppliedMigration): StoreError {
  return new StoreError(
    'MIGRATION_CHANGED',
    `Migration ${applied.name} was applied to this store and has been edited since. Restore the file and put the change in a new one.`,
    { details: { migration: applied.name, origin } },
  )
}
