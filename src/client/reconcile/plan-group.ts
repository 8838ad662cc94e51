/** Turns what became of a group's orders and position into one commit, and what follows at the exchange. */
import { isDeepStrictEqual } from 'node:util'
import type { Decimal } from '../../schema/decimal.ts'
import { compare, subtract } from './decimal-math.ts'
import type { Fill, Order, Position } from './documents.ts'
import type { ExchangeOrder } from './exchange.ts'
import { compareFills } from './fill-ledger.ts'
import { explainFlat, type FlatExplanation } from './flat-position.ts'
import { GroupPlanner } from './group-planner.ts'
import type { Holding } from './held-positions.ts'
import { type MarketFacts, marketFacts } from './market-facts.ts'
import type { OrderGroup } from './order-groups.ts'
import type { KnownOrder, OrderProgress, UnknownIntent } from './order-progress.ts'
import type { Context, SettledGroup } from './plan-context.ts'
import { closingTrade, fillsOfLife, type PositionProgress, roleOf } from './position-progress.ts'
import { type GroupPlan, orderSubject, positionSubject, type Subject, UnresolvedError } from './reconcile-plan.ts'
import { decideStop, type StopDecision } from './stop-decision.ts'

/**
 * Plans a settled group.
 *
 * @param adopted gets the foreign orders that turn out to be ours
 * @throws UnresolvedError
 */
export function planGroup(
  { group, progress, position }: SettledGroup,
  holding: Holding,
  context: Context,
  adopted: Set<string>,
): GroupPlan {
  const { nowMs } = context
  const planner = new GroupPlanner(group, nowMs)
  const flat = explainIfFlat(group, position, holding, context)
  const closed = position.closed ?? (flat === null ? null : position.after)
  const subject = subjectOf(group, position)
  const market = marketFacts(subject, context.report, context.policy)

  if (closed === null) {
    assertStopAccounted(group, position, holding)
  } else {
    const open = progress.filter((each): each is KnownOrder => isLiveExit(each, closed))
    if (open.length > 0) {
      // They could open the opposite position. The position is closed in the store once they are gone.
      for (const each of open) planner.cancel(each.after, 'STOP_CANCELED')
      return planner.finish()
    }
  }

  for (const each of progress) if (each.kind === 'known') recordOrder(planner, each)
  if (position.before === null && (position.after ?? closed) !== null) planner.decide('POSITION_OPENED', subject)
  for (const order of position.exitsWithoutPosition) planner.decide('EXIT_WITHOUT_POSITION', orderSubject(order))
  if (closed !== null) recordClosing(planner, closed, { group, progress, position }, flat, market, context)

  const held = closed === null ? position.after : null
  const intents = progress.filter((each): each is UnknownIntent => each.kind === 'unknown-intent')
  if (held === null) {
    for (const intent of intents) settleIntent(planner, intent.before, '0', context)
    if (group.position === null) reportStrayStops(planner, progress)
    return planner.finish()
  }

  const stopIntents = intents.filter((intent) => isStop(intent.before, group))
  const otherIntents = intents.filter((intent) => !stopIntents.includes(intent))
  const decision = decideStop({
    position: held,
    live: progress.filter((each): each is KnownOrder => isLiveStop(each, group)),
    intents: stopIntents,
    exitIntents: otherIntents.filter((intent) => isMarketExit(intent.before)),
    isExiting: progress.some((each) => each.kind === 'known' && each.isLive && isMarketExit(each.before)),
    takenIds: new Set([...group.orders, ...group.history].map((order) => order.id)),
    foreign: context.evidence.foreign,
    market,
    policy: context.policy,
    nowMs,
  })
  recordStop(planner, group, progress, held, decision, adopted)
  writePosition(planner, position.before, decision.position, nowMs)

  const exit = decision.action.kind === 'exit' || decision.action.kind === 'resubmit' ? decision.action.order : null
  let exitable = exit === null || isStop(exit, group) ? held.quantity : '0'
  for (const intent of otherIntents) {
    if (intent.before.id === exit?.id) continue
    exitable = settleIntent(planner, intent.before, exitable, context, held)
  }
  return planner.finish()
}

