/** Holds the store against the exchange's own book: every order and every execution once in each, or something is wrong. */

import { compare } from '../exact-decimal.ts'
import type { Book } from '../exchange/exchange-api.ts'
import type { StateDocument, StoredState } from './state-documents.ts'

export interface BookComparison {
  readonly orders: number
  readonly fills: number
  /** At the exchange and not in the store, or the other way round. */
  readonly lostOrders: readonly string[]
  /** One intent, more than one order. */
  readonly doubledOrders: readonly string[]
  readonly lostFills: readonly string[]
  /** In both, and not the same. */
  readonly differences: readonly string[]
}

export function compareWithBook({ orders, fills }: StoredState['documents'], book: Book): BookComparison {
  const exchangeOrders = groupBy(book.orders, (order) => `${order.clientOrderId}`)
  const storedOrders = groupBy(orders, (order) => String(order.clientOrderId))
  const differences: string[] = []
  for (const [id, [stored]] of storedOrders) {
    const [placed] = exchangeOrders.get(id) ?? []
    if (stored === undefined || placed === undefined) continue
    const isSame =
      stored.exchangeOrderId === placed.exchangeOrderId &&
      stored.symbol === placed.symbol &&
      stored.side === placed.side &&
      isEqual(stored.quantity, placed.quantity) &&
      isEqual(stored.filledQuantity, placed.filledQuantity) &&
      stateOf(stored) === placed.status
    if (!isSame) differences.push(`order ${id}`)
  }

  const exchangeFills = groupBy(book.fills, (fill) => `${fill.exchangeOrderId} ${fill.tradeId}`)
  const exchangeIds = new Map(orders.map((order) => [order.id, order.exchangeOrderId]))
  const storedFills = groupBy(fills, (fill) => {
    const { tradeId } = fill.metadata as { readonly tradeId: string }
    return `${exchangeIds.get(fill.orderId)} ${tradeId}`
  })
  for (const [id, [stored, ...more]] of storedFills) {
    const [executed] = exchangeFills.get(id) ?? []
    if (stored === undefined || executed === undefined) continue
    const isSame = isEqual(stored.price, executed.price) && isEqual(stored.quantity, executed.quantity)
    if (!isSame || more.length > 0) differences.push(`fill ${id}`)
  }
  return {
    orders: book.orders.length,
    fills: book.fills.length,
    lostOrders: onlyInOne(exchangeOrders, storedOrders),
    doubledOrders: [...exchangeOrders, ...storedOrders].filter(([, same]) => same.length > 1).map(([id]) => id),
    lostFills: onlyInOne(exchangeFills, storedFills),
    differences,
  }
}

/** The word of the exchange for the state of an order. */
function stateOf({ state }: StateDocument): unknown {
  return state === 'partially_filled' ? 'open' : state
}

function isEqual(a: unknown, b: unknown): boolean {
  return compare(String(a), String(b)) === 0
}

function onlyInOne(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): string[] {
  return [...[...a.keys()].filter((key) => !b.has(key)), ...[...b.keys()].filter((key) => !a.has(key))]
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
