/**
 * A new data key under a live store. The keyring first carries both keys; then one file after the other is encrypted
 * under the next key, each in one transaction; then the next key becomes the only one. So at any moment each file opens
 * under one of the keys that the keyring has, and a process that dies leaves nothing to be lost: the next owner forgets
 * the next key when no file was moved yet, and otherwise goes on.
 *
 * `state.db` goes first, which is how that owner can tell.
 */
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  isKeyringOf,
  type Keyring,
  type KeyringV2,
  type StoreKeys,
  serializeKeyring,
  unlockKeyring,
} from '../crypto/keyring.ts'
import { addNextDataKey, dropNextDataKey, promoteNextDataKey, upgradeKeyring } from '../crypto/keyring-change.ts'
import { readKeyring, writeKeyring } from '../crypto/keyring-file.ts'
import { deriveSubKey, type SubKeyPurpose } from '../crypto/sub-key.ts'
import { withSecret, zero } from '../crypto/zero.ts'
import type { RotateDataKeyRequest, RotateDataKeyResult, RotationProgress } from '../protocol/keys.ts'
import { isStoreError, StoreError } from '../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import type { DatabaseKeys } from './database-keys.ts'
import { type Connection, type Driver, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'
import type { FileBackend } from './file-backend.ts'
import { keyringInfo, secretOf } from './key-operations.ts'
import { openKeyedDatabase } from './keyed-database.ts'
import { withKeyringLock } from './keyring-lock.ts'
import { readDiskSpace } from './maintenance/disk-space.ts'
import type { MaintenanceLock } from './maintenance-lock.ts'
import { nativeCall } from './native-calls.ts'
import { rekey } from './rekey-writer.ts'
import { storeDatabases } from './store-files.ts'

/** What it is called among operations that keep each other out. */
export const ROTATION = 'rotation of the data key'
const KEY_BYTES = 32
const BUSY_TIMEOUT_MS = 10_000
/** A frame of the log is a page and this (https://sqlite.org/fileformat2.html#the_write_ahead_log). */
const FRAME_HEADER_SHARE = 24 / 4_096
const SPARE_BYTES = 16 * 1_024 * 1_024
/** What a migration leaves behind, see `migrator.ts`. */
const MIGRATION_COPY = /^(state|market)\.db\.before-(?:user-)?\d{4}$/

export interface KeyRotationOptions {
  readonly driver: Driver
  readonly dir: string
  readonly keys: StoreKeys
  readonly databaseKeys: DatabaseKeys
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  readonly maintenanceLock: MaintenanceLock
  /** Until the next read of archived trades. */
  readonly closeYearlyReaders: () => Promise<void>
  /** Called when every file is under the new key, while the keyring still carries the one before. */
  readonly beforePromoted: () => Promise<void>
  /** Called when every file is under the new key: what was copied before is under another one. */
  readonly onDataKeyRotated: () => Promise<void>
}

/** A file to be moved: one of the store at work, or one that lies there closed. */
interface Target {
  readonly relativePath: string
  readonly path: string
  readonly purpose: SubKeyPurpose
  readonly bytes: number
  readonly backend: FileBackend | null
}

interface Running {
  phase: RotationProgress['phase']
  target: Target | null
  bytesDone: number
  bytesTotal: number
  readonly startedAt: number
}

export class KeyRotation {
  readonly #options: KeyRotationOptions
  #running: Running | null = null
  #current: Promise<unknown> = Promise.resolve()
  #isEnding = false
  #begun = 0

  constructor(options: KeyRotationOptions) {
    this.#options = options
  }

  get progress(): RotationProgress | null {
    if (this.#running === null) return null
    const { phase, target, bytesDone, bytesTotal, startedAt } = this.#running
    const logBytes = target?.backend === null || phase !== 'rewriting' ? 0 : sizeOf(`${target?.path}-wal`)
    const done = Math.min(bytesTotal, bytesDone + Math.min(logBytes, target?.bytes ?? 0))
    const elapsedMs = performance.now() - startedAt
    const bytesPerMs = elapsedMs === 0 ? 0 : done / elapsedMs
    return {
      phase,
      file: target?.relativePath ?? null,
      bytesDone: done,
      bytesTotal,
      bytesPerSecond: Math.round(bytesPerMs * 1_000),
      remainingMs: bytesPerMs === 0 ? null : Math.round((bytesTotal - done) / bytesPerMs),
    }
  }

  /**
   * Moves every file to a new data key, or goes on with a rotation that was interrupted.
   *
   * @throws StoreError `BUSY_OPERATION`, `DISK_FULL` before anything has changed, `STORE_CORRUPT`, `IO_ERROR`
   */
  async rotate({ password, actor }: RotateDataKeyRequest): Promise<RotateDataKeyResult> {
    try {
      return await withSecret(secretOf(password), (secret) => this.#exclusively(actor, secret))
    } finally {
      zero(password)
    }
  }

  /** In the background: a store that was interrupted in a rotation works as it is, under two keys. */
  resume(): void {
    this.#exclusively('holdfast', null).catch(() => undefined)
  }

  /** How many were begun, for who has to know whether one was in between. */
  get begun(): number {
    return this.#begun
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await this.#current
  }

  /** Ends what is under way behind the file at hand: the next owner goes on. The keys must not be zeroed before. */
  async end(): Promise<void> {
    this.#isEnding = true
    await this.#current
  }

  async #exclusively(actor: string, secret: Uint8Array | null): Promise<RotateDataKeyResult> {
    return await this.#options.maintenanceLock.exclusiveOperation(ROTATION, async () => {
      this.#begun += 1
      const rotated = this.#rotate(actor, secret)
      this.#current = rotated.catch(() => undefined)
      try {
        return await rotated
      } finally {
        this.#running = null
      }
    })
  }

  async #rotate(actor: string, secret: Uint8Array | null): Promise<RotateDataKeyResult> {
    const { keys, databaseKeys, files } = this.#options
    const targets = await this.#targets()
    const bytesTotal = targets.reduce((sum, { bytes }) => sum + bytes, 0)
    const running: Running = {
      phase: 'preparing',
      target: null,
      bytesDone: 0,
      bytesTotal,
      startedAt: performance.now(),
    }
    this.#running = running
    await this.#assertRoom(Math.max(...targets.map(({ bytes }) => bytes)))
    if (keys.nextDataKey === undefined) await this.#begin(secret)
    await failpoint('rotate:keyring-has-next')
    for (const target of targets) {
      if (this.#isEnding) throw ended()
      running.target = target
      running.phase = 'rewriting'
      await this.#move(target, running)
      running.bytesDone += target.bytes
      await failpoint('rotate:file-done')
    }
    running.target = null
    running.phase = 'finishing'
    await failpoint('rotate:before-promote')
    await this.#options.beforePromoted()
    const keyring = await this.#finish(secret)
    await failpoint('rotate:promoted')
    databaseKeys.settle()
    const result = {
      ...keyringInfo(keyring),
      files: targets.map(({ relativePath }) => relativePath),
      bytes: bytesTotal,
      durationMs: Math.round(performance.now() - running.startedAt),
      keyring: serializeKeyring(keyring),
    }
    const data = { generation: keyring.generation, files: result.files.length, bytes: bytesTotal }
    await files.get('state')?.committer?.audit({ actor, event: 'key.data-rotated', data })
    await this.#options.onDataKeyRotated()
    return result
  }

  /** Both keys are on disk before the first file is touched. */
  async #begin(secret: Uint8Array | null): Promise<void> {
    const { driver, dir, keys } = this.#options
    await withKeyringLock(driver, dir, async () => {
      const found = await this.#keyring()
      const keyring =
        found.version === 1 ? await nativeCall(() => upgradeKeyring(found, secret ?? new Uint8Array())) : found
      const next = randomBytes(KEY_BYTES)
      await writeKeyring(dir, addNextDataKey(keyring, keys, next, new Date()))
      keys.nextDataKey = next
    })
  }

  async #finish(secret: Uint8Array | null): Promise<KeyringV2> {
    const { driver, dir, keys } = this.#options
    return await withKeyringLock(driver, dir, async () => {
      const keyring = promoteNextDataKey((await this.#keyring()) as KeyringV2, keys)
      await writeKeyring(dir, keyring)
      const next = keys.nextDataKey as Buffer
      next.copy(keys.dataKey)
      zero(next)
      keys.nextDataKey = undefined
      await this.#verifyKeyring(keyring, secret)
      return keyring
    })
  }

  /** The keyring as it is on disk now: an operator beside may have changed a password meanwhile. */
  async #keyring(): Promise<Keyring> {
    const { dir, keys } = this.#options
    const found = await readKeyring(dir)
    if (found !== undefined && (found.keyring.version === 1 || isKeyringOf(found.keyring, keys.dataKey)))
      return found.keyring
    throw new StoreError(
      'KEYRING_CORRUPT',
      'The keyring on disk is not the one that this store was opened with. Nothing was changed; see holdfast check.',
      { details: { dir } },
    )
  }

  async #verifyKeyring(written: KeyringV2, secret: Uint8Array | null): Promise<void> {
    const { dir, keys } = this.#options
    const found = await readKeyring(dir)
    let isRight = found !== undefined && serializeKeyring(found.keyring) === serializeKeyring(written)
    if (isRight && secret !== null) {
      try {
        const reopened = await nativeCall(() => unlockKeyring(written, secret))
        isRight = reopened.dataKey.equals(keys.dataKey) && reopened.sealingKey.equals(keys.sealingKey)
        zero(reopened.dataKey, reopened.sealingKey, reopened.nextDataKey)
      } catch (error) {
        // The password was changed beside this owner; it is the MAC that tells then.
        if (!isStoreError(error) || error.code !== 'WRONG_PASSWORD') throw error
        isRight = isKeyringOf(written, keys.dataKey)
      }
    }
    if (isRight) return
    throw new StoreError('KEYRING_CORRUPT', 'The keyring does not read back as it was written. Check the disk.', {
      details: { dir },
    })
  }

  async #targets(): Promise<Target[]> {
    const { dir, files } = this.#options
    const databases = (await storeDatabases(dir)).map(({ name, relativePath, path, keyPurpose }) => ({
      relativePath,
      path,
      purpose: keyPurpose,
      bytes: sizeOf(path),
      backend: files.get(name as DatabaseFile) ?? null,
    }))
    const copies = (await readdir(dir)).flatMap((name) => {
      const file = MIGRATION_COPY.exec(name)?.[1]
      if (file === undefined) return []
      const path = join(dir, name)
      const purpose = `database:${file as DatabaseFile}` as const
      return [{ relativePath: name, path, purpose, bytes: sizeOf(path), backend: null }]
    })
    return [...databases, ...copies]
  }

  /** The log grows to the size of the file, and is emptied before the next one. */
  async #assertRoom(bytes: number): Promise<void> {
    const { dir } = this.#options
    const neededBytes = Math.ceil(bytes * (1 + FRAME_HEADER_SHARE)) + SPARE_BYTES
    const { freeBytes } = await readDiskSpace(dir)
    if (freeBytes >= neededBytes) return
    throw new StoreError(
      'DISK_FULL',
      `To encrypt the largest file anew takes ${neededBytes} bytes for a while, and ${freeBytes} are free. Nothing was changed by this; free some space and try again.`,
      { details: { dir, neededBytes, freeBytes } },
    )
  }

  async #move(target: Target, running: Running): Promise<void> {
    await this.#assertRoom(target.bytes)
    if (target.backend === null) await this.#moveClosed(target, running)
    else await this.#moveOpen(target, target.backend, running)
  }

  async #moveOpen({ purpose, relativePath }: Target, backend: FileBackend, running: Running): Promise<void> {
    const { databaseKeys } = this.#options
    // After a crash the pages under the new key may still be in the log alone.
    let isWhole = false
    if (!databaseKeys.hasMoved(purpose)) {
      isWhole = await withSecret(this.#nextKey(purpose), (next) => backend.rekey(next))
      databaseKeys.markMoved(purpose)
    }
    if (!isWhole) await backend.checkpoint()
    running.phase = 'verifying'
    // Past the log there is the file itself to look at; otherwise through it.
    const pragma = isWhole ? 'cipher_integrity_check' : 'quick_check'
    const look = async () =>
      (await backend.readers.query(`PRAGMA ${pragma}`, [])).flatMap(Object.values).filter((text) => text !== 'ok')
    // A page that a checkpoint is writing may be read half old and half new; damage is there the second time, too.
    if ((await look()).length > 0 && (await look()).length > 0) throw unverified(relativePath)
  }

  async #moveClosed({ path, purpose, relativePath }: Target, running: Running): Promise<void> {
    const { databaseKeys } = this.#options
    const isCopy = MIGRATION_COPY.test(relativePath)
    const open = (key: Buffer) => this.#openClosed(path, key)
    const opened = isCopy
      ? await this.#openCopy(purpose, open)
      : { connection: await databaseKeys.open(purpose, open), isMoved: databaseKeys.hasMoved(purpose) }
    const { connection } = opened
    try {
      if (!opened.isMoved) {
        // One that reads a yearly file keeps the log beside it, and has the key from before.
        await this.#options.closeYearlyReaders()
        await withSecret(this.#nextKey(purpose), (next) => rekey(connection, next))
        if (!isCopy) databaseKeys.markMoved(purpose)
        await this.#options.closeYearlyReaders()
      }
      await queryOnce(connection, 'PRAGMA wal_checkpoint(TRUNCATE)')
    } finally {
      await connection.close()
    }
    if (!isCopy) databaseKeys.markMoved(purpose)
    running.phase = 'verifying'
    const moved = await withSecret(this.#nextKey(purpose), open)
    try {
      if ((await queryOnce(moved, 'PRAGMA cipher_integrity_check')).length > 0) throw unverified(relativePath)
    } finally {
      await moved.close()
    }
  }

  /** A copy shares its purpose with the file it is a copy of, and may be under the other key. */
  async #openCopy(
    purpose: SubKeyPurpose,
    open: (key: Buffer) => Promise<Connection>,
  ): Promise<{ readonly connection: Connection; readonly isMoved: boolean }> {
    const { keys, databaseKeys } = this.#options
    try {
      const connection = await withSecret(deriveSubKey(keys.dataKey, databaseKeys.storeId, purpose), open)
      return { connection, isMoved: false }
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'STORE_CORRUPT') throw error
      return { connection: await withSecret(this.#nextKey(purpose), open), isMoved: true }
    }
  }

  #openClosed(path: string, key: Buffer): Promise<Connection> {
    return openKeyedDatabase(this.#options.driver, path, {
      key,
      mode: 'read-write',
      role: 'checkpointer',
      durability: 'full',
      busyTimeoutMs: BUSY_TIMEOUT_MS,
    })
  }

  #nextKey(purpose: SubKeyPurpose): Buffer {
    const { keys, databaseKeys } = this.#options
    return deriveSubKey(keys.nextDataKey as Buffer, databaseKeys.storeId, purpose)
  }
}

