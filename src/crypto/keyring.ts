/**
 * Why: everything in a store hangs on one random data key. The keyring holds it, wrapped once per keyslot, so that a
 * password can be changed, or a second one added, without touching a database.
 *
 * The keyring is a JSON document. Its checksum is no protection against an attacker (who can compute one too); it
 * tells damage from a wrong password, which is what the person in front of it needs to know. What an attacker must
 * not change is bound by associated data: a slot's header to its wrapped key, the store to its sealing key.
 *
 * For every later version: `format`, `version` and the rule for `checksum` stay as they are, so that an old program
 * can tell a newer keyring from a damaged one; a new kind of slot raises `version`.
 */

import { createHash, randomBytes, randomUUID } from 'node:crypto'
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import { canonicalJson, type JsonValue } from './canonical-json.ts'
import { deriveKeyEncryptionKey, type KdfCost, KdfParameters, kdfParameters, SALT_BYTES } from './kdf.ts'
import { assertPasswordStrength } from './password.ts'
import { deriveSubKey } from './sub-key.ts'
import { unwrapKey, Wrapped, wrapKey } from './wrapping.ts'
import { withSecret, zero } from './zero.ts'

const FORMAT = 'holdfast-keyring'
const VERSION = 1
const KEY_BYTES = 32

/** A doctored keyring must not make one attempt to unlock run argon2 without end. */
const MAX_SLOTS = 16

const KeyringSlot = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  kind: z.literal('password'),
  label: z.string().min(1).max(100).exactOptional(),
  createdAt: z.iso.datetime(),
  kdf: KdfParameters,
  wrapped: Wrapped,
})

const Keyring = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  storeId: z.uuid(),
  generation: z.int().min(1),
  createdAt: z.iso.datetime(),
  slots: z
    .array(KeyringSlot)
    .min(1)
    .max(MAX_SLOTS)
    .refine((slots) => new Set(slots.map((slot) => slot.id)).size === slots.length, { error: 'slot ids must differ' }),
  sealingKey: Wrapped,
})

/**
 * One way to the data key. `kind`, `id` and `kdf` are bound to `wrapped` (associated data); `label` and `createdAt` are
 * for people and are not.
 */
export type KeyringSlot = z.infer<typeof KeyringSlot>

/**
 * The keyring without its checksum, which exists in the serialized form only. `generation` grows by one with every
 * change; times are ISO 8601 in UTC; `sealingKey` is wrapped under the sub-key `wrap` of the data key.
 */
export type Keyring = z.infer<typeof Keyring>

/** The two keys of a store, 32 bytes each; the caller zeroes them. */
export interface StoreKeys {
  readonly dataKey: Buffer
  readonly sealingKey: Buffer
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
export async function createKeyring(options: CreateKeyringOptions): Promise<StoreKeys & { readonly keyring: Keyring }> {
  assertPasswordStrength(options.password)
  const createdAt = options.now.toISOString()
  const dataKey = randomBytes(KEY_BYTES)
  const sealingKey = randomBytes(KEY_BYTES)
  try {
    const storeId = randomUUID()
    const identity = {
      id: randomBytes(8).toString('hex'),
      kind: 'password',
      kdf: kdfParameters(options.cost, randomBytes(SALT_BYTES)),
    } as const
    const wrapped = await withSecret(await deriveKeyEncryptionKey(options.password, identity.kdf), (key) =>
      wrapKey(dataKey, key, slotHeader(storeId, identity)),
    )
    const wrappedSealingKey = await withSecret(deriveSubKey(dataKey, storeId, 'wrap'), (key) =>
      wrapKey(sealingKey, key, sealingKeyHeader(storeId)),
    )
    const { id, kind, kdf } = identity
    const keyring: Keyring = {
      format: FORMAT,
      version: VERSION,
      storeId,
      generation: 1,
      createdAt,
      slots: [{ id, kind, createdAt, kdf, wrapped }],
      sealingKey: wrappedSealingKey,
    }
    return { keyring, dataKey, sealingKey }
  } catch (error) {
    zero(dataKey, sealingKey)
    throw error
  }
}

/**
 * Opens the keyring with a password: tries every password slot in turn, one run of argon2 each.
 *
 * @param password as made by `passwordBytes`; neither kept nor changed
 * @returns the keys, and the id of the slot that the password opened
 * @throws StoreError WRONG_PASSWORD when no slot opens, KEYRING_CORRUPT when a slot opens but the sealing key does not,
 * INTERNAL when the machine refuses the memory for argon2
 */
export async function unlockKeyring(
  keyring: Keyring,
  password: Uint8Array,
): Promise<StoreKeys & { readonly slotId: string }> {
  for (const slot of keyring.slots) {
    const dataKey = await withSecret(await deriveKeyEncryptionKey(password, slot.kdf), (key) =>
      unwrapKey(slot.wrapped, key, slotHeader(keyring.storeId, slot)),
    )
    if (dataKey === undefined) continue
    const sealingKey = await withSecret(deriveSubKey(dataKey, keyring.storeId, 'wrap'), (key) =>
      unwrapKey(keyring.sealingKey, key, sealingKeyHeader(keyring.storeId)),
    )
    if (sealingKey === undefined) {
      zero(dataKey)
      throw corrupt('the password is right, but the sealing key in it does not belong to this store')
    }
    return { dataKey, sealingKey, slotId: slot.id }
  }
  throw new StoreError(
    'WRONG_PASSWORD',
    'The password does not open this store. The keyring is undamaged and nothing was changed: check the password, ' +
      'and that it belongs to this store directory.',
    { details: { storeId: keyring.storeId, slots: keyring.slots.length } },
  )
}

/**
 * Reads the serialized form back.
 *
 * @throws StoreError KEYRING_CORRUPT when the text is not JSON, the checksum does not match or a field is not what it
 * should be; STORE_FROM_FUTURE when it is whole but of a later version; NOT_A_STORE when it is some other JSON document
 */
export function parseKeyring(text: string): Keyring {
  const document = parseJson(text)
  if (!isObject(document) || (document.format !== FORMAT && !('sealingKey' in document))) {
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
  const parsed = Keyring.safeParse(rest)
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
  const checked = Keyring.safeParse(keyring)
  if (!checked.success) {
    throw new StoreError('INTERNAL', 'A keyring that could not be read back was not written.', {
      cause: checked.error,
      details: { fields: checked.error.issues.map((issue) => issue.path.join('.')) },
    })
  }
  return `${JSON.stringify({ ...checked.data, checksum: checksumOf(checked.data) }, null, 2)}\n`
}

function slotHeader(storeId: string, slot: Pick<KeyringSlot, 'id' | 'kind' | 'kdf'>): Buffer {
  return canonicalJson({ format: FORMAT, version: VERSION, storeId, id: slot.id, kind: slot.kind, kdf: slot.kdf })
}

function sealingKeyHeader(storeId: string): Buffer {
  return canonicalJson({ format: FORMAT, version: VERSION, storeId, kind: 'sealing-key' })
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

function corrupt(why: string, cause?: unknown, fields?: readonly string[]): StoreError {
  return new StoreError(
    'KEYRING_CORRUPT',
    `The keyring is damaged: ${why}. Nothing was changed: restore it from a backup of this store.`,
    { ...(cause === undefined ? {} : { cause }), ...(fields === undefined ? {} : { details: { fields } }) },
  )
}
