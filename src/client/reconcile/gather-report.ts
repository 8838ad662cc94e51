/**
 * Puts the questions: open orders first, since one list answers for many orders; then, by id, the orders it does not
 * name; then the fills of those whose filled quantity is news. An order that was written a moment ago and is not found
 * is asked for again once a request that was still on its way must have arrived.
 */
import type { Clock } from './clock.ts'
import { compare } from './decimal-math.ts'
import { type PositionSide, positionSide } from './documents.ts'
import type { OrderReference } from './exchange.ts'
import type { ExchangeQueries } from './exchange-queries.ts'
import type {
  ExchangeReport,
  FillsAnswer,
  MarketRulesAnswer,
  OpenOrdersAnswer,
  OrderAnswer,
  PositionAnswer,
  PriceAnswer,
  SymbolFillsAnswer,
} from './exchange-report.ts'
import { type OrderEvidence, sortEvidence } from './order-evidence.ts'
import { groupOrders, type OrderGroup } from './order-groups.ts'
import { lastWrittenAtMs, needsFills } from './order-progress.ts'
import { referenceOf } from './order-reference.ts'
import type { ResolvedPolicy } from './policy.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/** @param listAll whether open orders of symbols that are not in use are wanted too */
export async function gatherReport(
  state: StateSnapshot,
  queries: ExchangeQueries,
  policy: ResolvedPolicy,
  clock: Clock,
  listAll: boolean,
): Promise<ExchangeReport> {
  const startedAtMs = clock.now()
  const groups = groupOrders(state)
  const gathering = new Gathering(groups, state, queries, clock, startedAtMs)
  await Promise.all([gathering.askOpenOrders(listAll), gathering.askMarkets(policy.checkPositions)])
  await gathering.askOrders(policy.settleMs)
  await Promise.all([gathering.askFills(), gathering.askSymbolFills()])
  return gathering.report()
}

class Gathering {
  readonly #groups: readonly OrderGroup[]
  readonly #state: StateSnapshot
  readonly #queries: ExchangeQueries
  readonly #clock: Clock
  readonly #startedAtMs: number
  readonly #orders: OrderAnswer[] = []
  readonly #openOrders: OpenOrdersAnswer[] = []
  readonly #fills: FillsAnswer[] = []
  readonly #symbolFills: SymbolFillsAnswer[] = []
  readonly #positions: PositionAnswer[] = []
  readonly #prices: PriceAnswer[] = []
  readonly #marketRules: MarketRulesAnswer[] = []

  constructor(
    groups: readonly OrderGroup[],
    state: StateSnapshot,
    queries: ExchangeQueries,
    clock: Clock,
    startedAtMs: number,
  ) {
    this.#groups = groups
    this.#state = state
    this.#queries = queries
    this.#clock = clock
    this.#startedAtMs = startedAtMs
  }

  report(): ExchangeReport {
    return {
      startedAtMs: this.#startedAtMs,
      orders: this.#orders,
      openOrders: this.#openOrders,
      fills: this.#fills,
      symbolFills: this.#symbolFills,
      positions: this.#positions,
      prices: this.#prices,
      marketRules: this.#marketRules,
    }
  }

