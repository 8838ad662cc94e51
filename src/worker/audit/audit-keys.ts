/**
 * The keys of the trail. That of the chain hangs on the sealing key, which stays when the data key changes; that of
 * notes hangs on the data key, so that who once had an old one can't leave any. Why: docs/decisions, "The audit key".
 */
import type { StoreKeys } from '../../crypto/keyring.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret, zero } from '../../crypto/zero.ts'
import { deriveChainKey } from './audit-chain.ts'

export class AuditKeys {
  readonly storeId: string
  readonly chainKey: Buffer
  readonly #keys: StoreKeys

  /** `keys` stay the caller's; the data key is looked up anew for each use. */
  constructor(keys: StoreKeys, storeId: string) {
    this.storeId = storeId
    this.#keys = keys
    this.chainKey = deriveChainKey(keys.sealingKey, storeId)
  }

  async withNoteKey<T>(use: (key: Uint8Array) => Promise<T>): Promise<T> {
    return await withSecret(deriveSubKey(this.#keys.dataKey, this.storeId, 'audit-mac'), use)
  }

  zero(): void {
    zero(this.chainKey)
  }
}
