/**
 * Worlds a crash can leave behind: for each position an exchange that went on (fills, cancels, expired stops) and a
 * store that stopped at any point before. The exchange's side is what is true; amounts are whole numbers of cents and
 * thousandths, so that a test can compute with integers what the decimals must come to.
 */
import fc from 'fast-check'
import type { Fill, Order, Position } from '../../../src/client/reconcile/documents.ts'
import type { ReconcilePolicy } from '../../../src/client/reconcile/policy.ts'
import { MemoryStore } from './memory-store.ts'
import { PaperExchange } from './paper-exchange.ts'

export const START = 1_000_000
export const CRASHED_AT = 2_000_000

const cents = fc.integer({ min: 5_000, max: 20_000 })
const thousandths = fc.integer({ min: 1, max: 3_000 })

/** How far the stop got, and what the exchange did with it. */
type StopFate =
  | 'none'
  | 'intent-unsent'
  | 'intent-sent'
  | 'open'
  | 'unrecorded'
  | 'expired'
  | 'partly-filled'
  | 'filled'

export interface Scenario {
  readonly symbol: string
  readonly side: 'long' | 'short'
  /** Executions of the entry order, in cents and thousandths, and how many of them the store has seen. */
  readonly entries: readonly { readonly price: number; readonly quantity: number }[]
  readonly seen: number
  readonly isEntrySent: boolean
  readonly isEntryCanceled: boolean
  readonly rest: number
  readonly stop: StopFate
  readonly stopPrice: number
  readonly stopFillPrice: number
  readonly isStopNamed: boolean
  readonly isStopPriceKnown: boolean
}

export const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    symbol: fc.constantFrom('BTC/USDT', 'ETH/USDT', 'SOL/USDT'),
    side: fc.constantFrom('long' as const, 'short' as const),
    entries: fc.array(fc.record({ price: cents, quantity: thousandths }), { maxLength: 4 }),
    seen: fc.nat({ max: 4 }),
    isEntrySent: fc.boolean(),
    isEntryCanceled: fc.boolean(),
    rest: fc.constantFrom(0, 0, 7),
    stop: fc.constantFrom<StopFate>(
      'none',
      'intent-unsent',
      'intent-sent',
      'open',
      'unrecorded',
      'expired',
      'partly-filled',
      'filled',
    ),
    stopPrice: cents,
    stopFillPrice: cents,
    isStopNamed: fc.boolean(),
    isStopPriceKnown: fc.boolean(),
  })
  .map((drawn) => {
    const seen = Math.min(drawn.seen, drawn.entries.length)
    // A stop exists only beside a position the store has seen.
    return { ...drawn, seen, stop: seen === 0 ? 'none' : drawn.stop }
  })

export interface World {
  readonly store: MemoryStore
  readonly exchange: PaperExchange
}

export const policy: fc.Arbitrary<ReconcilePolicy> = fc.record(
  {
    trailingStopPercent: fc.constantFrom('2.5', '10', '33.33'),
    onUnknownIntent: fc.constantFrom('reject' as const, 'resubmit' as const),
    onForeignOrder: fc.constantFrom('report' as const, 'cancel' as const),
    onBreachedStop: fc.constantFrom('report' as const, 'exit' as const),
    tickSize: fc.constantFrom({}, { 'BTC/USDT': '0.01', 'ETH/USDT': '0.5' }),
  },
  { requiredKeys: [] },
)

export const prices = fc.record({ 'BTC/USDT': cents, 'ETH/USDT': cents, 'SOL/USDT': cents })

/** One order at the exchange that nobody told the store about, or none. */
export const foreign = fc.option(fc.constantFrom('BTC/USDT', 'ETH/USDT'))

export function buildWorld(
  scenarios: readonly Scenario[],
  last: Readonly<Record<string, number>>,
  foreignSymbol: string | null,
  keepsPositions: boolean,
): World {
  const exchange = new PaperExchange()
  exchange.listAllOpenOrders()
  if (keepsPositions) exchange.holdWhatWasFilled()
  const positions: Position[] = []
  const orders: Order[] = []
  const fills: Fill[] = []
  for (const [symbol, price] of Object.entries(last)) exchange.prices.set(symbol, money(price))
  scenarios.forEach((each, index) => {
    const built = buildPosition(`P${index}`, each, exchange)
    positions.push(...built.positions)
    orders.push(...built.orders)
    fills.push(...built.fills)
  })
  if (foreignSymbol !== null) {
    exchange.rest({ clientOrderId: 'web-1', symbol: foreignSymbol, side: 'buy', quantity: '1' })
  }
  return { store: new MemoryStore({ positions, orders, fills }), exchange }
}