  async askOpenOrders(listAll: boolean): Promise<void> {
    const ask = async (symbol: string | null) => {
      const askedAtMs = this.#clock.now()
      const result = await this.#queries.openOrders(symbol)
      this.#openOrders.push({ symbol, askedAtMs, result })
      return result.status === 'found'
    }
    if (listAll && this.#queries.listsAllOpenOrders && (await ask(null))) return
    await Promise.all(unique(this.#groups.map((group) => group.symbol)).map(ask))
  }

  async askMarkets(checkPositions: boolean): Promise<void> {
    const withPosition = this.#groups.filter((group) => group.positionId !== null)
    const symbols = unique(withPosition.map((group) => group.symbol))
    const sides = new Map<string, { readonly symbol: string; readonly side: PositionSide }>()
    for (const { position, orders } of withPosition) {
      const held = position === null ? [] : [{ symbol: position.symbol, side: position.side }]
      const entered = orders
        .filter((order) => order.purpose === 'entry')
        .map((order) => ({ symbol: order.symbol, side: positionSide(order.side) }))
      for (const each of [...held, ...entered]) sides.set(`${each.symbol}\u0000${each.side}`, each)
    }
    await Promise.all([
      ...symbols.map(async (symbol) => {
        const askedAtMs = this.#clock.now()
        this.#prices.push({ symbol, askedAtMs, result: await this.#queries.lastPrice(symbol) })
      }),
      ...symbols.map(async (symbol) => {
        const askedAtMs = this.#clock.now()
        this.#marketRules.push({ symbol, askedAtMs, result: await this.#queries.marketRules(symbol) })
      }),
      ...[...sides.values()].map(async ({ symbol, side }) => {
        const askedAtMs = this.#clock.now()
        const result = checkPositions
          ? await this.#queries.position(symbol, side)
          : ({ status: 'not-tracked' } as const)
        this.#positions.push({ symbol, side, askedAtMs, result })
      }),
    ])
  }

  async askOrders(settleMs: number): Promise<void> {
    const unlisted = this.#evidence().filter((each) => each.reports.length === 0)
    await Promise.all(unlisted.map((each) => this.#askOrder(each)))
    const timing = { startedAtMs: this.#startedAtMs }
    const unsettled = this.#evidence().filter((each) => {
      const askedAtMs = Math.max(...each.answers.map((answer) => answer.askedAtMs))
      const isAbsent = each.reports.length === 0 && each.answers.every((answer) => answer.result.status === 'not-found')
      return isAbsent && each.answers.length > 0 && askedAtMs < lastWrittenAtMs(each.order, timing) + settleMs
    })
    if (unsettled.length === 0) return
    const settledAtMs = Math.max(...unsettled.map((each) => lastWrittenAtMs(each.order, timing))) + settleMs
    await this.#clock.sleep(Math.max(0, settledAtMs - this.#clock.now()))
    await Promise.all(unsettled.map((each) => this.#askOrder(each)))
  }

  async askFills(): Promise<void> {
    await Promise.all(
      this.#evidence().map(async (evidence) => {
        const { order, reports } = evidence
        const exchangeOrderId = reports[0]?.exchangeOrderId ?? order.exchangeOrderId ?? null
        if (exchangeOrderId === null || !needsFills(evidence)) return
        const askedAtMs = this.#clock.now()
        const query = { symbol: order.symbol, exchangeOrderId, sinceMs: order.createdAt ?? null }
        this.#fills.push({ orderId: order.id, askedAtMs, result: await this.#queries.fills(query) })
      }),
    )
  }

  /** For positions the exchange does not hold: what closed them. */
  async askSymbolFills(): Promise<void> {
    const flat = this.#state.positions.filter(({ symbol, side, openedAt }) => {
      const answers = this.#positions.filter((answer) => answer.symbol === symbol && answer.side === side)
      const isFlat = answers.some(
        ({ result }) =>
          result.status === 'not-found' || (result.status === 'found' && compare(result.value.quantity, 0) === 0),
      )
      return isFlat && openedAt !== undefined
    })
    await Promise.all(
      flat.map(async ({ id, symbol, openedAt = 0 }) => {
        const askedAtMs = this.#clock.now()
        const result = await this.#queries.fills({ symbol, exchangeOrderId: null, sinceMs: openedAt })
        this.#symbolFills.push({ positionId: id, askedAtMs, result })
      }),
    )
  }

  async #askOrder({ order, isRecorded }: OrderEvidence): Promise<void> {
    const references: OrderReference[] = isRecorded
      ? [referenceOf(order)]
      : [
          { ...referenceOf(order), exchangeOrderId: order.id },
          { ...referenceOf(order), clientOrderId: order.id },
        ]
    await Promise.all(
      references.map(async (reference) => {
        if (reference.clientOrderId === null && reference.exchangeOrderId === null) return
        const askedAtMs = this.#clock.now()
        const result = await this.#queries.order(reference)
        this.#orders.push({ orderId: order.id, askedAtMs, result })
      }),
    )
  }

  #evidence(): readonly OrderEvidence[] {
    return [...sortEvidence(this.#groups, this.#state, this.report()).byOrder.values()]
  }
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort()
}