function subjectOf(group: OrderGroup, { before, after, closed }: PositionProgress): Subject {
  const position = before ?? after ?? closed
  if (position !== null) return positionSubject(position)
  return { kind: 'position', id: group.positionId ?? '', symbol: group.symbol }
}

function isStop(order: Order, { stop }: OrderGroup): boolean {
  if (order.purpose === 'stop') return true
  return (stop.kind === 'live' || stop.kind === 'unrecorded') && stop.order.id === order.id
}

function isLiveStop(progress: OrderProgress, group: OrderGroup): boolean {
  return progress.kind === 'known' && progress.isLive && isStop(progress.before, group)
}

function isLiveExit(progress: OrderProgress, position: Position): boolean {
  return progress.kind === 'known' && progress.isLive && roleOf(progress.before, position) === 'exit'
}

/** An exit that is carried out at once; a limit order that waits for its price is none. */
function isMarketExit({ purpose, type = 'market' }: Order): boolean {
  return purpose === 'exit' && type === 'market'
}

function explainIfFlat(
  group: OrderGroup,
  position: PositionProgress,
  holding: Holding,
  { state, report, policy, nowMs }: Context,
): FlatExplanation | null {
  if (holding !== 'flat' || position.after === null) return null
  const explanation = explainFlat(position.after, group, state, report, nowMs)
  if (explanation !== null) return explanation
  if (policy.onUnexplainedFlat === 'close') return { orders: [], addedFills: [], storedFills: [] }
  throw new UnresolvedError(positionSubject(position.after), 'FLAT_UNEXPLAINED')
}

/**
 * A stop that the store has as filled while its position is still there: whether the position was reduced before the
 * crash can't be told, unless the exchange says what it holds.
 */
function assertStopAccounted({ position, stop }: OrderGroup, { after }: PositionProgress, holding: Holding): void {
  if (position === null || after === null || holding !== 'not-tracked') return
  if (stop.kind === 'final' && compare(stop.order.filledQuantity ?? 0, 0) > 0) {
    throw new UnresolvedError(positionSubject(position), 'STOP_FILLED_EARLIER')
  }
}

function recordOrder(planner: GroupPlanner, progress: KnownOrder): void {
  const { before, after, isRecorded, isGone, addedFills } = progress
  if (!isRecorded && isGone) return
  if (!isRecorded) planner.insert(after, 'ORDER_ADOPTED')
  else if (after !== before) {
    planner.writes.push({ kind: 'put-order', order: after })
    planner.decide('ORDER_UPDATED', orderSubject(after))
  }
  recordFills(planner, after, addedFills)
}

function recordFills(planner: GroupPlanner, order: Order, fills: readonly Fill[]): void {
  for (const fill of fills) {
    planner.writes.push({ kind: 'insert-fill', fill })
    planner.decide('FILL_IMPORTED', orderSubject(order))
  }
}

function recordClosing(
  planner: GroupPlanner,
  closed: Position,
  { group, progress, position }: SettledGroup,
  flat: FlatExplanation | null,
  market: MarketFacts,
  { state, nowMs }: Context,
): void {
  const life = fillsOfLife(closed, group, progress, state.fills)
  const explained = [...(flat?.addedFills ?? []), ...(flat?.storedFills ?? [])]
  const isUnexplained = flat !== null && explained.length === 0
  for (const order of flat?.orders ?? []) {
    planner.insert(order, 'ORDER_ADOPTED')
    recordFills(planner, order, flat?.addedFills.filter((fill) => fill.orderId === order.id) ?? [])
  }
  const trade = closingTrade({
    position: closed,
    entries: life.entries,
    exits: isUnexplained ? [] : [...new Set([...life.exits, ...explained])].sort(compareFills),
    orders: [...group.orders, ...group.history, ...(flat?.orders ?? [])],
    rules: market.rules(),
    nowMs,
  })
  planner.writes.push({ kind: 'put-trade', trade })
  if (position.before !== null) planner.writes.push({ kind: 'delete-position', positionId: closed.id })
  planner.decide('POSITION_CLOSED', positionSubject(closed))
}

/**
 * An intent that is no stop of a held position. Nothing may be sent that could exit more than is there: `exitable` is
 * how much the exits sent again may come to; returns what is left of it.
 */
