/**
 * Two operators at once must not lose a slot: whoever changes the keyring holds this lock from reading it to having
 * written it, the owner of the store too. Like the owner's own lock it is held by the operating system and gone with
 * its process; unlike that it is held for moments, so others wait for it.
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../protocol/store-error.ts'
import { type Driver, DriverError } from './driver.ts'
import { FILE_MODE, KEYRING_LOCK_FILE } from './store-files.ts'

/** Several runs of argon2 at a high cost. */
const WAIT_MS = 30_000

/** @throws StoreError `BUSY_OPERATION` when somebody else is at it for too long */
export async function withKeyringLock<T>(driver: Driver, dir: string, work: () => Promise<T>): Promise<T> {
  const path = join(dir, KEYRING_LOCK_FILE)
  const connection = await driver.open(path, { mode: 'create', busyTimeoutMs: WAIT_MS })
  try {
    await chmod(path, FILE_MODE)
    await connection.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return await work()
  } catch (error) {
    if (!(error instanceof DriverError) || error.code !== 'BUSY') throw error
    throw new StoreError(
      'BUSY_OPERATION',
      'Somebody else is changing the keyring of this store. Nothing was changed; try again in a moment.',
      { details: { operation: 'change of the keyring', running: 'change of the keyring' }, cause: error },
    )
  } finally {
    // Closing ends the transaction, in which nothing was written, and with it the lock.
    await connection.close()
  }
}
