/**
 * What became of one order: pure, from what the store knows and what the exchange said. It either reaches a conclusion
 * that all the evidence supports, or throws `UnresolvedError`. The filled quantity only ever grows, and every part of it
 * is backed by a fill.
 */
import type { Decimal } from '../../schema/decimal.ts'
import { compare, maximum, subtract } from './decimal-math.ts'
import type { Fill, Order, OrderState } from './documents.ts'
import type { ExchangeFill, ExchangeOrder } from './exchange.ts'
import { averagePrice, type FillLedger, mergeFills, totalQuantity } from './fill-ledger.ts'
import type { OrderEvidence } from './order-evidence.ts'
import { orderSubject, UnresolvedError, type UnresolvedReason } from './reconcile-plan.ts'

export type OrderProgress = UnknownIntent | KnownOrder

/** The exchange has answered, and has never heard of this intent. */
export interface UnknownIntent {
  readonly kind: 'unknown-intent'
  readonly before: Order
}

export interface KnownOrder {
  readonly kind: 'known'
  readonly before: Order
  readonly isRecorded: boolean
  /** Identical to `before` when nothing has changed. */
  readonly after: Order
  readonly isLive: boolean
  /** The exchange no longer knows the order. */
  readonly isGone: boolean
  readonly fills: readonly Fill[]
  readonly addedFills: readonly Fill[]
  /** By how much the position changes: what is filled now and was not counted before. */
  readonly addedQuantity: string
  /** The stop price the exchange holds, when it says. */
  readonly restingStopPrice: Decimal | null
}

interface Timing {
  readonly settleMs: number
  readonly startedAtMs: number
  readonly nowMs: number
}

/** Decides what became of an order. @throws UnresolvedError */
export function decideOrder(evidence: OrderEvidence, timing: Timing): OrderProgress {
  const { order, reports, isRecorded } = evidence
  if (reports.length > 0) return progressOf(evidence, mergeReports(evidence), timing.nowMs)
  assertAbsent(evidence, timing)
  const isUntouchedIntent =
    order.state === 'intent' &&
    (order.exchangeOrderId ?? null) === null &&
    evidence.storedFills.length === 0 &&
    compare(order.filledQuantity ?? 0, 0) === 0
  if (isRecorded && isUntouchedIntent) return { kind: 'unknown-intent', before: order }
  return progressOf(evidence, null, timing.nowMs)
}

/** When an order was last written, as far as the store knows: before that plus the settling time, "not found" is no answer. */
export function lastWrittenAtMs(order: Order, timing: Pick<Timing, 'startedAtMs'>): number {
  return Math.min(order.updatedAt ?? order.createdAt ?? timing.startedAtMs, timing.startedAtMs)
}

/** True when the fills of the order have to be fetched: the exchange's total is not the store's, or is unknown. */
export function needsFills(evidence: OrderEvidence): boolean {
  const { order, reports, storedFills, isRecorded } = evidence
  if (reports.length === 0) return isRecorded && (order.exchangeOrderId ?? null) !== null
  const stored = totalQuantity(storedFills)
  return reports.some((report) => compare(reportedQuantity(report, order.quantity) ?? -1, stored) !== 0)
}

/** What the report says is filled; the status of an order that is filled, or was rejected, says it too. */
function reportedQuantity(
  { status, filledQuantity }: Pick<ExchangeOrder, 'status' | 'filledQuantity'>,
  quantity: Decimal,
): Decimal | null {
  if (filledQuantity !== null) return filledQuantity
  return status === 'filled' ? quantity : status === 'rejected' ? '0' : null
}

function assertAbsent({ order, isRecorded, answers, areOpenOrdersListed }: OrderEvidence, timing: Timing): void {
  const fail = failure(order)
  const hasId = (order.exchangeOrderId ?? null) !== null || order.clientOrderId !== undefined
  if (isRecorded && !hasId) throw fail('NO_ORDER_ID')
  const failed = answers.map((answer) => answer.result).find((result) => result.status === 'failed')
  if (failed?.status === 'failed') {
    const answered = answers.some((answer) => answer.result.status === 'not-found')
    // An unrecorded stop is asked for by both ids: one answer is not enough.
    if (!isRecorded || !answered) throw fail('ORDER_QUERY_FAILED', failed.code)
  }
  if (answers.length === 0) throw fail('ORDER_QUERY_FAILED')
  if (!areOpenOrdersListed) throw fail('OPEN_ORDERS_QUERY_FAILED')
  const askedAtMs = answers.reduce((latest, answer) => Math.max(latest, answer.askedAtMs), 0)
  if (askedAtMs < lastWrittenAtMs(order, timing) + timing.settleMs) throw fail('NOT_SETTLED')
}

