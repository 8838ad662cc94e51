/** States and reports for tests of decisions: a long position of 2 BTC, its entry order and its stop. */
import { decide } from '../../../src/client/reconcile/decide.ts'
import type { Fill, Order, Position } from '../../../src/client/reconcile/documents.ts'
import type { ExchangeFill, ExchangeOrder } from '../../../src/client/reconcile/exchange.ts'
import type { ExchangeReport } from '../../../src/client/reconcile/exchange-report.ts'
import { type ReconcilePolicy, resolvePolicy } from '../../../src/client/reconcile/policy.ts'
import type { ReconcilePlan, StateWrite } from '../../../src/client/reconcile/reconcile-plan.ts'
import type { StateSnapshot } from '../../../src/client/reconcile/state-snapshot.ts'

export const SYMBOL = 'BTC/USDT'
export const OPENED_AT = 1_000_000
export const NOW = 2_000_000

export function position(changes: Partial<Position> = {}): Position {
  return {
    id: 'BTC-1',
    symbol: SYMBOL,
    side: 'long',
    quantity: '2',
    entryPrice: '100.00',
    currentStop: '90.00',
    stopOrderId: 'stop-1',
    openedAt: OPENED_AT,
    updatedAt: OPENED_AT,
    ...changes,
  }
}

export function order(changes: Partial<Order> = {}): Order {
  return {
    id: 'entry-1',
    clientOrderId: 'entry-1',
    exchangeOrderId: 'x-entry-1',
    symbol: SYMBOL,
    side: 'buy',
    type: 'limit',
    purpose: 'entry',
    state: 'open',
    quantity: '2',
    price: '100.00',
    filledQuantity: '0',
    positionId: 'BTC-1',
    createdAt: OPENED_AT,
    updatedAt: OPENED_AT,
    ...changes,
  }
}

/** The stop that the position names. */
export function stop(changes: Partial<Order> = {}): Order {
  return order({
    id: 'stop-1',
    clientOrderId: 'stop-1',
    exchangeOrderId: 'x-stop-1',
    side: 'sell',
    type: 'stop',
    purpose: 'stop',
    price: null,
    stopPrice: '90.00',
    reduceOnly: true,
    ...changes,
  })
}

export function fill(changes: Partial<Fill> = {}): Fill {
  return {
    id: 'entry-1:t1',
    orderId: 'entry-1',
    symbol: SYMBOL,
    side: 'buy',
    price: '100.00',
    quantity: '2',
    filledAt: OPENED_AT,
    ...changes,
  }
}

/** How the exchange reports an order of the store: open and unfilled, unless told otherwise. */
export function reported(known: Order, changes: Partial<ExchangeOrder> = {}): ExchangeOrder {
  return {
    exchangeOrderId: known.exchangeOrderId ?? `x-${known.id}`,
    clientOrderId: known.clientOrderId ?? null,
    symbol: known.symbol,
    side: known.side,
    status: 'open',
    quantity: known.quantity,
    filledQuantity: '0',
    stopPrice: known.stopPrice ?? null,
    ...changes,
  }
}

export function reportedFill(known: Order, changes: Partial<ExchangeFill> = {}): ExchangeFill {
  return {
    tradeId: 't1',
    exchangeOrderId: known.exchangeOrderId ?? `x-${known.id}`,
    symbol: known.symbol,
    side: known.side,
    price: '100.00',
    quantity: known.quantity,
    filledAt: OPENED_AT + 1_000,
    ...changes,
  }
}

export function state(changes: Partial<StateSnapshot> = {}): StateSnapshot {
  return { positions: [], orders: [], history: [], newer: [], fills: [], ...changes }
}

const ASKED_AT = NOW - 100
const asked = { askedAtMs: ASKED_AT }
export const FAILED = { status: 'failed', code: 'EXCHANGE_ERROR' } as const
export const NOT_FOUND = { status: 'not-found' } as const

