/**
 * `PRAGMA rekey` on the writer's connection. SQLCipher keeps the new key for writing even when the rewriting has failed
 * and was rolled back: one more commit on that connection would put pages under one key among pages under another. So
 * the connection is closed in either case and opened anew under the key that the file has.
 */
import { zero } from '../crypto/zero.ts'
import { isStoreError } from '../protocol/store-error.ts'
import { type Connection, DriverError, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'

export interface RekeyOptions {
  /** The key of the file; overwritten in place when it has changed, for all who open further connections with it. */
  readonly key: Uint8Array
  readonly next: Uint8Array
  /** True when something needs the log as it is: to empty it would be to wait, and commits with it. */
  readonly isLogHeld: boolean
  /** Opens another connection for writing with `key` as it is by then. */
  readonly reopen: () => Promise<Connection>
}

export interface Rekeyed {
  readonly connection: Connection
  readonly failure?: unknown
  /** True when the log was moved into the file afterwards, so that the file alone is the database. */
  readonly isEmptied: boolean
}

export async function rekeyWriter(
  writer: Connection,
  { key, next, isLogHeld, reopen }: RekeyOptions,
): Promise<Rekeyed> {
  const before = Buffer.from(key)
  let failure: { readonly error: unknown } | undefined
  try {
    // The log starts over, so that its growth is the progress.
    await emptyLog(writer, isLogHeld)
    await failpoint('rotate:before-rekey')
    await rekey(writer, next)
    key.set(next)
    await failpoint('rotate:rekeyed')
  } catch (error) {
    failure = { error }
  }
  // Beside the one before: a full disk has no room to make anew what the last connection takes with it.
  const connection = await reopen()
    .catch(async (error: unknown) => {
      // The pragma says "ok" of a commit that failed, too; what opens the file then is the key from before.
      if (failure !== undefined || !isStoreError(error) || error.code !== 'STORE_CORRUPT') throw error
      key.set(before)
      const reopened = await reopen()
      failure = { error: unchanged() }
      return reopened
    })
    .finally(async () => {
      zero(before)
      await writer.close()
    })
  if (failure !== undefined) return { connection, failure: failure.error, isEmptied: false }
  return { connection, isEmptied: await emptyLog(connection, isLogHeld) }
}

/**
 * Encrypts a database under `next`. The pragma never fails: when its transaction was rolled back, for a full disk or a damaged
 * page, it only says less. @throws DriverError then
 */
export async function rekey(connection: Connection, next: Uint8Array): Promise<void> {
  const rows = await queryOnce(connection, `PRAGMA rekey = "x'${Buffer.from(next).toString('hex')}'"`)
  if (rows.length === 0) throw unchanged()
}

function unchanged(): DriverError {
  return new DriverError('IOERR', 'PRAGMA rekey has changed nothing')
}

/** False when a reader held it. */
async function emptyLog(connection: Connection, isLogHeld: boolean): Promise<boolean> {
  const [row] = await queryOnce(connection, `PRAGMA wal_checkpoint(${isLogHeld ? 'PASSIVE' : 'TRUNCATE'})`)
  return Number(row?.busy) === 0 && Number(row?.log) === Number(row?.checkpointed)
}
