/**
 * Every change that a keyring can undergo, as a function from one keyring to the next generation of it. None of them
 * reads or writes a file, and each result carries its MAC.
 */
import { StoreError } from '../protocol/store-error.ts'
import type { KdfCost } from './kdf.ts'
import {
  dataKeyEntry,
  type Keyring,
  type KeyringContent,
  type KeyringV2,
  MAX_SLOTS,
  type StoreKeys,
  unlockKeyring,
  withMac,
} from './keyring.ts'
import { unlockSlotV1 } from './keyring-v1.ts'
import { createKeyslot, type Keyslot, type KeyslotKind, type NamedKey, refillKeyslot } from './keyslot.ts'
import { zero } from './zero.ts'

export interface NewSlot {
  readonly kind: KeyslotKind
  readonly label: string | null
  /** As made by `passwordBytes`; neither kept nor changed. */
  readonly secret: Uint8Array
  readonly cost: KdfCost
  readonly now: Date
}

/**
 * The keyring in the present version, in its present generation. One of version 1 is written anew with the password at
 * hand; it has one slot, since no version 1 could add another.
 *
 * @throws StoreError WRONG_PASSWORD; INVALID_ARGUMENT for a keyring of version 1 with several slots
 */
export async function upgradeKeyring(keyring: Keyring, password: Uint8Array): Promise<KeyringV2> {
  if (keyring.version !== 1) return keyring
  const { storeId, generation, createdAt, slots } = keyring
  if (slots.length > 1) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'This keyring of version 1 has several slots, which no version of Holdfast has written. It opens, but it can not be changed.',
    )
  }
  const opened = await unlockSlotV1(keyring, password)
  const keys = await unlockKeyring(keyring, password)
  try {
    const { kdf, label = null, createdAt: slotCreatedAt } = (opened as NonNullable<typeof opened>).slot
    const entry = dataKeyEntry(storeId, createdAt, keys.dataKey, keys.sealingKey)
    const { memoryKiB, iterations, parallelism } = kdf
    const slot = await createKeyslot({
      storeId,
      kind: 'password',
      label,
      secret: password,
      cost: { memoryKiB, iterations, parallelism },
      createdAt: slotCreatedAt,
      dataKeys: [{ id: entry.id, key: keys.dataKey }],
    })
    return withMac({ storeId, generation, createdAt, dataKeys: [entry], slots: [slot] }, keys.dataKey)
  } finally {
    zero(opened?.dataKey, keys.dataKey, keys.sealingKey)
  }
}

/** @throws StoreError CONSTRAINT when the keyring is full or has a slot of that label */
export async function addSlot(keyring: KeyringV2, keys: StoreKeys, added: NewSlot): Promise<Changed> {
  if (keyring.slots.length >= MAX_SLOTS) {
    throw new StoreError(
      'CONSTRAINT',
      `A keyring has ${MAX_SLOTS} slots at most. Remove one that is not used any more.`,
    )
  }
  assertFreeLabel(keyring.slots, added.label)
  const slot = await newSlot(keyring, keys, added)
  return { keyring: changed(keyring, keys, { slots: [...keyring.slots, slot] }), slot }
}

/** @throws StoreError NOT_FOUND */
export async function replaceSlot(
  keyring: KeyringV2,
  keys: StoreKeys,
  id: string,
  replacement: Omit<NewSlot, 'label'>,
): Promise<Changed> {
  const before = findSlot(keyring, id)
  const slot = await newSlot(keyring, keys, { ...replacement, label: before.label ?? null })
  const slots = keyring.slots.map((each) => (each.id === id ? slot : each))
  return { keyring: changed(keyring, keys, { slots }), slot }
}

/** @throws StoreError NOT_FOUND, LAST_KEYSLOT */
export function removeSlot(keyring: KeyringV2, keys: StoreKeys, id: string): Changed {
  const slot = findSlot(keyring, id)
  if (keyring.slots.length === 1) {
    throw new StoreError(
      'LAST_KEYSLOT',
      'This is the last keyslot: without it nobody could open the store again. Add another one first.',
      { details: { slot: id } },
    )
  }
  return { keyring: changed(keyring, keys, { slots: keyring.slots.filter((each) => each.id !== id) }), slot }
}

