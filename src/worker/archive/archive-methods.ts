/** What a worker does with an archive without a store of its own: follow it, or bring back a moment of it. */

import { zero } from '../../crypto/zero.ts'
import type { FollowRequest, RestoredMoment, RestoreMomentRequest, StandbyStatus } from '../../protocol/archive.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { Driver } from '../driver.ts'
import { toStoreError } from '../io-error.ts'
import { restoreArchive } from './restore-archive.ts'
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

  async restoreMoment(request: RestoreMomentRequest): Promise<RestoredMoment> {
    try {
      return await restoreArchive(request)
    } catch (error) {
      throw await toStoreError(error, request.dir)
    } finally {
      zero(request.password)
    }
  }

  #following(): StandbyFollower {
    if (this.#follower === undefined) throw new StoreError('STORE_CLOSED', 'This standby follows no archive.')
    return this.#follower
  }
}
