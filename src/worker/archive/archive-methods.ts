/** What a worker does with an archive without a store of its own: follow it, or bring back a moment of it. */

import { parseKeyring, unlockKeyring } from '../../crypto/keyring.ts'
import { passwordBytes } from '../../crypto/password.ts'
import { deriveSubKey } from '../../crypto/sub-key.ts'
import { withSecret, zero } from '../../crypto/zero.ts'
import type { FollowRequest, RestoredMoment, RestoreMomentRequest, StandbyStatus } from '../../protocol/archive.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { openTarget } from '../backup/target.ts'
import type { Driver } from '../driver.ts'
import { toStoreError } from '../io-error.ts'
import { nativeCall } from '../native-calls.ts'
import { type Moment, restoreMoment } from './restore-moment.ts'
import { StandbyFollower } from './standby.ts'

export class ArchiveMethods {
  readonly #driver: Driver
  #follower: StandbyFollower | undefined

  constructor(driver: Driver) {
    this.#driver = driver
  }

  async follow(request: FollowRequest): Promise<void> {
    if (this.#follower !== undefined) throw new StoreError('INTERNAL', 'This worker follows an archive already.')
    this.#follower = await StandbyFollower.start(this.#driver, request)
  }

  async followed(): Promise<StandbyStatus> {
    return this.#following().status
  }

  async unfollow(): Promise<void> {
    await this.#following().close()
    this.#follower = undefined
  }

  async restoreMoment({ from, dir, password, atMs, sequence }: RestoreMomentRequest): Promise<RestoredMoment> {
    try {
      return await restoreMoment({
        target: await openTarget(from),
        moment: momentOf(atMs, sequence),
        dir,
        macKeyOf: (keyringText) => macKeyOf(keyringText, password),
      })
    } catch (error) {
      throw await toStoreError(error, dir)
    } finally {
      zero(password)
    }
  }

  #following(): StandbyFollower {
    if (this.#follower === undefined) throw new StoreError('STORE_CLOSED', 'This standby follows no archive.')
    return this.#follower
  }
}

function momentOf(atMs: number | null, sequence: number | null): Moment {
  if (atMs !== null) return { kind: 'at', timeMs: atMs }
  return sequence === null ? { kind: 'latest' } : { kind: 'sequence', sequence }
}

async function macKeyOf(keyringText: string, password: Uint8Array): Promise<Uint8Array> {
  const keyring = parseKeyring(keyringText)
  const keys = await withSecret(passwordBytes(Buffer.from(password).toString('utf8')), (bytes) =>
    nativeCall(() => unlockKeyring(keyring, bytes)),
  )
  try {
    return deriveSubKey(keys.dataKey, keyring.storeId, 'backup-mac')
  } finally {
    zero(keys.dataKey, keys.sealingKey)
  }
}
