import { StoreError } from '../../../protocol/store-error.ts'

export interface BookGapFacts {
  readonly symbol: string
  /** The last update that the book contains. */
  readonly lastId: number
  /** The first update of the event that should have followed. */
  readonly nextId: number
  /** Up to this moment, exclusive, the book is known. */
  readonly gapTs: number
}

/** Updates are missing between two events, so what the book was afterwards can't be known. */
export function bookGap({ symbol, lastId, nextId, gapTs }: BookGapFacts): StoreError {
  return new StoreError(
    'BOOK_GAP',
    `Updates of the order book ${symbol} are missing between id ${lastId} and id ${nextId}: its state from ${new Date(gapTs).toISOString()} on, until the next snapshot, is not known. Ask for a moment before that, or append what is missing.`,
    { details: { symbol, lastId, nextId, gapTs } },
  )
}
