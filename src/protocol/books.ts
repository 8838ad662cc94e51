/** What the threads say to each other about order books. */
import type { BookEvent, BookLevel } from '../schema/book-event.ts'

export const BOOK_METHODS = [
  'bookAppend',
  'bookAt',
  'bookEvents',
  'bookCheckpoint',
] as const satisfies readonly (keyof BookMethods)[]

/** The book of a symbol at a moment, best levels first. */
export interface OrderBook {
  readonly symbol: string
  /** The moment that was asked for. */
  readonly ts: number
  /** When its last event happened. */
  readonly eventTs: number
  /** The id of the last update in it. */
  readonly lastId: number
  /** Prices falling; `[price, amount]` with the digits that the exchange sent. */
  readonly bids: readonly BookLevel[]
  /** Prices rising. */
  readonly asks: readonly BookLevel[]
}

export interface BookAppend {
  readonly symbol: string
  readonly events: readonly BookEvent[]
}

/** Events in the order of time, then of ids. */
export interface BookEventPage {
  readonly events: readonly BookEvent[]
  /** Where to go on; null at the end. */
  readonly next: number | null
}

export interface BookCheckpointResult {
  /** Null when no book could be built: no snapshot yet, or a gap behind the last one. */
  readonly lastId: number | null
}

export interface BookMethods {
  /** One transaction for all of them. Events that are there already change nothing. */
  bookAppend(request: { readonly appends: readonly BookAppend[] }): Promise<void>
  bookAt(request: { readonly symbol: string; readonly ts: number; readonly depth: number | null }): Promise<OrderBook>
  bookEvents(request: {
    readonly symbol: string
    readonly from: number
    readonly to: number
    /** A page ends with the time in which it reaches so many levels. */
    readonly chunk: number
  }): Promise<BookEventPage>
  bookCheckpoint(request: { readonly symbol: string }): Promise<BookCheckpointResult>
}
