/**
 * Opens one database file with its key and the settings every connection of the store shares.
 *
 * SQLCipher answers a wrong key, a foreign file and a damaged first page with the same code. By the time a database is
 * opened the keyring has unwrapped, so the password is right: what remains is told apart here by looking at the file.
 */
import { open } from 'node:fs/promises'
import type { Durability } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { type Connection, type Driver, DriverError, type OpenOptions, queryOnce } from './driver.ts'

/** See https://sqlite.org/fileformat.html#magic_header_string. */
export const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1')

const CACHE_KIB = { writer: 32 * 1024, reader: 8 * 1024 } as const

export interface KeyedOpenOptions extends OpenOptions {
  readonly key: Uint8Array
  readonly role: 'writer' | 'reader' | 'checkpointer'
  readonly durability: Durability
}

/**
 * Opens a SQLCipher 4 database under a raw key (https://www.zetetic.net/sqlcipher/sqlcipher-api/#key).
 *
 * @throws StoreError `NOT_A_STORE` for an unencrypted SQLite file, `STORE_CORRUPT` when the key does not fit the file.
 */
export async function openKeyedDatabase(driver: Driver, path: string, options: KeyedOpenOptions): Promise<Connection> {
  const connection = await driver.open(path, options)
  try {
    await connection.exec('PRAGMA cipher_log = off')
    await connection.exec(`PRAGMA key = "x'${Buffer.from(options.key).toString('hex')}'"`)
    await assertReadable(connection, path)
    await connection.exec(settingsSql(options))
    return connection
  } catch (error) {
    await connection.close()
    throw error
  }
}

function settingsSql({ role, mode, durability }: KeyedOpenOptions): string {
  const settings = [
    'PRAGMA foreign_keys = ON',
    'PRAGMA trusted_schema = OFF',
    'PRAGMA temp_store = MEMORY',
    'PRAGMA secure_delete = FAST',
    'PRAGMA wal_autocheckpoint = 0',
    'PRAGMA fullfsync = ON',
    `PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`,
    `PRAGMA cache_size = -${role === 'writer' ? CACHE_KIB.writer : CACHE_KIB.reader}`,
  ]
  // Before the first table: a new file can give space back in steps (docs/decisions/0013-incremental-vacuum.md).
  if (mode === 'create') settings.unshift('PRAGMA auto_vacuum = INCREMENTAL')
  if (mode !== 'read-only') settings.push('PRAGMA journal_mode = WAL')
  return settings.join(';')
}

async function assertReadable(connection: Connection, path: string): Promise<void> {
  try {
    await queryOnce(connection, 'SELECT count(*) FROM sqlite_schema')
  } catch (error) {
    if (!(error instanceof DriverError) || error.code !== 'NOTADB') throw error
    if (await isPlainSqlite(path)) {
      throw new StoreError('NOT_A_STORE', `${path} is an unencrypted SQLite database, not part of a Holdfast store.`, {
        details: { path },
        cause: error,
      })
    }
    throw new StoreError(
      'STORE_CORRUPT',
      `The password is right, but ${path} does not open under this store's key: its first page is damaged, the file belongs to another store, or the keyring is from before its data key was rotated. Nothing was changed: put back the keyring that belongs to it, or restore a copy.`,
      { details: { path }, cause: error },
    )
  }
}

export async function isPlainSqlite(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const head = Buffer.alloc(SQLITE_MAGIC.length)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    return bytesRead === head.length && head.equals(SQLITE_MAGIC)
  } finally {
    await file.close()
  }
}
