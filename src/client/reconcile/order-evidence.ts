/** Sorts the exchange's answers by the order they are about, and finds the open orders that are about none of ours. */
import type { Fill, Order } from './documents.ts'
import type { ExchangeOrder } from './exchange.ts'
import type { ExchangeReport, FillsAnswer, OrderAnswer } from './exchange-report.ts'
import { compareText, isSameOrder, type OrderGroup } from './order-groups.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/** All that was said about one order. */
export interface OrderEvidence {
  readonly order: Order
  /** False for a stop that only its position names. */
  readonly isRecorded: boolean
  readonly reports: readonly ExchangeOrder[]
  readonly answers: readonly OrderAnswer[]
  readonly fillsAnswers: readonly FillsAnswer[]
  readonly storedFills: readonly Fill[]
  /** The exchange has listed the open orders of this symbol. */
  readonly areOpenOrdersListed: boolean
}

export interface Evidence {
  readonly byOrder: ReadonlyMap<string, OrderEvidence>
  /** Open at the exchange and none of the live orders: by symbol, then exchange order id. */
  readonly foreign: readonly ExchangeOrder[]
}

export function sortEvidence(groups: readonly OrderGroup[], state: StateSnapshot, report: ExchangeReport): Evidence {
  const listed = listedOrders(report)
  const listedSymbols = new Set(
    report.openOrders.filter((answer) => answer.result.status === 'found').map((answer) => answer.symbol),
  )
  const index = new ListedIndex(listed)
  const answersOf = groupBy(report.orders, (answer) => answer.orderId)
  const fillsAnswersOf = groupBy(report.fills, (answer) => answer.orderId)
  const storedFillsOf = groupBy(state.fills, (fill) => fill.orderId)
  const claimed = new Set<ExchangeOrder>()
  const byOrder = new Map<string, OrderEvidence>()
  for (const group of groups) {
    for (const order of group.orders) {
      const isRecorded = !(group.stop.kind === 'unrecorded' && group.stop.order === order)
      const answers = answersOf.get(order.id) ?? []
      const matches = index.candidates(order).filter((candidate) => isSameOrder(order, candidate, isRecorded))
      for (const match of matches) claimed.add(match)
      byOrder.set(order.id, {
        order,
        isRecorded,
        reports: [...matches, ...answers.flatMap(({ result }) => (result.status === 'found' ? [result.value] : []))],
        answers,
        fillsAnswers: fillsAnswersOf.get(order.id) ?? [],
        storedFills: storedFillsOf.get(order.id) ?? [],
        areOpenOrdersListed: listedSymbols.has(null) || listedSymbols.has(order.symbol),
      })
    }
  }
  // An order that was asked for by one id may be listed under the other.
  const known = new Set(
    [...byOrder.values()].flatMap(({ reports }) =>
      reports.map((each) => `${each.symbol}\u0000${each.exchangeOrderId}`),
    ),
  )
  const foreign = new Map<string, ExchangeOrder>()
  for (const order of listed) {
    const key = `${order.symbol}\u0000${order.exchangeOrderId}`
    if (order.status === 'open' && !claimed.has(order) && !known.has(key)) foreign.set(key, order)
  }
  return { byOrder, foreign: [...foreign].sort(([a], [b]) => compareText(a, b)).map(([, order]) => order) }
}

function listedOrders(report: ExchangeReport): readonly ExchangeOrder[] {
  return report.openOrders.flatMap(({ result }) => (result.status === 'found' ? result.value : []))
}

/** Finds listed orders by either id without comparing each with each. */
class ListedIndex {
  readonly #byId = new Map<string, Set<ExchangeOrder>>()

  constructor(listed: readonly ExchangeOrder[]) {
    for (const order of listed) {
      this.#add(order.exchangeOrderId, order)
      if (order.clientOrderId !== null && order.clientOrderId !== undefined) this.#add(order.clientOrderId, order)
    }
  }

  candidates(order: Order): ExchangeOrder[] {
    const found = new Set<ExchangeOrder>()
    for (const id of [order.id, order.exchangeOrderId, order.clientOrderId]) {
      if (id === null || id === undefined) continue
      for (const candidate of this.#byId.get(id) ?? []) found.add(candidate)
    }
    return [...found]
  }

  #add(id: string, order: ExchangeOrder): void {
    const orders = this.#byId.get(id)
    if (orders === undefined) this.#byId.set(id, new Set([order]))
    else orders.add(order)
  }
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
