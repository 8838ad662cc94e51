/**
 * Why: a keyring can be taken back. Whoever puts an older one in the place of both copies brings back the passwords of
 * then, one that had leaked and was changed among them, and nothing in the keyring itself tells. So `state.db` has on
 * record how far the keyring has come, and one that is older is refused.
 *
 * The keyring is written first and the record follows: a crash between the two, a backup of that moment or an older
 * `state.db` leave a keyring that is newer than the record, which is right. (docs/decisions/0022-keyring-record.md)
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isKeyringOf, type StoreKeys } from '../crypto/keyring.ts'
import { succeed } from '../crypto/keyring-change.ts'
import { KEYRING_BACKUP_FILE, KEYRING_FILE, readKeyring, writeKeyring } from '../crypto/keyring-file.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { AuditRecord } from './committer.ts'
import { type BindValue, type Connection, queryOnce, type Row } from './driver.ts'

const INTERVAL_MS = 1_000
/** The generation of a keyring only ever rises, and so does what is on record. */
const RECORD_SQL = `INSERT INTO "_keyring" ("id", "generation", "recordedAt") VALUES (1, ?, ?)
  ON CONFLICT ("id") DO UPDATE SET "generation" = excluded."generation", "recordedAt" = excluded."recordedAt"
  WHERE excluded."generation" > "generation"`

export type Query = (sql: string, parameters?: readonly BindValue[]) => Promise<Row[]>

/** A keyring that is older than the one on record. */
export interface OlderKeyring {
  readonly generation: number
  readonly recordedGeneration: number
}

/** What `state.db` has on record; null in a store of a version that kept none. */
async function recordedGeneration(query: Query): Promise<number | null> {
  const tables = await query(`SELECT 1 FROM "sqlite_schema" WHERE "name" = '_keyring'`)
  if (tables.length === 0) return null
  const [row] = await query('SELECT "generation" FROM "_keyring"')
  return row === undefined ? null : Number(row.generation)
}

/** The keyring of the directory, when it is older than the one on record. */
export async function olderKeyring(dir: string, query: Query): Promise<OlderKeyring | undefined> {
  const recorded = await recordedGeneration(query)
  // After the record: it is never ahead of the keyring, whoever changes that meanwhile.
  const found = await readKeyring(dir)
  if (recorded === null || found === undefined || found.keyring.generation >= recorded) return undefined
  return { generation: found.keyring.generation, recordedGeneration: recorded }
}

export function keyringOutdated(dir: string, { generation, recordedGeneration }: OlderKeyring): StoreError {
  return new StoreError(
    'KEYRING_OUTDATED',
    `The keyring in ${dir} is older than the store: it is of generation ${generation}, and ${recordedGeneration} is on record. A password that was changed or removed since opens it. Nothing was changed: put the newer keyring.json back; if there is none any more, holdfast key accept-older takes this one.`,
    { details: { dir, generation, recordedGeneration } },
  )
}

/** Puts on record how far the keyring on disk has come, over the writer's connection and before anybody else has it. */
export async function recordKeyring(writer: Connection, dir: string, keys: StoreKeys): Promise<void> {
  const generation = await authenticGeneration(dir, keys)
  if (generation !== undefined) await queryOnce(writer, RECORD_SQL, [generation, Date.now()])
}

/**
 * What restores and promotions do, which somebody asked for with a password: the keyring of an archive may be older than
 * a state that was shipped right before a crash. It becomes newer than what is on record.
 */
export async function acceptIfOlder(dir: string, keys: StoreKeys, query: Query): Promise<OlderKeyring | undefined> {
  const older = await olderKeyring(dir, query)
  const found = await readKeyring(dir)
  if (older === undefined || found === undefined || found.keyring.version === 1) return undefined
  await writeKeyring(dir, succeed(found.keyring, keys, older.recordedGeneration))
  return older
}

/** Undefined for a keyring that was not written with the data key at hand, such as one that is being promoted. */
async function authenticGeneration(dir: string, keys: StoreKeys): Promise<number | undefined> {
  const found = await readKeyring(dir)
  if (found === undefined) return undefined
  const { keyring } = found
  return keyring.version === 1 || isKeyringOf(keyring, keys.dataKey) ? keyring.generation : undefined
}

export interface KeyringWatchOptions {
  readonly dir: string
  readonly keys: StoreKeys
  readonly transact: (work: (connection: Connection) => Promise<void>) => Promise<void>
  readonly query: Query
  readonly audit: (record: AuditRecord) => Promise<void>
}

/**
 * The owner's eye on its keyring: what an operator beside changes goes on record, and one that is taken back while the
 * store is open goes into the audit trail. The store goes on, for it has its keys.
 */
export class KeyringWatch {
  readonly #options: KeyringWatchOptions
  readonly #timer: NodeJS.Timeout
  #running: Promise<void> = Promise.resolve()
  #seen = ''
  #reported = 0

  constructor(options: KeyringWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => {
      // What fails here, on a full disk or in the midst of a change, is looked at again a second later.
      this.#running = this.#running.then(() => this.#look()).catch(() => undefined)
    }, INTERVAL_MS)
    this.#timer.unref()
  }

  /** The last look, and the end of it. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
    await this.#look().catch(() => undefined)
  }

  async #look(): Promise<void> {
    const { dir, keys, transact, query, audit } = this.#options
    const stamp = await stampOf(dir)
    if (stamp === this.#seen) return
    const generation = await authenticGeneration(dir, keys)
    const older = await olderKeyring(dir, query)
    if (older !== undefined) {
      if (older.generation !== this.#reported) {
        await audit({ actor: 'holdfast', event: 'key.keyring-outdated', data: { ...older } })
      }
      this.#reported = older.generation
    } else if (generation === undefined) return
    else if (((await recordedGeneration(query)) ?? 0) < generation) {
      await transact(async (connection) => {
        await queryOnce(connection, RECORD_SQL, [generation, Date.now()])
      })
    }
    this.#seen = stamp
  }
}

/** Changes whenever a copy is replaced. */
async function stampOf(dir: string): Promise<string> {
  const copies = await Promise.all(
    [KEYRING_FILE, KEYRING_BACKUP_FILE].map((name) => stat(join(dir, name), { bigint: true }).catch(() => undefined)),
  )
  return copies.map((copy) => (copy === undefined ? 'none' : `${copy.ino} ${copy.mtimeNs} ${copy.size}`)).join()
}
