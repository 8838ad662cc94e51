/**
 * Which of the two data keys a file is under, while a rotation moves one file after the other: the current one is tried
 * first, then the next. Nothing of it is written down anywhere, so it can't be wrong.
 */
import type { StoreKeys } from '../crypto/keyring.ts'
import { deriveSubKey, type SubKeyPurpose } from '../crypto/sub-key.ts'
import { withSecret } from '../crypto/zero.ts'
import { isStoreError } from '../protocol/store-error.ts'

export class DatabaseKeys {
  readonly storeId: string
  readonly #keys: StoreKeys
  readonly #moved = new Set<SubKeyPurpose>()

  /** `keys` stay the caller's; they are looked up anew for each use. */
  constructor(keys: StoreKeys, storeId: string) {
    this.#keys = keys
    this.storeId = storeId
  }

  /** The sub-key that the file is under, as far as it has been opened or moved; for the caller to zero. */
  keyOf(purpose: SubKeyPurpose): Buffer {
    const { dataKey, nextDataKey } = this.#keys
    const isMoved = nextDataKey !== undefined && this.#moved.has(purpose)
    return deriveSubKey(isMoved ? nextDataKey : dataKey, this.storeId, purpose)
  }

  hasMoved(purpose: SubKeyPurpose): boolean {
    return this.#moved.has(purpose)
  }

  markMoved(purpose: SubKeyPurpose): void {
    this.#moved.add(purpose)
  }

  /** The next key has become the current one, for every file. */
  settle(): void {
    this.#moved.clear()
  }

  /**
   * Opens a file with the key that fits, and remembers which that was.
   *
   * @param open rejects with `STORE_CORRUPT` when the key does not fit
   */
  async open<T>(purpose: SubKeyPurpose, open: (key: Buffer) => Promise<T>): Promise<T> {
    try {
      return await withSecret(this.keyOf(purpose), open)
    } catch (error) {
      const { nextDataKey } = this.#keys
      const mayBeMoved = nextDataKey !== undefined && !this.#moved.has(purpose)
      if (!mayBeMoved || !isStoreError(error) || error.code !== 'STORE_CORRUPT') throw error
      const opened = await withSecret(deriveSubKey(nextDataKey, this.storeId, purpose), open).catch(() => undefined)
      if (opened === undefined) throw error
      this.#moved.add(purpose)
      return opened
    }
  }
}