/** An exchange with no open orders, a last price of 100, no rules and no positions of its own. */
export function report(changes: Partial<ExchangeReport> = {}): ExchangeReport {
  return {
    startedAtMs: NOW - 200,
    orders: [],
    openOrders: [listed([])],
    fills: [],
    symbolFills: [],
    positions: [{ symbol: SYMBOL, side: 'long', ...asked, result: { status: 'not-tracked' } }],
    prices: [price('100')],
    marketRules: [{ symbol: SYMBOL, ...asked, result: NOT_FOUND }],
    ...changes,
  }
}

export function listed(orders: readonly ExchangeOrder[]): ExchangeReport['openOrders'][number] {
  return { symbol: SYMBOL, ...asked, result: { status: 'found', value: orders } }
}

export function price(value: string): ExchangeReport['prices'][number] {
  return { symbol: SYMBOL, ...asked, result: { status: 'found', value } }
}

export function rules(tickSize: string, lotSize = '0.001', contractSize: string | null = null, inverse = false) {
  const value = { tickSize, lotSize, contractSize, inverse }
  return { symbol: SYMBOL, ...asked, result: { status: 'found', value } } as const
}

export function holds(quantity: string, side: 'long' | 'short' = 'long'): ExchangeReport['positions'][number] {
  const result =
    quantity === '0' ? NOT_FOUND : ({ status: 'found', value: { symbol: SYMBOL, side, quantity } } as const)
  return { symbol: SYMBOL, side, ...asked, result }
}

export function answer(
  orderId: string,
  result: ExchangeOrder | ExchangeReport['orders'][number]['result'],
  askedAtMs = ASKED_AT,
): ExchangeReport['orders'][number] {
  return { orderId, askedAtMs, result: 'exchangeOrderId' in result ? { status: 'found', value: result } : result }
}

export function fillsOf(orderId: string, fills: readonly ExchangeFill[]): ExchangeReport['fills'][number] {
  return { orderId, ...asked, result: { status: 'found', value: fills } }
}

export function fillsSince(positionId: string, fills: readonly ExchangeFill[]): ExchangeReport['symbolFills'][number] {
  return { positionId, ...asked, result: { status: 'found', value: fills } }
}

export function plan(
  snapshot: StateSnapshot,
  exchangeReport: ExchangeReport,
  policy: ReconcilePolicy = {},
): ReconcilePlan {
  return decide(snapshot, exchangeReport, resolvePolicy(policy), NOW)
}

export function writesOf({ groups }: ReconcilePlan): readonly StateWrite[] {
  return groups.flatMap(({ actions }) => actions.flatMap((each) => (each.kind === 'commit' ? each.writes : [])))
}

export function orderAfter(decided: ReconcilePlan, id: string): Order | undefined {
  for (const write of writesOf(decided)) {
    if ((write.kind === 'put-order' || write.kind === 'insert-order') && write.order.id === id) return write.order
  }
  return undefined
}

export function positionAfter(decided: ReconcilePlan): Position | undefined {
  for (const write of writesOf(decided)) if (write.kind === 'put-position') return write.position
  return undefined
}

export function fillsAdded(decided: ReconcilePlan): readonly Fill[] {
  return writesOf(decided).flatMap((write) => (write.kind === 'insert-fill' ? [write.fill] : []))
}

export function tradeOf(decided: ReconcilePlan) {
  for (const write of writesOf(decided)) if (write.kind === 'put-trade') return write.trade
  return undefined
}

export function submitted(decided: ReconcilePlan): readonly Order[] {
  return decided.groups.flatMap(({ actions }) =>
    actions.flatMap((each) => (each.kind === 'submit-order' ? [each.order] : [])),
  )
}

export function canceled(decided: ReconcilePlan): readonly string[] {
  return decided.groups.flatMap(({ actions }) =>
    actions.flatMap((each) => (each.kind === 'cancel-order' ? [each.subject.id] : [])),
  )
}

export function codes({ groups }: ReconcilePlan): readonly string[] {
  return groups.flatMap(({ decisions }) => decisions.map((each) => each.code))
}

/** Each unresolved subject with its reason, and that nothing was to be done about any group it is in. */
export function unresolved({ groups, unresolved: symbols }: ReconcilePlan): Record<string, string> {
  return Object.fromEntries(
    [...groups.flatMap((group) => group.unresolved), ...symbols].map(({ subject, reason }) => [subject.id, reason]),
  )
}