interface MergedReport {
  readonly exchangeOrderId: string
  readonly clientOrderId: string | null
  readonly status: Exclude<ExchangeOrder['status'], 'unknown'>
  readonly quantity: Decimal | null
  readonly filledQuantity: Decimal | null
  readonly stopPrice: Decimal | null
}

/** One report out of several: the furthest along, if they can all be true. */
function mergeReports({ order, reports, isRecorded }: OrderEvidence): MergedReport {
  const fail = failure(order)
  const [first, ...others] = reports as readonly [ExchangeOrder, ...ExchangeOrder[]]
  for (const report of reports) {
    if (report.symbol !== order.symbol || report.side !== order.side) throw fail('REPORT_CONTRADICTS_ORDER')
    const isOtherOrder = isRecorded && isOther(order.exchangeOrderId, report.exchangeOrderId)
    const isOtherClient =
      isRecorded && (order.exchangeOrderId ?? null) === null && isOther(order.clientOrderId, report.clientOrderId)
    const isOtherQuantity = isRecorded && report.quantity !== null && compare(report.quantity, order.quantity) !== 0
    if (isOtherOrder || isOtherClient || isOtherQuantity) throw fail('REPORT_CONTRADICTS_ORDER')
  }
  if (others.some((report) => report.exchangeOrderId !== first.exchangeOrderId)) throw fail('REPORTS_CONFLICT')
  const quantities = reports.flatMap((report) => (report.quantity === null ? [] : [report.quantity]))
  if (quantities.some((quantity) => compare(quantity, quantities[0] as Decimal) !== 0)) throw fail('REPORTS_CONFLICT')

  const known = reports.filter((report) => report.status !== 'unknown')
  const final = known.filter((report) => report.status !== 'open')
  const [decisive] = final.length > 0 ? final : known
  if (decisive === undefined || decisive.status === 'unknown') throw fail('STATUS_UNKNOWN')
  const furthest = known.reduce<Decimal | null>(
    (most, { filledQuantity }) => (filledQuantity === null ? most : maximum(most ?? filledQuantity, filledQuantity)),
    null,
  )
  for (const report of final) {
    const isBehind =
      report.filledQuantity !== null && furthest !== null && compare(report.filledQuantity, furthest) !== 0
    if (report.status !== decisive.status || isBehind) throw fail('REPORTS_CONFLICT')
  }
  const stopPrices = known.flatMap(({ stopPrice }) =>
    stopPrice === null || stopPrice === undefined ? [] : [stopPrice],
  )
  const [stopPrice = null] = stopPrices
  if (stopPrice !== null && stopPrices.some((other) => compare(other, stopPrice) !== 0)) throw fail('REPORTS_CONFLICT')
  const clientOrderId = reports.find((report) => isText(report.clientOrderId))?.clientOrderId ?? null
  return {
    exchangeOrderId: first.exchangeOrderId,
    clientOrderId,
    status: decisive.status,
    quantity: quantities[0] ?? null,
    filledQuantity: furthest,
    stopPrice,
  }
}

function progressOf(evidence: OrderEvidence, report: MergedReport | null, nowMs: number): KnownOrder {
  const { order, isRecorded } = evidence
  const ledger = readFills(evidence)
  const quantity = isRecorded ? order.quantity : (report?.quantity ?? order.quantity)
  const { filledQuantity, state } = countFilled(evidence, report, quantity, ledger)
  const counted = maximum(order.filledQuantity ?? '0', totalQuantity(evidence.storedFills))
  const addedQuantity = subtract(filledQuantity, counted)
  if (compare(addedQuantity, 0) > 0 && compare(addedQuantity, totalQuantity(ledger.added)) !== 0) {
    throw failure(order)('FILLS_PARTLY_APPLIED')
  }
  const isLive = state === 'open' || state === 'partially_filled'
  return {
    kind: 'known',
    before: order,
    isRecorded,
    after: isRecorded || report !== null ? updateOrder() : order,
    isLive,
    isGone: report === null,
    fills: ledger.all,
    addedFills: ledger.added,
    addedQuantity,
    restingStopPrice: report?.stopPrice ?? null,
  }

  function updateOrder(): Order {
    const isFurther = compare(filledQuantity, order.filledQuantity ?? 0) !== 0
    const exchangeOrderId = order.exchangeOrderId ?? report?.exchangeOrderId ?? null
    const isChanged =
      state !== order.state ||
      isFurther ||
      exchangeOrderId !== (order.exchangeOrderId ?? null) ||
      ledger.added.length > 0 ||
      !isRecorded
    if (!isChanged) return order
    return {
      ...order,
      ...(isRecorded || report === null ? {} : { quantity, ...optionalText('clientOrderId', report.clientOrderId) }),
      ...(isRecorded || report === null || report.stopPrice === null ? {} : { stopPrice: report.stopPrice }),
      state,
      exchangeOrderId,
      ...(isFurther ? { filledQuantity } : {}),
      ...(ledger.all.length > 0 ? { averagePrice: averagePrice(ledger.all) } : {}),
      updatedAt: nowMs,
    }
  }
}

