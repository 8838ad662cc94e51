/**
 * Why: everything in a store hangs on one random data key. The keyring holds it in a box for each keyslot, so that a
 * password can be changed, or a second one added, without touching a database; and it holds two of them while the
 * databases are being encrypted anew, so that each file opens at any moment of that.
 *
 * The keyring is a JSON document that can be read before anything is unlocked. Its checksum is no protection against
 * an attacker (who can compute one too); it tells damage from a wrong password, which is what the person in front of it
 * needs to know. Its MAC is one: once a slot has opened, every member, labels and times included, has to be as somebody
 * who held the data key has written it.
 *
 * For every later version: `format`, `version` and the rule for `checksum` stay as they are, so that an old program
 * can tell a newer keyring from a damaged one; a new kind of slot raises `version`.
 */

import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import { base64Bytes } from './base64-bytes.ts'
import { canonicalJson, type JsonValue } from './canonical-json.ts'
import type { KdfCost } from './kdf.ts'
import { KeyringV1, unlockSlotV1, unwrapSealingKeyV1 } from './keyring-v1.ts'
import { createKeyslot, KeyId, Keyslot, keyslotHeader, openKeyslot } from './keyslot.ts'
import { assertPasswordStrength } from './password.ts'
import { deriveSubKey } from './sub-key.ts'
import { unwrapKey, Wrapped, wrapKey } from './wrapping.ts'
import { zero } from './zero.ts'

const { format: FORMAT, version: VERSION } = keyslotHeader
const KEY_BYTES = 32
const MAC_BYTES = 32

/** A doctored keyring must not make one attempt to unlock run argon2 without end. */
export const MAX_SLOTS = 16

const DataKeyEntry = z.strictObject({
  id: KeyId,
  createdAt: z.iso.datetime(),
  /** Wrapped under the sub-key `wrap` of this data key. */
  sealingKey: Wrapped,
})
type DataKeyEntry = z.infer<typeof DataKeyEntry>

const hasDistinctIds = (entries: readonly { readonly id: string }[]): boolean =>
  new Set(entries.map((entry) => entry.id)).size === entries.length

const KeyringV2 = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  storeId: z.uuid(),
  generation: z.int().min(1),
  createdAt: z.iso.datetime(),
  dataKeys: z.array(DataKeyEntry).min(1).max(2).refine(hasDistinctIds, { error: 'data key ids must differ' }),
  slots: z.array(Keyslot).min(1).max(MAX_SLOTS).refine(hasDistinctIds, { error: 'slot ids must differ' }),
  mac: base64Bytes(MAC_BYTES),
})

/**
 * The keyring without its checksum, which exists in the serialized form only. `generation` grows by one with every
 * change; times are ISO 8601 in UTC; `dataKeys` has the current key, and the next one behind it while the databases are
 * being moved to it; `mac` is HMAC-SHA256 over the canonical JSON of everything else, under the sub-key `keyring-mac` of
 * the current data key.
 */
export type KeyringV2 = z.infer<typeof KeyringV2>

export type Keyring = KeyringV1 | KeyringV2

/** The keys of a store, 32 bytes each; the caller zeroes them. */
export interface StoreKeys {
  /** A rotation overwrites it in place, so that whoever derives from it anew for each use is always right. */
  readonly dataKey: Buffer
  readonly sealingKey: Buffer
  /** While a rotation is under way, or after one that was interrupted: a file may be under either key. */
  nextDataKey: Buffer | undefined
}

export interface UnlockedKeyring extends StoreKeys {
  /** The slot that the password opened. */
  readonly slotId: string
}

export interface CreateKeyringOptions {
  /** As made by `passwordBytes`; neither kept nor changed. */
  readonly password: Uint8Array
  readonly cost: KdfCost
  readonly now: Date
}

/**
 * A keyring for a new store: a random store id, data key and sealing key, and one password slot; generation 1.
 *
 * @throws StoreError PASSWORD_TOO_WEAK, INVALID_ARGUMENT for a cost outside the bounds of `KdfCost`, INTERNAL when the
 * machine refuses the memory for argon2
 */
