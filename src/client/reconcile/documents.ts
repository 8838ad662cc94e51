/** The documents `reconcile` reads and writes, by short names. */
import type { fills, orders, positions, trades } from '../../schema/built-in/trading.ts'
import type { DocumentOf } from '../../schema/define-collection.ts'

export type Position = DocumentOf<typeof positions>
export type Order = DocumentOf<typeof orders>
export type Fill = DocumentOf<typeof fills>
export type Trade = DocumentOf<typeof trades>

export type PositionSide = Position['side']
export type OrderSide = Order['side']
export type OrderState = Order['state']
export type OrderType = NonNullable<Order['type']>

/** The side of an order that opens, or adds to, a position. */
export function entrySide(side: PositionSide): OrderSide {
  return side === 'long' ? 'buy' : 'sell'
}

/** The side of an order that reduces a position. */
export function exitSide(side: PositionSide): OrderSide {
  return side === 'long' ? 'sell' : 'buy'
}

/** The side of the position an entry order opens. */
export function positionSide(side: OrderSide): PositionSide {
  return side === 'buy' ? 'long' : 'short'
}
