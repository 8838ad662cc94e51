/** Reads from the store what the decisions need: what is live from memory, the rest by a few indexed queries. */
import { OPEN_ORDER_STATES } from '../../schema/built-in/trading.ts'
import type { Fill, Order, Position } from './documents.ts'
import type { ExchangeReport } from './exchange-report.ts'
import type { ReconcilableStore } from './reconcilable-store.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/** Ids in one query; the store takes up to 1,000. */
const CHUNK_IDS = 500

/** `null` for all symbols. */
export type SymbolScope = ReadonlySet<string> | null

export async function loadState(store: ReconcilableStore, scope: SymbolScope): Promise<StateSnapshot> {
  const isInScope = ({ symbol }: { readonly symbol: string }) => scope === null || scope.has(symbol)
  const positions = (await store.positions.list()).filter(isInScope)
  const orders = (await store.orders.find({ state: { in: [...OPEN_ORDER_STATES] } })).filter(isInScope)
  const history = await loadHistory(store, positions, orders)
  return { positions, orders, history, newer: [], fills: await loadFills(store, positions, orders, history) }
}

/**
 * Adds what only the exchange's report shows to be needed: orders the store has as final and the exchange as open, and
 * all fills since a position was opened that the exchange no longer holds.
 */
export async function loadReported(
  store: ReconcilableStore,
  state: StateSnapshot,
  report: ExchangeReport,
): Promise<StateSnapshot> {
  const known = new Set([...state.orders, ...state.history].map((order) => order.id))
  const clientOrderIds = new Set<string>()
  for (const { result } of report.openOrders) {
    if (result.status !== 'found') continue
    for (const { clientOrderId } of result.value) if (clientOrderId) clientOrderIds.add(clientOrderId)
  }
  const reported = await inChunks([...clientOrderIds].sort(), (ids) =>
    store.orders.find({ clientOrderId: { in: ids } }),
  )
  const unknown = reported.filter((order) => !known.has(order.id))
  const history = [...state.history, ...unknown.filter(isFinal)]
  const newer = unknown.filter((order) => !isFinal(order))

  const fills = new Map(state.fills.map((fill) => [fill.id, fill]))
  const asked = new Set(report.symbolFills.map((answer) => answer.positionId))
  for (const { id, openedAt } of state.positions) {
    if (!asked.has(id) || openedAt === undefined) continue
    for (const fill of await store.fills.list({ where: { filledAt: { gte: openedAt } } })) fills.set(fill.id, fill)
  }
  return { ...state, history, newer, fills: [...fills.values()] }
}

async function loadHistory(
  store: ReconcilableStore,
  positions: readonly Position[],
  orders: readonly Order[],
): Promise<readonly Order[]> {
  const live = new Set(orders.map((order) => order.id))
  const positionIds = new Set(positions.map((position) => position.id))
  for (const { positionId } of orders) if (positionId) positionIds.add(positionId)
  const stopIds = positions.flatMap(({ stopOrderId }) => (stopOrderId && !live.has(stopOrderId) ? [stopOrderId] : []))
  const found = [
    ...(await inChunks([...positionIds].sort(), (ids) => store.orders.find({ positionId: { in: ids } }))),
    ...(await inChunks(stopIds.sort(), (ids) => store.orders.find({ id: { in: ids } }))),
    ...(await inChunks(stopIds, (ids) => store.orders.find({ clientOrderId: { in: ids } }))),
  ]
  const unique = new Map(found.filter(isFinal).map((order) => [order.id, order]))
  return [...unique.values()]
}

async function loadFills(
  store: ReconcilableStore,
  positions: readonly Position[],
  orders: readonly Order[],
  history: readonly Order[],
): Promise<readonly Fill[]> {
  const held = new Set(positions.map((position) => position.id))
  const named = new Set(positions.map((position) => position.stopOrderId))
  const ofHeld = history.filter((order) => held.has(order.positionId ?? '') || named.has(order.id))
  const orderIds = [...orders, ...ofHeld].map((order) => order.id).sort()
  return await inChunks(orderIds, (ids) => store.fills.list({ where: { orderId: { in: ids } } }))
}

function isFinal({ state }: Order): boolean {
  return !(OPEN_ORDER_STATES as readonly string[]).includes(state)
}

async function inChunks<T>(
  ids: readonly string[],
  query: (ids: readonly string[]) => readonly T[] | Promise<readonly T[]>,
): Promise<T[]> {
  const results: T[] = []
  for (let start = 0; start < ids.length; start += CHUNK_IDS) {
    results.push(...(await query(ids.slice(start, start + CHUNK_IDS))))
  }
  return results
}
