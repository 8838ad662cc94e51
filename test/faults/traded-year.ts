import type { Store } from '../../src/index.ts'

/** The round trips of a trader over three years: the n-th one has closed on the n-th fifth day. */
const START = Date.UTC(2022, 0)
const EVERY_MS = 5 * 86_400_000
const SYMBOL = 'ARCHIVED/PAIR'

export function closedAt(n: number): number {
  return START + n * EVERY_MS
}

export function roundTrip(n: number) {
  const id = String(n).padStart(5, '0')
  const positionId = `archived-position-${id}`
  const order = { symbol: SYMBOL, state: 'filled' as const, quantity: '1.50', positionId }
  return {
    trade: {
      id: `archived-trade-${id}`,
      symbol: SYMBOL,
      entryPrice: '46319.00',
      openedAt: closedAt(n) - 1,
      closedAt: closedAt(n),
      positionId,
    },
    orders: [
      { ...order, id: `archived-entry-${id}`, side: 'buy' as const },
      { ...order, id: `archived-exit-${id}`, side: 'sell' as const },
    ],
    fills: [
      {
        id: `archived-fill-${id}-1`,
        orderId: `archived-entry-${id}`,
        price: '46319.00',
        quantity: '1.50',
        filledAt: closedAt(n) - 1,
      },
      {
        id: `archived-fill-${id}-2`,
        orderId: `archived-exit-${id}`,
        price: '46320.00',
        quantity: '1.50',
        filledAt: closedAt(n),
      },
    ],
  }
}

/** As one transaction; resolves when it is durable. */
export async function writeRoundTrip(store: Pick<Store, 'transaction'>, n: number): Promise<void> {
  const { trade, orders, fills } = roundTrip(n)
  await store.transaction((tx) => {
    for (const order of orders) tx.orders.put(order)
    for (const fill of fills) tx.fills.insert(fill)
    tx.trades.put(trade)
  })
}
