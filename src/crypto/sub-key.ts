/**
 * Why: one key for one use. Every file and every code that authenticates something has a key of its own, derived from
 * the data key, so that a flaw or a leak in one place opens nothing else, and only the data key has to be kept.
 */

import { hkdfSync } from 'node:crypto'
import { StoreError } from '../protocol/store-error.ts'

/** What a derived key is for. A new use gets a new word; a word never changes its meaning. */
export type SubKeyPurpose =
  | 'database:state'
  | 'database:market'
  | `database:trades-${number}`
  | 'wrap'
  | 'audit-mac'
  | 'audit-chain'
  | 'backup-mac'
  | 'keyring-mac'
  | 'keyslot'
  | 'artifact-address'
  | 'artifact-gear'
  | 'artifact-wrap'
  | 'session-cache-wrap'

const KEY_BYTES = 32

/**
 * The 32-byte key for one purpose: HKDF-SHA256 (RFC 5869) of the data key, with the 16 bytes of the store's UUID as
 * salt and `holdfast/v1/<purpose>` as info.
 *
 * @param dataKey 32 bytes
 * @param storeId the store's UUID in its text form
 * @throws StoreError INVALID_ARGUMENT when the data key is not 32 bytes or the store id is not a UUID
 */
export function deriveSubKey(dataKey: Uint8Array, storeId: string, purpose: SubKeyPurpose): Buffer {
  if (dataKey.length !== KEY_BYTES) {
    throw new StoreError('INVALID_ARGUMENT', `A data key has ${KEY_BYTES} bytes.`, {
      details: { lengthBytes: dataKey.length },
    })
  }
  return Buffer.from(hkdfSync('sha256', dataKey, uuidBytes(storeId), `holdfast/v1/${purpose}`, KEY_BYTES))
}

function uuidBytes(uuid: string): Buffer {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(uuid)) {
    throw new StoreError('INVALID_ARGUMENT', 'A store id is a UUID.')
  }
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}
