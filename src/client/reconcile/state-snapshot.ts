/** What the store says: the one input of every decision beside the exchange's report. */
import type { Fill, Order, Position } from './documents.ts'

export interface StateSnapshot {
  readonly positions: readonly Position[]
  /** Orders that may still change at the exchange. */
  readonly orders: readonly Order[]
  /** Final orders of these positions, and those behind open orders the exchange named. */
  readonly history: readonly Order[]
  /** Orders that became live after the others were read: somebody trades meanwhile. They are nobody's foreign orders. */
  readonly newer: readonly Order[]
  /** Known fills of `orders` and `history`, and for positions the exchange no longer holds all since they were opened. */
  readonly fills: readonly Fill[]
}
