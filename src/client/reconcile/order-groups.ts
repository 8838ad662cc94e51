/**
 * Why: a fill changes an order and its position together, so they are decided together. A group is a position with its
 * orders, or an order without a position; what can't be settled about one member leaves the whole group as it is.
 */
import type { Order, Position } from './documents.ts'
import { exitSide } from './documents.ts'
import type { ExchangeOrder } from './exchange.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/** What `stopOrderId` of a position names. */
export type StopReference =
  | { readonly kind: 'none' }
  | { readonly kind: 'live'; readonly order: Order }
  | { readonly kind: 'final'; readonly order: Order }
  /** The store has no such order: `order` is how it would be recorded, should the exchange know it by either id. */
  | { readonly kind: 'unrecorded'; readonly order: Order }

export interface OrderGroup {
  readonly key: string
  readonly symbol: string
  readonly positionId: string | null
  readonly position: Position | null
  /** Live orders by id, an unrecorded stop among them. */
  readonly orders: readonly Order[]
  readonly history: readonly Order[]
  readonly stop: StopReference
  /** Two positions name the same stop order. */
  readonly isStopShared: boolean
}

/** The groups of a snapshot, in the order of their keys; the order of the documents does not matter. */
export function groupOrders(state: StateSnapshot): readonly OrderGroup[] {
  const positions = byId(state.positions)
  const live = byId(state.orders)
  const history = byId(state.history)
  const stops = new Map(positions.map((position) => [position.id, findStop(position, live, history)]))
  const ownerOfStop = new Map<string, string>()
  const shared = new Set<string>()
  for (const position of positions) {
    const stop = stops.get(position.id)
    if (stop === undefined || stop.kind === 'none') continue
    const owner = ownerOfStop.get(stop.order.id)
    if (owner === undefined) ownerOfStop.set(stop.order.id, position.id)
    else shared.add(owner).add(position.id)
  }

  const members = new Map<string, Order[]>()
  for (const position of positions) members.set(position.id, [])
  const loners: Order[] = []
  for (const order of live) {
    const positionId = ownerOfStop.get(order.id) ?? order.positionId
    if (positionId === null || positionId === undefined) loners.push(order)
    else members.set(positionId, [...(members.get(positionId) ?? []), order])
  }

  const positionOf = new Map(positions.map((position) => [position.id, position]))
  const groups: OrderGroup[] = loners.map((order) => ({
    key: `order:${order.id}`,
    symbol: order.symbol,
    positionId: null,
    position: null,
    orders: [order],
    history: [],
    stop: { kind: 'none' },
    isStopShared: false,
  }))
  for (const [positionId, orders] of members) {
    const position = positionOf.get(positionId) ?? null
    const stop = stops.get(positionId) ?? { kind: 'none' }
    groups.push({
      key: `position:${positionId}`,
      symbol: position?.symbol ?? (orders[0] as Order).symbol,
      positionId,
      position,
      orders: stop.kind === 'unrecorded' ? [...orders, stop.order] : orders,
      history: history.filter((order) => order.positionId === positionId || isSame(stop, order)),
      stop,
      isStopShared: shared.has(positionId),
    })
  }
  return groups.sort((a, b) => compareText(a.key, b.key))
}

/** True when the exchange's order is this one. `isRecorded: false`: the id may be the exchange's or the client's. */
export function isSameOrder(order: Order, report: ExchangeOrder, isRecorded: boolean): boolean {
  if (order.symbol !== report.symbol) return false
  if (!isRecorded) return order.id === report.exchangeOrderId || order.id === report.clientOrderId
  return (
    (isText(order.exchangeOrderId) && order.exchangeOrderId === report.exchangeOrderId) ||
    (isText(order.clientOrderId) && order.clientOrderId === report.clientOrderId)
  )
}

/** True for the order that stands for a stop only the position names. */
export function isUnrecordedStop({ stop }: OrderGroup, order: Order): boolean {
  return stop.kind === 'unrecorded' && stop.order === order
}

/** Sorts by code unit: the same everywhere, whatever the locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function findStop(position: Position, live: readonly Order[], history: readonly Order[]): StopReference {
  const id = position.stopOrderId
  if (!isText(id)) return { kind: 'none' }
  const named = (orders: readonly Order[]) =>
    orders.find((order) => order.id === id) ??
    orders.find(
      (order) => order.symbol === position.symbol && (order.exchangeOrderId === id || order.clientOrderId === id),
    )
  const liveOrder = named(live)
  if (liveOrder !== undefined) return { kind: 'live', order: liveOrder }
  const finalOrder = named(history)
  if (finalOrder !== undefined) return { kind: 'final', order: finalOrder }
  return {
    kind: 'unrecorded',
    order: {
      id,
      symbol: position.symbol,
      side: exitSide(position.side),
      type: 'stop',
      purpose: 'stop',
      state: 'open',
      quantity: position.quantity,
      stopPrice: position.currentStop ?? null,
      filledQuantity: '0',
      positionId: position.id,
      ...(position.updatedAt === undefined ? {} : { updatedAt: position.updatedAt }),
    },
  }
}

function isSame(stop: StopReference, order: Order): boolean {
  return stop.kind === 'final' && stop.order.id === order.id
}

function byId<T extends { readonly id: string }>(documents: readonly T[]): readonly T[] {
  const unique = new Map(documents.map((document) => [document.id, document]))
  return [...unique.values()].sort((a, b) => compareText(a.id, b.id))
}

function isText(value: string | null | undefined): value is string {
  return value !== null && value !== undefined
}
