/** What a run found and did. */
import type { AppliedGroup } from './apply-plan.ts'
import type { ExchangeQueries } from './exchange-queries.ts'
import type { SymbolScope } from './load-state.ts'
import type {
  Decision,
  DecisionCode,
  ForeignOrder,
  GroupPlan,
  ReconcileAction,
  ReconcilePlan,
  Subject,
  Unresolved,
  UnresolvedReason,
} from './reconcile-plan.ts'
import type { StateSnapshot } from './state-snapshot.ts'

export interface ReconcileCounts {
  readonly positions: number
  readonly orders: number
  readonly rounds: number
  readonly queries: number
  readonly queriesFailed: number
  readonly ordersUpdated: number
  readonly ordersAdopted: number
  readonly fillsImported: number
  readonly intentsRejected: number
  readonly intentsResubmitted: number
  readonly positionsOpened: number
  readonly positionsClosed: number
  readonly stopsCleared: number
  readonly stopsPlaced: number
  readonly stopsCanceled: number
  readonly exitsPlaced: number
  readonly foreignOrders: number
  readonly foreignOrdersCanceled: number
  readonly unresolved: number
}

export interface ReconcileReport {
  /** `clean`: nothing to do. `recovered`: done, all settled. `unresolved`: some of it needs a person, or another run. */
  readonly outcome: 'clean' | 'recovered' | 'unresolved'
  readonly dryRun: boolean
  /** Unix milliseconds. */
  readonly startedAt: number
  readonly durationMs: number
  readonly counts: ReconcileCounts
  readonly decisions: readonly Decision[]
  readonly unresolved: readonly Unresolved[]
  readonly foreignOrders: readonly ForeignOrder[]
  /** What was carried out, or would have been in a dry run, with whole documents: don't log it. */
  readonly actions: readonly ReconcileAction[]
}

/** Decisions that only the exchange can make true. */
const EXCHANGE_DECISIONS: ReadonlySet<DecisionCode> = new Set<DecisionCode>([
  'STOP_PLACED',
  'STOP_REPLACED',
  'STOP_CANCELED',
  'EXIT_PLACED',
  'INTENT_RESUBMITTED',
])

export class ReportBuilder {
  readonly #startedAt: number
  readonly #dryRun: boolean
  readonly #decisions: Decision[] = []
  readonly #unresolved: Unresolved[] = []
  readonly #actions: ReconcileAction[] = []
  /** Groups that an earlier round has changed. */
  readonly #touchedGroups = new Set<string>()
  #foreignOrders: readonly ForeignOrder[] = []
  #positions = 0
  #orders = 0
  #rounds = 0

  constructor(startedAt: number, dryRun: boolean) {
    this.#startedAt = startedAt
    this.#dryRun = dryRun
  }

  setLoaded(state: StateSnapshot): void {
    this.#positions = state.positions.length
    this.#orders = state.orders.length
  }

