/**
 * Why: while the process was down the exchange went on. `reconcile` brings the store up to what happened, protects what
 * is still held, and sends nothing twice. It works in rounds: read, ask, decide, carry out; and again for the symbols
 * where an order was canceled or filled by that, until nothing is left to do.
 */
import { randomUUID } from 'node:crypto'
import { traceWork } from '../tracing.ts'
import { applyGroup, cancelOrder, type Executor } from './apply-plan.ts'
import { type Clock, systemClock } from './clock.ts'
import { decide } from './decide.ts'
import type { Exchange } from './exchange.ts'
import { ExchangeQueries } from './exchange-queries.ts'
import { gatherReport } from './gather-report.ts'
import { loadReported, loadState, type SymbolScope } from './load-state.ts'
import { type ReconcilePolicy, resolvePolicy } from './policy.ts'
import type { ReconcilableStore } from './reconcilable-store.ts'
import type { GroupPlan, ReconcilePlan, UnresolvedReason } from './reconcile-plan.ts'
import { type ReconcileReport, ReportBuilder } from './reconcile-report.ts'

const MAX_ROUNDS = 6
const FIRST_PAUSE_MS = 100
/** What answers given at different moments of a moving market can bring about: worth a second look. */
const RACES: ReadonlySet<UnresolvedReason> = new Set<UnresolvedReason>([
  'POSITION_MISMATCH',
  'FLAT_UNEXPLAINED',
  'REPORTS_CONFLICT',
  'FILLS_INCOMPLETE',
  'FILLS_EXCEED_REPORT',
  'EXIT_EXCEEDS_POSITION',
  'STATE_CHANGED',
])
/** Unresolved subjects listed in the record a run leaves behind. */
const MAX_RECORDED = 100

export interface ReconcileOptions {
  /** Default: the system's. */
  readonly clock?: Clock
}

/**
 * Brings a store and an exchange together after a restart. Safe to run at any time and as often as you like; do it
 * before trading goes on, and look at `unresolved` and `outcome` first.
 *
 * - An order the exchange knows is brought up to date, with the fills the store has not seen.
 * - A position that its orders have closed becomes a trade; one they have opened or grown is written.
 * - A stop that is gone is cleared, its price trailed if the policy says so, and placed again.
 * - An intent the exchange has never heard of is rejected or sent again, as the policy says.
 * - Whatever the exchange did not answer, or not clearly, is left as it is and listed as unresolved.
 *
 * @throws StoreError `INVALID_ARGUMENT` for a policy that is none; any code for a store that fails
 *
 * @example
 * const report = await reconcile(store, ccxtExchange(binance), { trailingStopPercent: '5' })
 * if (report.outcome === 'unresolved') alert(report.unresolved.map(({ subject, reason }) => `${subject.id}: ${reason}`))
 */
export async function reconcile(
  store: ReconcilableStore,
  exchange: Exchange,
  policy: ReconcilePolicy = {},
  options: ReconcileOptions = {},
): Promise<ReconcileReport> {
  return await traceWork('reconcile', async (annotate) => {
    const report = await bringTogether(store, exchange, policy, options)
    annotate({
      'holdfast.reconcile.outcome': report.outcome,
      'holdfast.reconcile.unresolved': report.unresolved.length,
    })
    return report
  })
}

async function bringTogether(
  store: ReconcilableStore,
  exchange: Exchange,
  policy: ReconcilePolicy,
  { clock = systemClock }: ReconcileOptions,
): Promise<ReconcileReport> {
  const resolved = resolvePolicy(policy)
  const queries = new ExchangeQueries(exchange, resolved, clock)
  const builder = new ReportBuilder(clock.now(), resolved.dryRun)
  const executor: Executor = { store, exchange, queries, policy: resolved, clock }
  try {
    await runRounds(executor, builder)
  } catch (error) {
    await record(store, builder.finish(queries, clock.now()), 'failed').catch(() => undefined)
    throw error
  }
  const report = builder.finish(queries, clock.now())
  if (!resolved.dryRun) await record(store, report, report.outcome)
  return report
}

async function runRounds(executor: Executor, builder: ReportBuilder): Promise<void> {
  const { policy, clock } = executor
  let scope: SymbolScope = null
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const plan = await planRound(executor, builder, scope)
    builder.addRound(plan, scope)
    if (policy.dryRun) {
      builder.addActions(plan.foreignActions)
      for (const { actions } of plan.groups) builder.addActions(actions)
      return
    }
    // Foreign orders first: once ours are settled, their symbol may no longer be looked at.
    if (round === 1) await applyForeign(plan, executor, builder)
    const { pending, raced } = await applyPlan(plan, executor, builder)
    const again = round === 1 ? [...pending, ...raced] : pending
    if (again.length === 0) return
    if (round === MAX_ROUNDS) builder.addExhausted(pending)
    scope = new Set(again.map((group) => group.symbol))
    if (round > 1 || pending.length === 0) await clock.sleep(FIRST_PAUSE_MS * 2 ** (round - 1))
  }
}

async function planRound(
  { store, queries, policy, clock }: Executor,
  builder: ReportBuilder,
  scope: SymbolScope,
): Promise<ReconcilePlan> {
  const state = await loadState(store, scope)
  const report = await gatherReport(state, queries, policy, clock, scope === null)
  if (scope === null) builder.setLoaded(state)
  return decide(await loadReported(store, state, report), report, policy, clock.now())
}

/** Returns the groups that need another look: for what was done to them, or for what may have been a race. */
async function applyPlan(
  plan: ReconcilePlan,
  executor: Executor,
  builder: ReportBuilder,
): Promise<{ readonly pending: readonly GroupPlan[]; readonly raced: readonly GroupPlan[] }> {
  const pending: GroupPlan[] = []
  const raced: GroupPlan[] = []
  for (const group of plan.groups) {
    const result = await applyGroup(group, executor)
    builder.addApplied(group, result)
    if (result.needsFollowUp) pending.push(group)
    else if ([...group.unresolved, ...result.unresolved].some(({ reason }) => RACES.has(reason))) raced.push(group)
  }
  return { pending, raced }
}

async function applyForeign(plan: ReconcilePlan, executor: Executor, builder: ReportBuilder): Promise<void> {
  for (const action of plan.foreignActions) {
    if (action.kind !== 'cancel-order') continue
    const failure = await cancelOrder(action, executor)
    if (failure === null) builder.addForeignCanceled(action)
    else builder.addUnresolved(failure)
  }
}

async function record(
  store: ReconcilableStore,
  report: ReconcileReport,
  outcome: ReconcileReport['outcome'] | 'failed',
): Promise<void> {
  const unresolved = report.unresolved.slice(0, MAX_RECORDED).map(({ subject, reason, errorCode }) => ({
    kind: subject.kind,
    id: subject.id,
    symbol: subject.symbol,
    reason,
    ...(errorCode === undefined ? {} : { errorCode }),
  }))
  await store.recoveryMetrics.insert({
    id: `reconcile-${report.startedAt}-${randomUUID()}`,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    outcome,
    counts: { ...report.counts },
    ...(unresolved.length === 0 ? {} : { metadata: { unresolved } }),
  })
  await store.audit.append({ actor: 'reconcile', event: 'reconcile.run', data: { outcome, ...report.counts } })
}