export async function createKeyring(
  options: CreateKeyringOptions,
): Promise<StoreKeys & { readonly keyring: KeyringV2 }> {
  assertPasswordStrength(options.password)
  const createdAt = options.now.toISOString()
  const dataKey = randomBytes(KEY_BYTES)
  const sealingKey = randomBytes(KEY_BYTES)
  try {
    const storeId = randomUUID()
    const entry = dataKeyEntry(storeId, createdAt, dataKey, sealingKey)
    const slot = await createKeyslot({
      storeId,
      kind: 'password',
      label: null,
      secret: options.password,
      cost: options.cost,
      createdAt,
      dataKeys: [{ id: entry.id, key: dataKey }],
    })
    const keyring = withMac({ storeId, generation: 1, createdAt, dataKeys: [entry], slots: [slot] }, dataKey)
    return { keyring, dataKey, sealingKey, nextDataKey: undefined }
  } catch (error) {
    zero(dataKey, sealingKey)
    throw error
  }
}

/**
 * Opens the keyring with a password, a recovery key or what an unlock command printed: tries every slot it may be for,
 * one run of argon2 each.
 *
 * @param password as made by `passwordBytes`; neither kept nor changed
 * @returns the keys, and the id of the slot that the password opened
 * @throws StoreError WRONG_PASSWORD when no slot opens, KEYRING_CORRUPT when a slot opens but the rest of the keyring is
 * not what was written with it, INTERNAL when the machine refuses the memory for argon2
 */
export async function unlockKeyring(keyring: Keyring, password: Uint8Array): Promise<UnlockedKeyring> {
  return keyring.version === 1 ? await unlockV1(keyring, password) : await unlockV2(keyring, password)
}

async function unlockV1(keyring: KeyringV1, password: Uint8Array): Promise<UnlockedKeyring> {
  const opened = await unlockSlotV1(keyring, password)
  if (opened === undefined) throw wrongPassword(keyring)
  const { dataKey, slot } = opened
  const sealingKey = await unwrapSealingKeyV1(keyring, dataKey)
  if (sealingKey === undefined) {
    zero(dataKey)
    throw corrupt('the password is right, but the sealing key in it does not belong to this store')
  }
  return { dataKey, sealingKey, nextDataKey: undefined, slotId: slot.id }
}

async function unlockV2(keyring: KeyringV2, password: Uint8Array): Promise<UnlockedKeyring> {
  const ids = keyring.dataKeys.map(({ id }) => id)
  for (const slot of keyring.slots) {
    const opened = await openKeyslot(keyring.storeId, slot, password, ids)
    if (opened === undefined) continue
    const [dataKey, nextDataKey] = opened
    const sealingKey = dataKey && unwrapSealingKey(keyring, dataKey)
    if (dataKey === undefined || sealingKey === undefined || !hasRightMac(keyring, dataKey)) {
      zero(...opened, sealingKey)
      throw corrupt('the password is right, but the rest of it is not as it was written')
    }
    return { dataKey, sealingKey, nextDataKey, slotId: slot.id }
  }
  throw wrongPassword(keyring)
}

/** True when the keyring was written by somebody who held this data key. */
export function isKeyringOf(keyring: Keyring, dataKey: Uint8Array): boolean {
  return keyring.version === VERSION && hasRightMac(keyring, dataKey)
}

/** Everything of a keyring but what is derived from the rest. */
export type KeyringContent = Pick<KeyringV2, 'storeId' | 'generation' | 'createdAt' | 'dataKeys' | 'slots'>

/** Completes a keyring with its MAC, under the key that stands first in `dataKeys`. */
export function withMac(content: KeyringContent, dataKey: Uint8Array): KeyringV2 {
  const { storeId, generation, createdAt, dataKeys, slots } = content
  const body = { format: FORMAT, version: VERSION, storeId, generation, createdAt, dataKeys, slots } as const
  return { ...body, mac: macOf(body, dataKey).toString('base64') }
}

/** The entry of a data key, with the store's sealing key wrapped under it. */
export function dataKeyEntry(
  storeId: string,
  createdAt: string,
  dataKey: Uint8Array,
  sealingKey: Uint8Array,
): DataKeyEntry {
  const id = randomBytes(8).toString('hex')
  const wrappingKey = deriveSubKey(dataKey, storeId, 'wrap')
  try {
    return { id, createdAt, sealingKey: wrapKey(sealingKey, wrappingKey, sealingKeyHeader(storeId, id)) }
  } finally {
    zero(wrappingKey)
  }
}

