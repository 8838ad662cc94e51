/**
 * Changes of the keyring that touch no database: for the owner and for a process beside it alike. Each reads the keyring
 * under its lock, unlocks it with the password at hand, and writes the next generation; what was written is read back
 * from the disk, unlocked, and tried on a database before it counts.
 */
import { DEFAULT_KDF_COST, type KdfCost } from '../crypto/kdf.ts'
import {
  type Keyring,
  type KeyringV2,
  type StoreKeys,
  serializeKeyring,
  type UnlockedKeyring,
  unlockKeyring,
} from '../crypto/keyring.ts'
import { addSlot, findSlot, removeSlot, replaceSlot, succeed, upgradeKeyring } from '../crypto/keyring-change.ts'
import { readKeyring, writeKeyring } from '../crypto/keyring-file.ts'
import { type Keyslot, KeyslotLabel } from '../crypto/keyslot.ts'
import { assertPasswordStrength, passwordBytes } from '../crypto/password.ts'
import { createRecoveryKey } from '../crypto/recovery-key.ts'
import { deriveSubKey } from '../crypto/sub-key.ts'
import { withSecret, zero } from '../crypto/zero.ts'
import type { KeyOperation, KeyRequest, KeyResult, KeyringInfo, KeyslotInfo, RawDatabaseKey } from '../protocol/keys.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { BuiltInAuditEvent } from '../schema/audit-entry.ts'
import { leaveAuditNote } from './audit/audit-inbox.ts'
import { DatabaseKeys } from './database-keys.ts'
import { type Connection, type Driver, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'
import { toStoreError } from './io-error.ts'
import { openKeyedDatabase } from './keyed-database.ts'
import { withKeyringLock } from './keyring-lock.ts'
import { keyringOutdated, type OlderKeyring, olderKeyring } from './keyring-record.ts'
import { nativeCall } from './native-calls.ts'
import { notFound } from './store-directory.ts'
import { type StoreDatabase, storeDatabases } from './store-files.ts'

const BUSY_TIMEOUT_MS = 10_000

/** What an operation has made of the keyring, and what the audit trail is told. */
interface Outcome {
  /** Undefined when nothing changes. */
  readonly keyring: KeyringV2 | undefined
  readonly slot: Keyslot | null
  readonly recoveryKey: string | null
  readonly event: BuiltInAuditEvent | null
  readonly data?: Readonly<Record<string, number>>
  /** Opens the keyring afterwards; undefined for the password at hand. */
  readonly secret?: Uint8Array
}

const NO_CHANGE: Outcome = { keyring: undefined, slot: null, recoveryKey: null, event: null }

/**
 * @throws StoreError `WRONG_PASSWORD`, `STORE_NOT_FOUND`, `PASSWORD_TOO_WEAK`, `NOT_FOUND`, `LAST_KEYSLOT`, `CONSTRAINT`,
 * `INVALID_ARGUMENT`, `BUSY_OPERATION`, `KEYRING_CORRUPT`, `KEYRING_OUTDATED`, `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`
 */
export async function performKeyOperation(driver: Driver, request: KeyRequest): Promise<KeyResult> {
  const { dir, change } = request
  try {
    return await withSecret(secretOf(request.password), async (password) => {
      if ((await readKeyring(dir)) === undefined) throw notFound(dir)
      return await withKeyringLock(driver, dir, () => perform(driver, request, password))
    })
  } catch (error) {
    throw await toStoreError(error, dir)
  } finally {
    zero(request.password)
    if (change.operation === 'add' && change.secret !== null) zero(change.secret)
    if (change.operation === 'rotate-password') zero(change.next)
  }
}

async function perform(driver: Driver, { dir, actor, change }: KeyRequest, password: Uint8Array): Promise<KeyResult> {
  const found = await readKeyring(dir)
  if (found === undefined) throw notFound(dir)
  const keys = await nativeCall(() => unlockKeyring(found.keyring, password))
  try {
    const older = change.operation === 'list' ? undefined : await lookForOlder(driver, dir, found.keyring, keys)
    if (older !== undefined && change.operation !== 'accept-older') throw keyringOutdated(dir, older)
    const outcome = await nativeCall(() => outcomeOf(change, found.keyring, keys, password, older))
    try {
      if (outcome.keyring !== undefined) {
        await failpoint('key:before-write')
        await writeKeyring(dir, outcome.keyring)
        await failpoint('key:written')
        await verify(driver, dir, outcome.keyring, keys, outcome.secret ?? password)
      }
      const keyring = outcome.keyring ?? found.keyring
      if (outcome.event !== null) await note(dir, keyring, keys, actor, outcome)
      return {
        ...keyringInfo(keyring),
        openedSlot: keys.slotId,
        slot: outcome.slot === null ? null : slotInfo(outcome.slot),
        recoveryKey: outcome.recoveryKey,
        rawKeys: change.operation === 'export-raw' ? await rawKeys(driver, dir, keyring.storeId, keys) : [],
        keyring: serializeKeyring(keyring),
      }
    } finally {
      zero(outcome.secret)
    }
  } finally {
    zero(keys.dataKey, keys.sealingKey, keys.nextDataKey)
  }
}

async function outcomeOf(
  change: KeyOperation,
  found: Keyring,
  keys: UnlockedKeyring,
  password: Uint8Array,
  older: OlderKeyring | undefined,
): Promise<Outcome> {
  if (change.operation === 'list') return NO_CHANGE
  if (change.operation === 'export-raw') return { ...NO_CHANGE, event: 'key.exported' }
  const keyring = await upgradeKeyring(found, password)
  // Of an upgraded keyring the one slot has a new id.
  const openedSlot = found.version === 1 ? (keyring.slots[0] as Keyslot).id : keys.slotId
  const now = new Date()
  switch (change.operation) {
    case 'add': {
      const { kind, label, cost } = change
      assertLabel(label)
      const recoveryKey = kind === 'recovery' ? createRecoveryKey() : null
      const secret = newSecret(kind === 'recovery' ? Buffer.from(recoveryKey as string) : change.secret, kind)
      const options = { kind, label, secret, cost: cost ?? DEFAULT_KDF_COST, now }
      return { ...(await addSlot(keyring, keys, options)), recoveryKey, event: 'key.slot-added', secret }
    }
    case 'remove':
      return {
        ...removeSlot(keyring, keys, change.slot),
        recoveryKey: null,
        event: 'key.slot-removed',
        ...stillOpened(change.slot, openedSlot),
      }
    case 'rotate-password': {
      const id = slotToReplace(keyring, change.slot, openedSlot)
      const secret = newSecret(change.next, 'password')
      const cost = change.cost ?? costOf(findSlot(keyring, id))
      const replaced = await replaceSlot(keyring, keys, id, { kind: 'password', secret, cost, now })
      return { ...replaced, recoveryKey: null, event: 'key.password-rotated', secret }
    }
    case 'raise-cost': {
      const before = findSlot(keyring, openedSlot)
      assertRaised(costOf(before), change.cost)
      const { kind } = before
      const raised = await replaceSlot(keyring, keys, openedSlot, { kind, secret: password, cost: change.cost, now })
      return { ...raised, recoveryKey: null, event: 'key.cost-raised' }
    }
    case 'accept-older': {
      if (older === undefined) {
        throw new StoreError(
          'INVALID_ARGUMENT',
          'This keyring is not older than the store. There is nothing to accept.',
        )
      }
      const accepted = succeed(keyring, keys, older.recordedGeneration)
      return {
        ...NO_CHANGE,
        keyring: accepted,
        event: 'key.older-accepted',
        data: { acceptedGeneration: older.generation },
      }
    }
  }
}

async function lookForOlder(
  driver: Driver,
  dir: string,
  { storeId }: Keyring,
  keys: StoreKeys,
): Promise<OlderKeyring | undefined> {
  const connection = await openToRead(driver, new DatabaseKeys(keys, storeId), await stateOf(dir))
  try {
    return await olderKeyring(dir, (sql, parameters) => queryOnce(connection, sql, parameters))
  } finally {
    await connection.close()
  }
}

/** A slot that removes itself leaves nothing to verify with but the keys that are at hand. */
function stillOpened(removed: string, opened: string): { readonly secret?: Uint8Array } {
  return removed === opened ? { secret: new Uint8Array() } : {}
}

/** Reads back what was written, unlocks it with the secret that has to open it from now on, and tries the key on a database. */
async function verify(
  driver: Driver,
  dir: string,
  written: KeyringV2,
  keys: StoreKeys,
  secret: Uint8Array,
): Promise<void> {
  const found = await readKeyring(dir)
  if (
    found === undefined ||
    found.damagedCopies.length > 0 ||
    serializeKeyring(found.keyring) !== serializeKeyring(written)
  ) {
    throw unverified(dir)
  }
  if (secret.length > 0) {
    const reopened = await nativeCall(() => unlockKeyring(found.keyring, secret))
    const isSame = reopened.dataKey.equals(keys.dataKey) && reopened.sealingKey.equals(keys.sealingKey)
    zero(reopened.dataKey, reopened.sealingKey, reopened.nextDataKey)
    if (!isSame) throw unverified(dir)
  }
  await assertOpens(driver, new DatabaseKeys(keys, written.storeId), await stateOf(dir))
}

/** Opens a database under its key, to see that it does. */
async function assertOpens(driver: Driver, databaseKeys: DatabaseKeys, database: StoreDatabase): Promise<void> {
  await (await openToRead(driver, databaseKeys, database)).close()
}

function openToRead(driver: Driver, databaseKeys: DatabaseKeys, database: StoreDatabase): Promise<Connection> {
  return databaseKeys.open(database.keyPurpose, (key) =>
    openKeyedDatabase(driver, database.path, {
      key,
      mode: 'read-only',
      role: 'reader',
      durability: 'full',
      busyTimeoutMs: BUSY_TIMEOUT_MS,
    }),
  )
}

async function stateOf(dir: string): Promise<StoreDatabase> {
  return (await storeDatabases(dir))[0] as StoreDatabase
}

function unverified(dir: string): StoreError {
  return new StoreError(
    'KEYRING_CORRUPT',
    'What was written to the keyring does not read back as it was written. Check the disk; the previous password may still be the right one.',
    { details: { dir } },
  )
}

async function note(
  dir: string,
  { storeId, generation }: Keyring,
  keys: StoreKeys,
  actor: string,
  { event, slot, data }: Outcome,
): Promise<void> {
  const about = slot === null ? {} : { slot: slot.id, kind: slot.kind, label: slot.label ?? null }
  await withSecret(deriveSubKey(keys.dataKey, storeId, 'audit-mac'), (key) =>
    leaveAuditNote(dir, key, { actor, event: event as BuiltInAuditEvent, data: { ...about, ...data, generation } }),
  )
}

async function rawKeys(driver: Driver, dir: string, storeId: string, keys: StoreKeys): Promise<RawDatabaseKey[]> {
  const databaseKeys = new DatabaseKeys(keys, storeId)
  const exported: RawDatabaseKey[] = []
  for (const database of await storeDatabases(dir)) {
    const { relativePath, keyPurpose } = database
    await assertOpens(driver, databaseKeys, database)
    const key = await withSecret(databaseKeys.keyOf(keyPurpose), (each) => each.toString('hex'))
    exported.push({ file: relativePath, key })
  }
  return exported
}

/** What is known of a keyring without a password. */
export function keyringInfo(keyring: Keyring): KeyringInfo {
  const dataKeyCreatedAt = keyring.version === 1 ? keyring.createdAt : keyring.dataKeys[0]?.createdAt
  return {
    generation: keyring.generation,
    dataKeyCreatedAtMs: Date.parse(dataKeyCreatedAt as string),
    isRotating: keyring.version !== 1 && keyring.dataKeys.length > 1,
    slots: keyring.slots.map(slotInfo),
  }
}

function slotInfo(slot: Pick<Keyslot, 'id' | 'label' | 'kind' | 'createdAt' | 'kdf'>): KeyslotInfo {
  const { id, label, kind, createdAt, kdf } = slot
  const { memoryKiB, iterations, parallelism } = kdf
  return {
    id,
    label: label ?? null,
    kind,
    createdAtMs: Date.parse(createdAt),
    kdf: { memoryKiB, iterations, parallelism },
  }
}

/** As `openStore` reads a password. */
export function secretOf(bytes: Uint8Array): Uint8Array {
  return passwordBytes(Buffer.from(bytes).toString('utf8'))
}

function newSecret(bytes: Uint8Array | null, kind: Keyslot['kind']): Uint8Array {
  const secret = secretOf(bytes ?? new Uint8Array())
  assertPasswordStrength(secret)
  const isRecovery = Buffer.from(secret.subarray(0, 5)).toString('latin1') === 'HFRK-'
  if (isRecovery === (kind === 'recovery')) return secret
  throw new StoreError('INVALID_ARGUMENT', 'A password must not look like a recovery key. Choose another one.')
}

/** Whose password is lost opens the store with a recovery key; it is the password that is replaced, not the recovery key. */
function slotToReplace(keyring: KeyringV2, asked: string | null, opened: string): string {
  if (asked !== null) {
    if (findSlot(keyring, asked).kind === 'password') return asked
    throw new StoreError('INVALID_ARGUMENT', 'Only a slot of kind password can get another password.')
  }
  if (findSlot(keyring, opened).kind === 'password') return opened
  const passwords = keyring.slots.filter(({ kind }) => kind === 'password')
  if (passwords.length === 1) return (passwords[0] as Keyslot).id
  throw new StoreError(
    'INVALID_ARGUMENT',
    `There are ${passwords.length} slots with a password, and it was none of them that opened the store. Name the slot that is to get the new password, or add a slot.`,
    { details: { slots: passwords.map(({ id }) => id) } },
  )
}

function costOf({ kdf: { memoryKiB, iterations, parallelism } }: Pick<Keyslot, 'kdf'>): KdfCost {
  return { memoryKiB, iterations, parallelism }
}

function assertRaised(before: KdfCost, after: KdfCost): void {
  const isLower = after.memoryKiB < before.memoryKiB || after.iterations < before.iterations
  const isSame = after.memoryKiB === before.memoryKiB && after.iterations === before.iterations
  if (!isLower && !isSame) return
  throw new StoreError(
    'INVALID_ARGUMENT',
    `The cost is at ${before.memoryKiB} KiB and ${before.iterations} passes; it can be raised, not lowered or kept.`,
    { details: { memoryKiB: before.memoryKiB, iterations: before.iterations } },
  )
}

function assertLabel(label: string | null): void {
  if (label === null || KeyslotLabel.safeParse(label).success) return
  throw new StoreError('INVALID_ARGUMENT', 'A label is one line of 1 to 100 characters, without control characters.')
}
