/**
 * One way to the data key. What somebody knows (a password, a recovery key, what a command prints) goes through argon2id
 * and unwraps the slot's private key; that opens the boxes with the data keys, one each.
 */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson } from './canonical-json.ts'
import { deriveKeyEncryptionKey, type KdfCost, KdfParameters, kdfParameters, SALT_BYTES } from './kdf.ts'
import { isRecoveryKeyLike } from './recovery-key.ts'
import { createSlotKeyPair, openBox, SlotBox, sealBox } from './slot-box.ts'
import { deriveSubKey } from './sub-key.ts'
import { unwrapKey, Wrapped, wrapKey } from './wrapping.ts'
import { withSecret, zero } from './zero.ts'

/** What all associated data of a keyring begins with. */
export const keyslotHeader = Object.freeze({ format: 'holdfast-keyring', version: 2 } as const)

export const KeyId = z.string().regex(/^[0-9a-f]{16}$/)

export const KEYSLOT_KINDS = ['password', 'recovery', 'command'] as const
export type KeyslotKind = (typeof KEYSLOT_KINDS)[number]

const MAX_LABEL_LENGTH = 100

/** What a person calls a slot: one line that a terminal can show. */
export const KeyslotLabel = z
  .string()
  .min(1)
  .max(MAX_LABEL_LENGTH)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be well-formed, without control characters')

export const Keyslot = z.strictObject({
  id: KeyId,
  kind: z.enum(KEYSLOT_KINDS),
  label: KeyslotLabel.exactOptional(),
  createdAt: z.iso.datetime(),
  kdf: KdfParameters,
  /** Under the key-encryption key. */
  privateKey: Wrapped,
  /** Under the sub-key `keyslot` of the current data key. */
  publicKey: Wrapped,
  boxes: z
    .array(z.strictObject({ dataKey: KeyId, ...SlotBox.shape }))
    .min(1)
    .max(2),
})
export type Keyslot = z.infer<typeof Keyslot>

/** A data key by the name it has in the keyring. */
export interface NamedKey {
  readonly id: string
  readonly key: Uint8Array
}

export interface CreateKeyslotOptions {
  readonly storeId: string
  readonly kind: KeyslotKind
  readonly label: string | null
  /** As made by `passwordBytes`; neither kept nor changed. */
  readonly secret: Uint8Array
  readonly cost: KdfCost
  readonly createdAt: string
  /** The current one first. */
  readonly dataKeys: readonly NamedKey[]
}

/** @throws StoreError INVALID_ARGUMENT for a cost outside the bounds of `KdfCost`, INTERNAL */
export async function createKeyslot(options: CreateKeyslotOptions): Promise<Keyslot> {
  const { storeId, kind, label, secret, cost, createdAt, dataKeys } = options
  const identity = { id: randomBytes(8).toString('hex'), kind, kdf: kdfParameters(cost, randomBytes(SALT_BYTES)) }
  const keyEncryptionKey = await deriveKeyEncryptionKey(secret, identity.kdf)
  const pair = createSlotKeyPair()
  try {
    const { id, kdf } = identity
    return {
      id,
      kind,
      ...(label === null ? {} : { label }),
      createdAt,
      kdf,
      privateKey: wrapKey(pair.privateKey, keyEncryptionKey, privateKeyHeader(storeId, identity)),
      publicKey: wrapPublicKey(storeId, id, pair.publicKey, (dataKeys[0] as NamedKey).key),
      boxes: dataKeys.map((dataKey) => boxFor(storeId, id, pair.publicKey, dataKey)),
    }
  } finally {
    zero(keyEncryptionKey, pair.privateKey, pair.publicKey)
  }
}

/**
 * The data keys in the order of `ids`, or `undefined` when the secret is not that of this slot. A key whose box does not
 * open is left out, and so are those behind it.
 */
export async function openKeyslot(
  storeId: string,
  slot: Keyslot,
  secret: Uint8Array,
  ids: readonly string[],
): Promise<Buffer[] | undefined> {
  if ((slot.kind === 'recovery') !== isRecoveryKeyLike(Buffer.from(secret.subarray(0, 8)).toString('latin1'))) return
  const privateKey = await withSecret(await deriveKeyEncryptionKey(secret, slot.kdf), (key) =>
    unwrapKey(slot.privateKey, key, privateKeyHeader(storeId, slot)),
  )
  if (privateKey === undefined) return undefined
  return await withSecret(privateKey, () => {
    const keys: Buffer[] = []
    for (const id of ids) {
      const box = slot.boxes.find((each) => each.dataKey === id)
      const key = box && openBox(box, privateKey, boxHeader(storeId, slot.id, id))
      if (key === undefined) break
      keys.push(key)
    }
    return keys
  })
}

/**
 * The slot with boxes for `dataKeys` and its public key under the first of them; no password is needed.
 *
 * @param currentKey the data key that its public key is under now
 * @returns undefined when the public key does not open: the slot was not written with this data key
 */
export function refillKeyslot(
  storeId: string,
  slot: Keyslot,
  currentKey: Uint8Array,
  dataKeys: readonly NamedKey[],
): Keyslot | undefined {
  const wrappingKey = deriveSubKey(currentKey, storeId, 'keyslot')
  const publicKey = unwrapKey(slot.publicKey, wrappingKey, publicKeyHeader(storeId, slot.id))
  zero(wrappingKey)
  if (publicKey === undefined) return undefined
  try {
    return {
      ...slot,
      publicKey: wrapPublicKey(storeId, slot.id, publicKey, (dataKeys[0] as NamedKey).key),
      boxes: dataKeys.map((dataKey) => boxFor(storeId, slot.id, publicKey, dataKey)),
    }
  } finally {
    zero(publicKey)
  }
}

function boxFor(storeId: string, slotId: string, publicKey: Uint8Array, { id, key }: NamedKey): Keyslot['boxes'][0] {
  return { dataKey: id, ...sealBox(key, publicKey, boxHeader(storeId, slotId, id)) }
}

function wrapPublicKey(storeId: string, slotId: string, publicKey: Uint8Array, dataKey: Uint8Array): Wrapped {
  const wrappingKey = deriveSubKey(dataKey, storeId, 'keyslot')
  try {
    return wrapKey(publicKey, wrappingKey, publicKeyHeader(storeId, slotId))
  } finally {
    zero(wrappingKey)
  }
}

function privateKeyHeader(storeId: string, { id, kind, kdf }: Pick<Keyslot, 'id' | 'kind' | 'kdf'>): Buffer {
  return canonicalJson({ ...keyslotHeader, storeId, id, kind, kdf })
}

function publicKeyHeader(storeId: string, slotId: string): Buffer {
  return canonicalJson({ ...keyslotHeader, storeId, kind: 'public-key', slot: slotId })
}

function boxHeader(storeId: string, slotId: string, dataKey: string): Buffer {
  return canonicalJson({ ...keyslotHeader, storeId, kind: 'data-key', slot: slotId, dataKey })
}
