/**
 * Ticks of a live feed, gathered into appends. Bounded: what does not fit is refused to the caller, who can wait for room;
 * nothing is ever dropped in silence, and what is lost to a failure is counted and reported.
 */
import { isStoreError, StoreError } from '../../protocol/store-error.ts'
import type { AppendResult } from './append-queue.ts'
import { invalid } from './series-access.ts'
import type { Tick } from './ticks.ts'

export interface TickWriterOptions {
  /** How long a tick waits for others at most before it is on its way; default 100. Longer disturbs puts beside it less often. */
  readonly maxLatencyMs?: number
  /** More ticks than this that are not durable yet are refused; default 200,000. */
  readonly maxPending?: number
  /** As in `ticks.append`. */
  readonly exact?: boolean
  /** Called with what became of a batch that could not be written. Without it, `flush` and `close` reject with the first error. */
  readonly onError?: (error: StoreError, ticks: number) => void
}

export interface TickWriterStats {
  /** Ticks that `write` took. */
  readonly accepted: number
  readonly durable: number
  /** Accepted, and neither durable nor failed. */
  readonly pending: number
  /** In batches that were rejected, each of which was reported. */
  readonly failed: number
  /** `write` calls that were refused for want of room. */
  readonly refused: number
  readonly batches: number
}

export interface TickWriter {
  /**
   * Takes a tick. False when there is no room: it was not taken, and `await writer.ready()` tells when to try again.
   *
   * @example if (!writer.write('BTC/USDT', tick)) { await writer.ready(); writer.write('BTC/USDT', tick) }
   */
  write(symbol: string, tick: Tick): boolean
  /** Resolves when there is room for half of `maxPending`. */
  ready(): Promise<void>
  /** Resolves when everything taken so far is durable. Rejects with the first error of a batch since the last `flush`. */
  flush(): Promise<void>
  stats(): TickWriterStats
  /** Flushes; takes nothing any more. */
  close(): Promise<void>
}

const DEFAULT_LATENCY_MS = 100
const DEFAULT_PENDING = 200_000
/** A batch goes at once when one symbol has as many. */
const BATCH_TICKS = 8_192

type Append = (symbol: string, ticks: readonly Tick[], exact: boolean) => Promise<AppendResult>

export class TickWriterOfStore implements TickWriter {
  readonly #append: Append
  readonly #maxLatencyMs: number
  readonly #maxPending: number
  readonly #exact: boolean
  readonly #onError: TickWriterOptions['onError']
  #waiting = new Map<string, Tick[]>()
  readonly #flying = new Set<Promise<void>>()
  readonly #whenReady: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #firstError: StoreError | undefined
  #isClosed = false
  #accepted = 0
  #durable = 0
  #failed = 0
  #refused = 0
  #batches = 0

  /** @throws StoreError `INVALID_ARGUMENT` */
  constructor(append: Append, options: TickWriterOptions) {
    const { maxLatencyMs = DEFAULT_LATENCY_MS, maxPending = DEFAULT_PENDING, exact = false, onError } = options
    if (!(typeof maxLatencyMs === 'number' && maxLatencyMs >= 1 && maxLatencyMs <= 60_000)) {
      throw invalid('maxLatencyMs must be a number from 1 to 60,000')
    }
    if (!(Number.isSafeInteger(maxPending) && maxPending >= 1))
      throw invalid('maxPending must be a whole number from 1')
    this.#append = append
    this.#maxLatencyMs = maxLatencyMs
    this.#maxPending = maxPending
    this.#exact = exact
    this.#onError = onError
  }

  write(symbol: string, tick: Tick): boolean {
    if (this.#isClosed) throw new StoreError('STORE_CLOSED', 'This writer is closed. Make another one.')
    if (this.#pending >= this.#maxPending) {
      this.#refused += 1
      return false
    }
    this.#accepted += 1
    const ticks = this.#waiting.get(symbol)
    // A copy: callers may go on with the object.
    if (ticks === undefined) this.#waiting.set(symbol, [{ ...tick }])
    else if (ticks.push({ ...tick }) >= BATCH_TICKS) {
      this.#waiting.delete(symbol)
      this.#send(symbol, ticks)
      return true
    }
    this.#timer ??= setTimeout(() => this.#sendAll(), this.#maxLatencyMs)
    return true
  }

  async ready(): Promise<void> {
    if (this.#hasRoom) return
    this.#sendAll()
    await new Promise<void>((resolve) => this.#whenReady.push(resolve))
  }

  async flush(): Promise<void> {
    this.#sendAll()
    await Promise.all(this.#flying)
    const error = this.#firstError
    this.#firstError = undefined
    if (error !== undefined) throw error
  }

  stats(): TickWriterStats {
    return {
      accepted: this.#accepted,
      durable: this.#durable,
      pending: this.#pending,
      failed: this.#failed,
      refused: this.#refused,
      batches: this.#batches,
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  get #pending(): number {
    return this.#accepted - this.#durable - this.#failed
  }

  get #hasRoom(): boolean {
    return this.#pending <= this.#maxPending / 2
  }

  #sendAll(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const [symbol, ticks] of waiting) this.#send(symbol, ticks)
  }

  #send(symbol: string, ticks: readonly Tick[]): void {
    this.#batches += 1
    const flight = this.#append(symbol, ticks, this.#exact).then(
      () => {
        this.#durable += ticks.length
      },
      (error: unknown) => this.#report(error, ticks.length),
    )
    const landed = flight.finally(() => {
      this.#flying.delete(landed)
      if (this.#hasRoom) for (const resolve of this.#whenReady.splice(0)) resolve()
    })
    this.#flying.add(landed)
  }

  #report(error: unknown, ticks: number): void {
    this.#failed += ticks
    const own = isStoreError(error)
      ? error
      : new StoreError('INTERNAL', 'The writer met an error the store does not know. Please report it.', {
          cause: error,
        })
    if (this.#onError !== undefined) this.#onError(own, ticks)
    else this.#firstError ??= own
  }
}