function unwrapSealingKey({ storeId, dataKeys: [current] }: KeyringV2, dataKey: Uint8Array): Buffer | undefined {
  const { id, sealingKey } = current as DataKeyEntry
  const wrappingKey = deriveSubKey(dataKey, storeId, 'wrap')
  try {
    return unwrapKey(sealingKey, wrappingKey, sealingKeyHeader(storeId, id))
  } finally {
    zero(wrappingKey)
  }
}

function sealingKeyHeader(storeId: string, dataKey: string): Buffer {
  return canonicalJson({ ...keyslotHeader, storeId, kind: 'sealing-key', dataKey })
}

function hasRightMac({ mac, ...body }: KeyringV2, dataKey: Uint8Array): boolean {
  return timingSafeEqual(Buffer.from(mac, 'base64'), macOf(body, dataKey))
}

function macOf(body: Omit<KeyringV2, 'mac'>, dataKey: Uint8Array): Buffer {
  const key = deriveSubKey(dataKey, body.storeId, 'keyring-mac')
  try {
    return createHmac('sha256', key).update(canonicalJson(body)).digest()
  } finally {
    zero(key)
  }
}

/**
 * Reads the serialized form back.
 *
 * @throws StoreError KEYRING_CORRUPT when the text is not JSON, the checksum does not match or a field is not what it
 * should be; STORE_FROM_FUTURE when it is whole but of a later version; NOT_A_STORE when it is some other JSON document
 */
export function parseKeyring(text: string): Keyring {
  const document = parseJson(text)
  if (!isObject(document) || (document.format !== FORMAT && !('sealingKey' in document) && !('dataKeys' in document))) {
    throw new StoreError('NOT_A_STORE', 'This JSON document is not a Holdfast keyring. Check the store directory.')
  }
  const { checksum, ...rest } = document
  if (!hasChecksum(rest, checksum)) throw corrupt('its checksum does not match')
  const version = rest.version
  if (rest.format === FORMAT && typeof version === 'number' && Number.isInteger(version) && version > VERSION) {
    throw new StoreError(
      'STORE_FROM_FUTURE',
      `The keyring is of version ${version}, and this Holdfast knows version ${VERSION}. Nothing was changed: open the ` +
        'store with the newer Holdfast that wrote it.',
      { details: { version, supportedVersion: VERSION } },
    )
  }
  const parsed = schemaOf(version).safeParse(rest)
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => issue.path.join('.') || '(document)')
    throw corrupt('a field is not what it should be', parsed.error, fields)
  }
  return parsed.data
}

/**
 * The keyring as an indented JSON document with its checksum: SHA-256 in hex over the canonical JSON (RFC 8785) of
 * everything else.
 *
 * @throws StoreError INTERNAL when `parseKeyring` would not accept the result
 */
export function serializeKeyring(keyring: Keyring): string {
  const checked = schemaOf(keyring.version).safeParse(keyring)
  if (!checked.success) {
    throw new StoreError('INTERNAL', 'A keyring that could not be read back was not written.', {
      cause: checked.error,
      details: { fields: checked.error.issues.map((issue) => issue.path.join('.')) },
    })
  }
  return `${JSON.stringify({ ...checked.data, checksum: checksumOf(checked.data) }, null, 2)}\n`
}

function schemaOf(version: unknown): z.ZodType<Keyring> {
  return version === 1 ? KeyringV1 : KeyringV2
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw corrupt('it is not JSON', cause)
  }
}

function isObject(value: JsonValue): value is { readonly [member: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checksumOf(document: { readonly [member: string]: JsonValue | undefined }): string {
  return createHash('sha256').update(canonicalJson(document)).digest('hex')
}

function hasChecksum(document: { readonly [member: string]: JsonValue }, checksum: JsonValue | undefined): boolean {
  try {
    return checksum === checksumOf(document)
  } catch {
    return false // nested deeper than any keyring
  }
}

function wrongPassword({ storeId, slots }: Keyring): StoreError {
  return new StoreError(
    'WRONG_PASSWORD',
    'The password does not open this store. The keyring is undamaged and nothing was changed: check the password, ' +
      'and that it belongs to this store directory.',
    { details: { storeId, slots: slots.length } },
  )
}

function corrupt(why: string, cause?: unknown, fields?: readonly string[]): StoreError {
  return new StoreError(
    'KEYRING_CORRUPT',
    `The keyring is damaged: ${why}. Nothing was changed: restore it from a backup of this store.`,
    { ...(cause === undefined ? {} : { cause }), ...(fields === undefined ? {} : { details: { fields } }) },
  )
}
