import type { Order } from './documents.ts'
import type { OrderReference } from './exchange.ts'

/** How an order is named to the exchange. */
export function referenceOf(order: Order): OrderReference {
  return {
    symbol: order.symbol,
    clientOrderId: order.clientOrderId ?? null,
    exchangeOrderId: order.exchangeOrderId ?? null,
    type: order.type ?? null,
    createdAtMs: order.createdAt ?? null,
  }
}
