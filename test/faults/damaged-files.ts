/** A store's files on disk, damaged byte by byte and read back below argon2, so that thousands of cases take minutes. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { unlockKeyring } from '../../src/crypto/keyring.ts'
import { readKeyring } from '../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../src/crypto/password.ts'
import { deriveSubKey } from '../../src/crypto/sub-key.ts'
import { isStoreError, type StoreErrorCode } from '../../src/protocol/store-error.ts'
import type { DatabaseFile } from '../../src/schema/database-file.ts'
import { type Connection, queryOnce } from '../../src/worker/driver.ts'
import { toStoreError } from '../../src/worker/io-error.ts'
import { openKeyedDatabase } from '../../src/worker/keyed-database.ts'
import { sqlcipherDriver } from '../../src/worker/sqlcipher-driver.ts'
import { assertWalUndamaged } from '../../src/worker/wal-damage.ts'
import type { Random } from './random.ts'
import { PASSWORD } from './store-settings.ts'

/** Every row of every table, as one text. */
export type Everything = string

/** What came of opening damaged files and reading all of them. */
export type Outcome = { readonly read: Everything } | { readonly refused: StoreErrorCode }

export class DatabaseUnderDamage {
  readonly #dir: string
  readonly #path: string
  readonly #key: Uint8Array
  readonly #original: ReadonlyMap<string, Buffer>

  private constructor(dir: string, file: DatabaseFile, key: Uint8Array) {
    this.#dir = dir
    this.#path = join(dir, `${file}.db`)
    this.#key = key
    this.#original = new Map(
      [this.#path, `${this.#path}-wal`].filter(existsSync).map((path) => [path, readFileSync(path)]),
    )
  }

  /** `dir` is a scratch copy of a store directory that nobody has open. */
  static async of(dir: string, file: DatabaseFile): Promise<DatabaseUnderDamage> {
    const found = await readKeyring(dir)
    if (found === undefined) throw new Error(`${dir} has no keyring`)
    const { dataKey } = await unlockKeyring(found.keyring, passwordBytes(PASSWORD))
    return new DatabaseUnderDamage(dir, file, deriveSubKey(dataKey, found.keyring.storeId, `database:${file}`))
  }

  original(suffix: '' | '-wal'): Buffer {
    return this.#original.get(`${this.#path}${suffix}`) as Buffer
  }

  /** Puts the files back as they were, but for one of them. */
  async readWith(suffix: '' | '-wal', content: Buffer): Promise<Outcome> {
    for (const name of ['-wal', '-shm']) rmSync(`${this.#path}${name}`, { force: true })
    for (const [path, bytes] of this.#original) writeFileSync(path, bytes)
    writeFileSync(`${this.#path}${suffix}`, content)
    return await this.#read()
  }

  /** How many problems the check of page authentication finds; a file that does not open counts as one. */
  async countFindings(): Promise<number> {
    return await this.withConnection(async (connection) => {
      return (await queryOnce(connection, 'PRAGMA cipher_integrity_check')).length
    }).catch(() => 1)
  }

  /** For changes made with the store's own key. */
  async withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await openKeyedDatabase(sqlcipherDriver, this.#path, {
      key: this.#key,
      mode: 'read-write',
      role: 'writer',
      durability: 'full',
      busyTimeoutMs: 1_000,
    })
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }

  async #read(): Promise<Outcome> {
    try {
      await assertWalUndamaged(`${this.#path}-wal`)
      return { read: await this.withConnection(readEverything) }
    } catch (error) {
      const refusal = await toStoreError(error, this.#dir)
      if (!isStoreError(refusal)) throw error
      return { refused: refusal.code }
    }
  }
}

/** Tables in their own order and, where there are indexes of all rows, in the order of each. */
async function readEverything(connection: Connection): Promise<Everything> {
  const texts: string[] = []
  const tables = await queryOnce(connection, `SELECT "name" FROM sqlite_schema WHERE "type" = 'table' ORDER BY "name"`)
  for (const { name } of tables) {
    const table = `"${String(name)}"`
    texts.push(JSON.stringify([name, await queryOnce(connection, `SELECT * FROM ${table}`)]))
    const indexes = await queryOnce(connection, `PRAGMA index_list(${table})`)
    for (const index of indexes) {
      const columns = await queryOnce(connection, `PRAGMA index_info("${String(index.name)}")`)
      const order = columns.map((column) => `"${String(column.name)}"`).join(', ')
      const sql = `SELECT ${order} FROM ${table} INDEXED BY "${String(index.name)}" ORDER BY ${order}`
      if (index.origin === 'c' && index.partial === 0)
        texts.push(JSON.stringify([index.name, await queryOnce(connection, sql)]))
    }
  }
  return texts.join('\n')
}

/** A copy with one byte changed to any other value. */
export function withFlippedByte(bytes: Buffer, offset: number, random: Random): Buffer {
  const damaged = Buffer.from(bytes)
  damaged[offset] = (damaged[offset] as number) ^ random.between(1, 255)
  return damaged
}

export function copyFiles(from: string, to: string, names: readonly string[]): void {
  for (const name of names) if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name))
}
