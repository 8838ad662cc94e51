/** The keyring as version 0.1.0 wrote it. It opens for good; the next change writes it as version 2. */
import * as z from 'zod'
import { canonicalJson } from './canonical-json.ts'
import { deriveKeyEncryptionKey, KdfParameters } from './kdf.ts'
import { deriveSubKey } from './sub-key.ts'
import { unwrapKey, Wrapped } from './wrapping.ts'
import { withSecret } from './zero.ts'

const FORMAT = 'holdfast-keyring'
const VERSION = 1
const MAX_SLOTS = 16

const SlotV1 = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  kind: z.literal('password'),
  label: z.string().min(1).max(100).exactOptional(),
  createdAt: z.iso.datetime(),
  kdf: KdfParameters,
  wrapped: Wrapped,
})
type SlotV1 = z.infer<typeof SlotV1>

export const KeyringV1 = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  storeId: z.uuid(),
  generation: z.int().min(1),
  createdAt: z.iso.datetime(),
  slots: z
    .array(SlotV1)
    .min(1)
    .max(MAX_SLOTS)
    .refine((slots) => new Set(slots.map((slot) => slot.id)).size === slots.length, { error: 'slot ids must differ' }),
  sealingKey: Wrapped,
})

/**
 * `kind`, `id` and `kdf` of a slot are bound to its `wrapped`, the data key (associated data); `label`, `createdAt` and
 * `generation` are not authenticated. `sealingKey` is wrapped under the sub-key `wrap` of the data key.
 */
export type KeyringV1 = z.infer<typeof KeyringV1>

/** The data key and the slot that the password opens; undefined when it opens none. The caller zeroes the key. */
export async function unlockSlotV1(
  keyring: KeyringV1,
  password: Uint8Array,
): Promise<{ readonly dataKey: Buffer; readonly slot: SlotV1 } | undefined> {
  for (const slot of keyring.slots) {
    const dataKey = await withSecret(await deriveKeyEncryptionKey(password, slot.kdf), (key) =>
      unwrapKey(slot.wrapped, key, slotHeader(keyring.storeId, slot)),
    )
    if (dataKey !== undefined) return { dataKey, slot }
  }
  return undefined
}

/** Undefined when the sealing key is not this store's. */
export async function unwrapSealingKeyV1(keyring: KeyringV1, dataKey: Uint8Array): Promise<Buffer | undefined> {
  return await withSecret(deriveSubKey(dataKey, keyring.storeId, 'wrap'), (key) =>
    unwrapKey(keyring.sealingKey, key, sealingKeyHeader(keyring.storeId)),
  )
}

function slotHeader(storeId: string, { id, kind, kdf }: SlotV1): Buffer {
  return canonicalJson({ format: FORMAT, version: VERSION, storeId, id, kind, kdf })
}

function sealingKeyHeader(storeId: string): Buffer {
  return canonicalJson({ format: FORMAT, version: VERSION, storeId, kind: 'sealing-key' })
}