function readFills(evidence: OrderEvidence): FillLedger {
  const { order, storedFills, fillsAnswers } = evidence
  const fail = failure(order)
  const reported: ExchangeFill[] = []
  for (const { result } of fillsAnswers) if (result.status === 'found') reported.push(...result.value)
  if (needsFills(evidence) && !fillsAnswers.some(({ result }) => result.status === 'found')) {
    const failed = fillsAnswers.map(({ result }) => result).find((result) => result.status === 'failed')
    throw fail('FILLS_QUERY_FAILED', failed?.status === 'failed' ? failed.code : undefined)
  }
  const ledger = mergeFills(order, storedFills, reported)
  if (ledger === null) throw fail('FILLS_CONFLICT')
  return ledger
}

/** How much is filled and in which state that leaves the order, if report and fills bear each other out. */
function countFilled(
  { order, storedFills }: OrderEvidence,
  report: MergedReport | null,
  quantity: Decimal,
  ledger: FillLedger,
): { filledQuantity: Decimal; state: OrderState } {
  const fail = failure(order)
  const filled = totalQuantity(ledger.all)
  const counted = maximum(order.filledQuantity ?? '0', totalQuantity(storedFills))
  if (compare(filled, quantity) > 0) throw fail('FILLS_EXCEED_ORDER')
  const isWhole = compare(filled, quantity) === 0

  if (report === null) {
    if (compare(filled, counted) < 0) throw fail('FILLS_INCOMPLETE')
    return { filledQuantity: filled, state: isWhole ? 'filled' : 'canceled' }
  }
  if (report.filledQuantity !== null && compare(report.filledQuantity, quantity) > 0) throw fail('FILLS_EXCEED_ORDER')

  if (report.status === 'open') {
    // Fills are fetched after the order, so they may be ahead of it, but only as a whole.
    const isAhead = report.filledQuantity === null || compare(filled, report.filledQuantity) > 0
    if (isAhead && ledger.isReportPartial && ledger.added.length > 0) throw fail('FILLS_CONFLICT')
    const furthest = maximum(report.filledQuantity ?? '0', counted)
    if (compare(filled, furthest) < 0) throw fail('FILLS_INCOMPLETE')
    const state = isWhole ? 'filled' : compare(filled, 0) > 0 ? 'partially_filled' : 'open'
    return { filledQuantity: filled, state }
  }

  const final = reportedQuantity(report, quantity)
  if (final === null) throw fail('FILLED_QUANTITY_UNKNOWN')
  const isContradictory =
    (report.status === 'filled' && compare(final, quantity) !== 0) ||
    (report.status === 'rejected' && compare(final, 0) !== 0)
  if (isContradictory) throw fail('REPORT_CONTRADICTS_ORDER')
  if (compare(counted, final) > 0) throw fail('REPORT_REGRESSED')
  if (compare(filled, final) > 0) throw fail('FILLS_EXCEED_REPORT')
  if (compare(filled, final) < 0) throw fail('FILLS_INCOMPLETE')
  return { filledQuantity: final, state: report.status }
}

function failure(order: Order) {
  return (reason: UnresolvedReason, code?: ConstructorParameters<typeof UnresolvedError>[2]) =>
    new UnresolvedError(orderSubject(order), reason, code)
}

function isOther(known: string | null | undefined, reported: string | null | undefined): boolean {
  return isText(known) && isText(reported) && known !== reported
}

function isText(value: string | null | undefined): value is string {
  return value !== null && value !== undefined
}

function optionalText<K extends string>(key: K, value: string | null): { [P in K]?: string } {
  return value === null ? {} : ({ [key]: value } as { [P in K]?: string })
}