function buildPosition(id: string, drawn: Scenario, exchange: PaperExchange) {
  const { symbol, side, entries, seen } = drawn
  const entryId = `${id}-entry`
  const quantity = total(entries) + drawn.rest || 1
  const isSent = drawn.isEntrySent || entries.length > 0
  const [opening, closing] = side === 'long' ? (['buy', 'sell'] as const) : (['sell', 'buy'] as const)
  const isIntent = seen === 0 && !(drawn.isEntrySent && drawn.rest > 0)
  const sentId = `x-${entryId}`
  if (isSent) {
    exchange.rest({
      clientOrderId: entryId,
      exchangeOrderId: sentId,
      symbol,
      side: opening,
      quantity: amount(quantity),
    })
    entries.forEach((entry, index) => {
      exchange.fill(sentId, amount(entry.quantity), money(entry.price), START + 1 + index)
    })
    if (drawn.isEntryCanceled && total(entries) < quantity) exchange.end(sentId, 'canceled')
  }
  const known = entries.slice(0, seen)
  const held = total(known)
  const fills = exchange.fills
    .filter((fill) => fill.exchangeOrderId === sentId)
    .slice(0, seen)
    .map(
      (fill): Fill => ({
        id: `${entryId}:${fill.tradeId}`,
        orderId: entryId,
        symbol,
        side: opening,
        price: fill.price,
        quantity: fill.quantity,
        filledAt: fill.filledAt,
      }),
    )
  const entry: Order = {
    id: entryId,
    clientOrderId: entryId,
    exchangeOrderId: isIntent ? null : sentId,
    symbol,
    side: opening,
    type: 'limit',
    purpose: 'entry',
    state: isIntent ? 'intent' : held === quantity ? 'filled' : held > 0 ? 'partially_filled' : 'open',
    quantity: amount(quantity),
    filledQuantity: amount(held),
    positionId: id,
    createdAt: START,
    updatedAt: START,
  }
  if (held === 0) return { positions: [], orders: [entry], fills }

  const position: Position = {
    id,
    symbol,
    side,
    quantity: amount(held),
    // Rounded as a bot may have done it; what the fills cost is what counts.
    entryPrice: money(Math.round(known.reduce((sum, each) => sum + each.price * each.quantity, 0) / held)),
    currentStop: drawn.isStopPriceKnown ? money(drawn.stopPrice) : null,
    stopOrderId: drawn.stop !== 'none' && drawn.isStopNamed ? `${id}-stop` : null,
    openedAt: START,
    updatedAt: START,
  }
  if (drawn.stop === 'none') return { positions: [position], orders: [entry], fills }
  const stop: Order = {
    id: `${id}-stop`,
    clientOrderId: `${id}-stop`,
    exchangeOrderId: drawn.stop.startsWith('intent') ? null : `x-${id}-stop`,
    symbol,
    side: closing,
    type: 'stop',
    purpose: 'stop',
    state: drawn.stop.startsWith('intent') ? 'intent' : 'open',
    quantity: amount(held),
    stopPrice: money(drawn.stopPrice),
    filledQuantity: '0',
    reduceOnly: true,
    positionId: id,
    createdAt: START,
    updatedAt: START,
  }
  if (drawn.stop !== 'intent-unsent') {
    const stopId = `x-${id}-stop`
    const request = { clientOrderId: stop.id, exchangeOrderId: stopId, symbol, side: closing }
    exchange.rest({ ...request, quantity: amount(held), stopPrice: money(drawn.stopPrice) })
    if (drawn.stop === 'expired') exchange.end(stopId, 'expired')
    const filled = drawn.stop === 'filled' ? held : drawn.stop === 'partly-filled' ? Math.floor(held / 2) : 0
    if (filled > 0) exchange.fill(stopId, amount(filled), money(drawn.stopFillPrice), START + 100)
  }
  // A stop the store never wrote down, but whose id the position has.
  const isRecorded = drawn.stop !== 'unrecorded'
  const named = isRecorded ? position : { ...position, stopOrderId: `${id}-stop` }
  return { positions: [named], orders: isRecorded ? [entry, stop] : [entry], fills }
}

export function money(value: number): string {
  return `${Math.floor(value / 100)}.${String(value % 100).padStart(2, '0')}`
}

export function amount(value: number): string {
  return `${Math.floor(value / 1_000)}.${String(value % 1_000).padStart(3, '0')}`
}

function total(entries: readonly { readonly quantity: number }[]): number {
  return entries.reduce((sum, { quantity }) => sum + quantity, 0)
}
