/**
 * Why: triggers keep SQL from changing the trail, but whoever has the key can remove the triggers. So each entry carries
 * the MAC of the one before it, and a MAC of its own over all of its fields, that one included: no entry can be changed,
 * removed, added or put elsewhere without the key of the chain and without making every later entry anew.
 *
 * The MAC is HMAC-SHA256 (RFC 2104) over the canonical JSON (RFC 8785) of the fields; docs/audit.md tells how to verify
 * one without this package. Why the key is what it is: docs/decisions, "The audit key".
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalJson } from '../../crypto/canonical-json.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'

const ENTRY_FORMAT = 'holdfast-audit-entry'
export const MAC_BYTES = 32
/** What stands in place of a MAC before the first entry. */
export const GENESIS: Uint8Array = new Uint8Array(MAC_BYTES)

/** Where a chain ends. */
export interface ChainPosition {
  /** The number of entries. */
  readonly id: number
  readonly mac: Uint8Array
  /** Of the last batch that appended. */
  readonly sequence: number
}

export const CHAIN_START: ChainPosition = Object.freeze({ id: 0, mac: GENESIS, sequence: 0 })

/** An entry as it stands in the table. `data` is canonical JSON; `at` is in Unix milliseconds. */
export interface ChainedEntry {
  readonly id: number
  readonly at: number
  readonly actor: string
  readonly event: string
  readonly data: string
  readonly causationId: string | null
  readonly note: string | null
  readonly sequence: number
  readonly previous: Uint8Array
  readonly mac: Uint8Array
}

/** The key of the chain: it outlives the data key, since it hangs on the sealing key. The caller zeroes it. */
export function deriveChainKey(sealingKey: Uint8Array, storeId: string): Buffer {
  return deriveSubKey(sealingKey, storeId, 'audit-chain')
}

/** The entry that follows `position`. */
export function chainEntry(
  key: Uint8Array,
  position: ChainPosition,
  fields: Pick<ChainedEntry, 'at' | 'actor' | 'event' | 'data' | 'causationId' | 'note' | 'sequence'>,
): ChainedEntry {
  const { at, actor, event, data, causationId, note, sequence } = fields
  const unsigned = { id: position.id + 1, at, actor, event, data, causationId, note, sequence, previous: position.mac }
  return { ...unsigned, mac: entryMac(key, unsigned) }
}

export function entryMac(key: Uint8Array, { previous, ...fields }: Omit<ChainedEntry, 'mac'>): Buffer {
  const { id, at, actor, event, data, causationId, note, sequence } = fields
  const body = { id, at, actor, event, data, causationId, note, sequence, previous: hex(previous) }
  return createHmac('sha256', key)
    .update(canonicalJson({ format: ENTRY_FORMAT, version: 1, ...body }))
    .digest()
}

export function isAuthentic(key: Uint8Array, { mac, ...fields }: ChainedEntry): boolean {
  return mac.length === MAC_BYTES && timingSafeEqual(mac, entryMac(key, fields))
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