  /** A later round looks at its symbols again, so what was unresolved there before is judged anew. */
  addRound(plan: ReconcilePlan, scope: SymbolScope): void {
    this.#rounds += 1
    if (scope === null) {
      this.#foreignOrders = plan.foreignOrders
      this.#unresolved.push(...plan.unresolved)
    }
    const unresolved = plan.groups.flatMap((group) =>
      group.unresolved.map((each) => ({ ...each, untouched: each.untouched && !this.#touchedGroups.has(group.key) })),
    )
    const again = new Set(unresolved.map((each) => keyOf(each.subject)))
    const kept = this.#unresolved.filter((each) => !again.has(keyOf(each.subject)) && !isRetried(each, scope))
    this.#unresolved.length = 0
    this.#unresolved.push(...kept, ...unresolved)
    if (this.#dryRun) for (const group of plan.groups) this.#decisions.push(...group.decisions)
  }

  addApplied(group: GroupPlan, { unresolved, applied }: AppliedGroup): void {
    this.#actions.push(...applied)
    this.#unresolved.push(
      ...unresolved.map((each) => ({ ...each, untouched: each.untouched && !this.#touchedGroups.has(group.key) })),
    )
    if (applied.length > 0) this.#touchedGroups.add(group.key)
    const failed = new Map(unresolved.map((each) => [keyOf(each.subject), each]))
    for (const decision of group.decisions) {
      const failure = failed.get(keyOf(decision.subject))
      const wasCarriedOut = failure === undefined || (!failure.untouched && !EXCHANGE_DECISIONS.has(decision.code))
      if (wasCarriedOut) this.#decisions.push(decision)
    }
  }

  addForeignCanceled(action: Extract<ReconcileAction, { kind: 'cancel-order' }>): void {
    this.#actions.push(action)
    this.#decisions.push({ code: 'FOREIGN_ORDER_CANCELED', subject: action.subject })
  }

  addActions(actions: readonly ReconcileAction[]): void {
    this.#actions.push(...actions)
  }

  addUnresolved(unresolved: Unresolved): void {
    this.#unresolved.push(unresolved)
  }

  addExhausted(groups: readonly GroupPlan[]): void {
    for (const { decisions } of groups) {
      for (const { subject } of decisions) {
        this.#unresolved.push({ subject, reason: 'ROUNDS_EXHAUSTED', untouched: false })
      }
    }
  }

  finish(queries: Pick<ExchangeQueries, 'asked' | 'failed'>, now: number): ReconcileReport {
    const unresolved = uniqueUnresolved(this.#unresolved)
    const isClean = this.#actions.length === 0
    return {
      outcome: unresolved.length > 0 ? 'unresolved' : isClean ? 'clean' : 'recovered',
      dryRun: this.#dryRun,
      startedAt: this.#startedAt,
      durationMs: Math.max(0, now - this.#startedAt),
      counts: this.#counts(queries, unresolved.length),
      decisions: [...this.#decisions],
      unresolved,
      foreignOrders: this.#foreignOrders,
      actions: [...this.#actions],
    }
  }

  #counts({ asked, failed }: Pick<ExchangeQueries, 'asked' | 'failed'>, unresolved: number): ReconcileCounts {
    const count = (...codes: DecisionCode[]) => this.#decisions.filter(({ code }) => codes.includes(code)).length
    return {
      positions: this.#positions,
      orders: this.#orders,
      rounds: this.#rounds,
      queries: asked,
      queriesFailed: failed,
      ordersUpdated: count('ORDER_UPDATED'),
      ordersAdopted: count('ORDER_ADOPTED'),
      fillsImported: count('FILL_IMPORTED'),
      intentsRejected: count('INTENT_REJECTED'),
      intentsResubmitted: count('INTENT_RESUBMITTED'),
      positionsOpened: count('POSITION_OPENED'),
      positionsClosed: count('POSITION_CLOSED'),
      stopsCleared: count('STOP_CLEARED'),
      stopsPlaced: count('STOP_PLACED'),
      stopsCanceled: count('STOP_REPLACED', 'STOP_CANCELED'),
      exitsPlaced: count('EXIT_PLACED'),
      foreignOrders: this.#foreignOrders.length,
      foreignOrdersCanceled: count('FOREIGN_ORDER_CANCELED'),
      unresolved,
    }
  }
}

function keyOf({ kind, id, symbol }: Subject): string {
  return `${kind}\u0000${symbol}\u0000${id}`
}

/** What the exchange said to an order or a cancel; a later round does not take it back. */
const EXCHANGE_REASONS: ReadonlySet<UnresolvedReason> = new Set<UnresolvedReason>([
  'SUBMIT_UNKNOWN',
  'SUBMIT_REFUSED',
  'CANCEL_FAILED',
])

/** True for what a later round has looked at again and found in order. */
function isRetried({ subject, reason }: Unresolved, scope: SymbolScope): boolean {
  return !EXCHANGE_REASONS.has(reason) && subject.kind !== 'symbol' && scope?.has(subject.symbol) === true
}

function uniqueUnresolved(all: readonly Unresolved[]): readonly Unresolved[] {
  return [...new Map(all.map((each) => [`${keyOf(each.subject)}\u0000${each.reason}`, each])).values()]
}
