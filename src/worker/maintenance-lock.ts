/**
 * Some operations of the upkeep can't go on at the same time: a rotation of the data key rewrites every page, and a
 * backup or an archive's base that is being copied meanwhile would be of two keys. One at a time for all database files
 * of a store; whoever comes second is told at once what is running, instead of waiting for what may take minutes.
 */
import { StoreError } from '../protocol/store-error.ts'

export class MaintenanceLock {
  #running: string | null = null

  /** What runs at the moment, in words for a message. */
  get running(): string | null {
    return this.#running
  }

  /**
   * Runs `work` unless another operation is under way.
   *
   * @param name in words for a message, such as `rotation of the data key`
   * @throws StoreError `BUSY_OPERATION` with the name of what is running
   */
  async exclusiveOperation<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#running !== null) throw busy(name, this.#running)
    this.#running = name
    try {
      return await work()
    } finally {
      this.#running = null
    }
  }
}

function busy(name: string, running: string): StoreError {
  return new StoreError(
    'BUSY_OPERATION',
    `The ${name} can't start: the ${running} is under way. Nothing was changed; try again when it has ended.`,
    { details: { operation: name, running } },
  )
}
