/**
 * A book from a snapshot and the deltas behind it, applied in the order of their ids. The rules are those of Binance's "How to manage a
 * local order book correctly" (spot: an event continues where `U <= last + 1`; futures: where `pu` equals the last `u`, and
 * the first event behind a snapshot is one with `U <= lastUpdateId <= u`).
 */
import type { BookEvent, BookLevel } from '../../../schema/book-event.ts'
import { comparePrices, priceKey } from './price-key.ts'

export type Continuation = 'applied' | 'old' | 'gap'

export class BookReplay {
  readonly #bids = new Map<string, BookLevel>()
  readonly #asks = new Map<string, BookLevel>()
  #lastId: number
  #eventTs: number
  #isFresh = true

  constructor(snapshot: Pick<BookEvent, 'ts' | 'lastId' | 'bids' | 'asks'>) {
    this.#lastId = snapshot.lastId
    this.#eventTs = snapshot.ts
    this.#set(snapshot)
  }

  get lastId(): number {
    return this.#lastId
  }

  get eventTs(): number {
    return this.#eventTs
  }

  /** The book stays as it was where the event is old or does not continue it. */
  apply(event: Extract<BookEvent, { type: 'delta' }>): Continuation {
    if (event.lastId <= this.#lastId) return 'old'
    if (!this.#continues(event)) return 'gap'
    this.#set(event)
    this.#lastId = event.lastId
    this.#eventTs = Math.max(this.#eventTs, event.ts)
    this.#isFresh = false
    return 'applied'
  }

  levels(depth: number | null): { bids: BookLevel[]; asks: BookLevel[] } {
    const most = depth ?? Number.POSITIVE_INFINITY
    return {
      bids: sorted(this.#bids, -1).slice(0, most),
      asks: sorted(this.#asks, 1).slice(0, most),
    }
  }

  #continues({ firstId, previousId }: Extract<BookEvent, { type: 'delta' }>): boolean {
    if (previousId === this.#lastId) return true
    // A snapshot is taken in the midst of events, so the first one behind it may have begun before it.
    if (previousId !== undefined && !(this.#isFresh && previousId < this.#lastId)) return false
    return firstId === undefined ? previousId !== undefined : firstId <= this.#lastId + 1
  }

  #set({ bids, asks }: Pick<BookEvent, 'bids' | 'asks'>): void {
    setLevels(this.#bids, bids)
    setLevels(this.#asks, asks)
  }
}

function setLevels(side: Map<string, BookLevel>, levels: readonly BookLevel[]): void {
  for (const level of levels) {
    const key = priceKey(level[0])
    if (isZero(level[1])) side.delete(key)
    else side.set(key, level)
  }
}

function isZero(amount: string): boolean {
  return /^[0.]+$/.test(amount)
}

function sorted(side: ReadonlyMap<string, BookLevel>, direction: 1 | -1): BookLevel[] {
  return [...side].sort(([a], [b]) => direction * comparePrices(a, b)).map(([, level]) => level)
}