function settleIntent(
  planner: GroupPlanner,
  intent: Order,
  exitable: Decimal,
  { policy, nowMs }: Context,
  held: Position | null = null,
): Decimal {
  const isExit = (intent.positionId ?? null) !== null && roleOf(intent, held) === 'exit'
  const isTooMuch = isExit && compare(intent.quantity, exitable) > 0
  if (policy.onUnknownIntent === 'reject' || isTooMuch) {
    planner.reject(intent)
    return exitable
  }
  const order = { ...intent, updatedAt: nowMs }
  planner.writes.push({ kind: 'put-order', order })
  planner.submit(order, 'INTENT_RESUBMITTED')
  return isExit ? subtract(exitable, intent.quantity) : exitable
}

function recordStop(
  planner: GroupPlanner,
  group: OrderGroup,
  progress: readonly OrderProgress[],
  before: Position,
  { position, action, rejected, isBreached }: StopDecision,
  adopted: Set<string>,
): void {
  const subject = positionSubject(position)
  for (const intent of rejected) planner.reject(intent)
  const named = group.stop.kind === 'none' ? null : group.stop.order.id
  const isNamedAlive = progress.some(
    (each) => each.before.id === named && (each.kind === 'known' ? each.isLive : !rejected.includes(each.before)),
  )
  if (named !== null && !isNamedAlive) planner.decide('STOP_CLEARED', subject)
  const isAdopted = progress.some(
    (each) => isLiveStop(each, group) && each.before.id === position.stopOrderId && each.before.id !== named,
  )
  if (isAdopted) planner.decide('STOP_ADOPTED', subject)
  if (!isDeepStrictEqual(before.currentStop ?? null, position.currentStop ?? null)) {
    planner.decide('STOP_TRAILED', subject)
  }
  if (isBreached) planner.unresolved.push({ subject, reason: 'STOP_BREACHED', untouched: false })

  switch (action.kind) {
    case 'none':
      return
    case 'cancel':
      for (const order of action.orders) planner.cancel(order, action.isReplacement ? 'STOP_REPLACED' : 'STOP_CANCELED')
      return
    case 'adopt':
      planner.insert(action.order, 'STOP_ADOPTED')
      adopted.add(foreignKey({ symbol: action.order.symbol, exchangeOrderId: action.order.exchangeOrderId ?? '' }))
      return
    case 'resubmit':
      planner.writes.push({ kind: 'put-order', order: action.order })
      planner.submit(action.order, 'INTENT_RESUBMITTED')
      return
    case 'place':
    case 'exit':
      planner.writes.push({ kind: 'insert-order', order: action.order })
      planner.submit(action.order, action.kind === 'place' ? 'STOP_PLACED' : 'EXIT_PLACED')
  }
}

function writePosition(planner: GroupPlanner, before: Position | null, after: Position, nowMs: number): void {
  const settled = before === null ? after : { ...after, updatedAt: before.updatedAt }
  if (before !== null && isDeepStrictEqual(withoutUndefined(settled), withoutUndefined(before))) return
  planner.writes.push({ kind: 'put-position', position: { ...after, updatedAt: nowMs } })
  if (before !== null && compare(before.quantity, after.quantity) !== 0) {
    planner.decide('POSITION_UPDATED', positionSubject(after))
  }
}

/** Stops left without a position are for a person to look at: nothing says what they were to protect. */
function reportStrayStops(planner: GroupPlanner, progress: readonly OrderProgress[]): void {
  for (const each of progress) {
    const isStray = each.kind === 'known' && each.isLive && each.before.purpose === 'stop' && each.before.positionId
    if (!isStray) continue
    planner.unresolved.push({
      subject: orderSubject(each.before),
      reason: 'STOP_WITHOUT_POSITION',
      untouched: each.after === each.before,
    })
  }
}

/** What tells one order of the exchange from another. */
export function foreignKey({ symbol, exchangeOrderId }: Pick<ExchangeOrder, 'symbol' | 'exchangeOrderId'>): string {
  return `${symbol}\u0000${exchangeOrderId}`
}

function withoutUndefined(document: Position): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined))
}