/** Puts the next data key beside the current one, for every slot. */
export function addNextDataKey(keyring: KeyringV2, keys: StoreKeys, next: Uint8Array, now: Date): KeyringV2 {
  const entry = dataKeyEntry(keyring.storeId, now.toISOString(), next, keys.sealingKey)
  const dataKeys = [currentEntry(keyring), entry]
  const named = [
    { id: currentEntry(keyring).id, key: keys.dataKey },
    { id: entry.id, key: next },
  ]
  return changed(keyring, keys, { dataKeys, slots: refilled(keyring, keys, named) })
}

/** Makes the next data key the only one. `keys` stay as they are. */
export function promoteNextDataKey(keyring: KeyringV2, keys: StoreKeys): KeyringV2 {
  const [, entry] = keyring.dataKeys
  const { nextDataKey } = keys
  if (entry === undefined || nextDataKey === undefined) throw noNextKey()
  const slots = refilled(keyring, keys, [{ id: entry.id, key: nextDataKey }])
  return withMac({ ...keyring, generation: keyring.generation + 1, dataKeys: [entry], slots }, nextDataKey)
}

/** Forgets the next data key: no file was moved to it. */
export function dropNextDataKey(keyring: KeyringV2, keys: StoreKeys): KeyringV2 {
  const entry = currentEntry(keyring)
  return changed(keyring, keys, {
    dataKeys: [entry],
    slots: refilled(keyring, keys, [{ id: entry.id, key: keys.dataKey }]),
  })
}

/** The same keyring, newer than one that it takes the place of. */
export function succeed(keyring: KeyringV2, keys: StoreKeys, generation: number): KeyringV2 {
  return withMac({ ...keyring, generation: Math.max(keyring.generation, generation) + 1 }, keys.dataKey)
}

export interface Changed {
  readonly keyring: KeyringV2
  /** The slot that was added, or removed. */
  readonly slot: Keyslot
}

/** @throws StoreError NOT_FOUND */
export function findSlot(keyring: KeyringV2, id: string): Keyslot {
  const slot = keyring.slots.find((each) => each.id === id)
  if (slot !== undefined) return slot
  throw new StoreError('NOT_FOUND', `The keyring has no slot "${id}". See holdfast key list.`, {
    details: { slot: id },
  })
}

function newSlot(keyring: KeyringV2, keys: StoreKeys, { now, ...slot }: NewSlot): Promise<Keyslot> {
  return createKeyslot({
    ...slot,
    storeId: keyring.storeId,
    createdAt: now.toISOString(),
    dataKeys: namedKeys(keyring, keys),
  })
}

function namedKeys({ dataKeys: [current, next] }: KeyringV2, keys: StoreKeys): NamedKey[] {
  const named = [{ id: (current as { id: string }).id, key: keys.dataKey }]
  if (next === undefined) return named
  if (keys.nextDataKey === undefined) throw noNextKey()
  return [...named, { id: next.id, key: keys.nextDataKey }]
}

function refilled(keyring: KeyringV2, keys: StoreKeys, dataKeys: readonly NamedKey[]): Keyslot[] {
  return keyring.slots.map((slot) => {
    const full = refillKeyslot(keyring.storeId, slot, keys.dataKey, dataKeys)
    if (full !== undefined) return full
    throw new StoreError(
      'KEYRING_CORRUPT',
      'A slot of the keyring was not written with the data key of this store. Nothing was changed: look at holdfast key list and remove it.',
      { details: { slot: slot.id } },
    )
  })
}

function currentEntry(keyring: KeyringV2): KeyringV2['dataKeys'][0] {
  return keyring.dataKeys[0] as KeyringV2['dataKeys'][0]
}

function changed(keyring: KeyringV2, keys: StoreKeys, change: Partial<KeyringContent>): KeyringV2 {
  return withMac({ ...keyring, ...change, generation: keyring.generation + 1 }, keys.dataKey)
}

function assertFreeLabel(slots: readonly Keyslot[], label: string | null): void {
  if (label === null || slots.every((slot) => slot.label !== label)) return
  throw new StoreError('CONSTRAINT', 'There is a keyslot with this label already. Choose another label.')
}

function noNextKey(): StoreError {
  return new StoreError('INTERNAL', 'The keyring and the keys at hand do not agree about a rotation. Please report it.')
}