/**
 * What an owner does with a next key that it finds: forgets it when no file was moved.
 *
 * @returns true when there is a rotation to go on with
 */
export async function settleInterrupted(
  options: Pick<KeyRotationOptions, 'driver' | 'dir' | 'keys' | 'databaseKeys'>,
): Promise<boolean> {
  const { driver, dir, keys, databaseKeys } = options
  if (keys.nextDataKey === undefined) return false
  if (DATABASE_FILES.some((file) => databaseKeys.hasMoved(`database:${file}`))) return true
  try {
    await withKeyringLock(driver, dir, async () => {
      const found = await readKeyring(dir)
      if (found === undefined || found.keyring.version === 1) return
      await writeKeyring(dir, dropNextDataKey(found.keyring, keys))
    })
    zero(keys.nextDataKey)
    keys.nextDataKey = undefined
  } catch (error) {
    // A full disk is no reason to refuse the store: with two keys it works as well.
    if (!isStoreError(error)) throw error
  }
  return false
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function ended(): StoreError {
  return new StoreError(
    'STORE_CLOSED',
    'The store was closed during the rotation of its data key. It opens as ever; the next owner goes on with the rotation.',
  )
}

function unverified(file: string): StoreError {
  return new StoreError(
    'STORE_CORRUPT',
    `${file} was encrypted under the new key, and does not verify. Both keys are kept. Keep the directory aside, check the disk, restore a copy.`,
    { details: { file } },
  )
}
