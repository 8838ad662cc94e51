/**
 * Compaction in the background: one small transaction after the other, resting between them as long as each took while
 * commits come (docs/decisions/0012). What fails, on a full disk for example, is tried again with the next append.
 */
import { setImmediate } from 'node:timers/promises'
import type { CompactionResult, SeriesKey } from '../../protocol/series.ts'
import { givingWayTo } from '../backup/give-way.ts'
import type { SeriesWriter } from './series-writer.ts'

export class Compactor {
  readonly #writer: SeriesWriter
  readonly #giveWay: () => Promise<void>
  readonly #waiting = new Map<string, SeriesKey>()
  #running: Promise<void> | undefined
  #isEnded = false

  constructor(writer: SeriesWriter, commits: () => number) {
    this.#writer = writer
    this.#giveWay = givingWayTo(commits)
  }

  /** After an append. */
  consider(key: SeriesKey): void {
    if (this.#isEnded || !this.#writer.needsCompaction(key)) return
    this.#waiting.set(JSON.stringify(key), key)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** @param isFull also what is not worth it yet */
  async compact(key: SeriesKey, isFull: boolean, isStopped = () => false): Promise<CompactionResult> {
    const total = { blocksWritten: 0, rowsMerged: 0 }
    let step: CompactionResult | null
    do {
      step = this.#isEnded || isStopped() ? null : await this.#writer.compactStep(key, isFull)
      total.blocksWritten += step?.blocksWritten ?? 0
      total.rowsMerged += step?.rowsMerged ?? 0
      await this.#giveWay()
    } while (step !== null)
    return total
  }

  async end(): Promise<void> {
    this.#isEnded = true
    await this.#running
  }

  async #run(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined || this.#isEnded) return
      const [name, key] = next
      this.#waiting.delete(name)
      await setImmediate()
      try {
        while (!this.#isEnded && (await this.#writer.compactStep(key, false)) !== null) await this.#giveWay()
      } catch {
        // Whoever writes or reads next is told what is wrong.
      }
    }
  }
}
