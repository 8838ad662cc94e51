/**
 * Where the stop of a held position belongs, and what has to happen so that exactly one order waits there. The stop
 * follows the best price since entry and never loosens: not against the store's price, nor against the exchange's.
 *
 * A stop is moved by canceling it and, once the exchange has confirmed that, placing another: both at once would double
 * it, and a spot account could not cover both.
 */
import type { Decimal } from '../../schema/decimal.ts'
import { add, compare, maximum, minimum, multiply, roundToStep, subtract } from './decimal-math.ts'
import { exitOrderId, stopOrderId } from './deterministic-id.ts'
import { exitSide, type Order, type Position, type PositionSide } from './documents.ts'
import type { ExchangeOrder, MarketRules } from './exchange.ts'
import type { MarketFacts } from './market-facts.ts'
import type { KnownOrder, UnknownIntent } from './order-progress.ts'
import type { ResolvedPolicy } from './policy.ts'
import { positionSubject, UnresolvedError } from './reconcile-plan.ts'

export interface StopSituation {
  /** As the new fills leave it. */
  readonly position: Position
  readonly live: readonly KnownOrder[]
  readonly intents: readonly UnknownIntent[]
  /** Market exits that never reached the exchange. */
  readonly exitIntents: readonly UnknownIntent[]
  /** A market exit is on its way. */
  readonly isExiting: boolean
  /** Ids of orders that exist already. */
  readonly takenIds: ReadonlySet<string>
  /** Open orders that only the exchange knows: one of them may be ours, in a store restored from a backup. */
  readonly foreign: readonly ExchangeOrder[]
  readonly market: MarketFacts
  readonly policy: Pick<ResolvedPolicy, 'trailingStopPercent' | 'onBreachedStop'>
  readonly nowMs: number
}

/** What to do about the stop. `position` has the new stop price, extremes and stop order. */
export interface StopDecision {
  readonly position: Position
  readonly action:
    | { readonly kind: 'none' }
    /** `isReplacement`: the stop has to move; otherwise these are one too many. */
    | { readonly kind: 'cancel'; readonly orders: readonly Order[]; readonly isReplacement: boolean }
    | { readonly kind: 'place'; readonly order: Order }
    | { readonly kind: 'resubmit'; readonly order: Order }
    /** An order the store has lost. */
    | { readonly kind: 'adopt'; readonly order: Order }
    | { readonly kind: 'exit'; readonly order: Order }
  /** Intents that never reached the exchange and won't be sent. */
  readonly rejected: readonly Order[]
  readonly isBreached: boolean
}

/** @throws UnresolvedError */
export function decideStop(situation: StopSituation): StopDecision {
  const { live } = situation
  if (live.length > 1) return decideSeveral(situation)
  const [resting] = live
  return resting === undefined ? decideMissing(situation) : decideResting(situation, resting)
}

/** The tighter of two stop prices: the higher for a long position, the lower for a short one. */
export function tighter(side: PositionSide, a: Decimal, b: Decimal): Decimal {
  return side === 'long' ? maximum(a, b) : minimum(a, b)
}

/** True when the price has reached the stop. */
export function isBreached(side: PositionSide, price: Decimal, stop: Decimal): boolean {
  return side === 'long' ? compare(price, stop) <= 0 : compare(price, stop) >= 0
}

/** `percent` below the highest price of a long position, above the lowest of a short one: exact. */
export function trailingStopPrice(side: PositionSide, extreme: Decimal, percent: Decimal): string {
  const factor = side === 'long' ? subtract(100, percent) : subtract(100, multiply(percent, -1))
  return multiply(multiply(extreme, factor), '0.01')
}

function decideResting(situation: StopSituation, resting: KnownOrder): StopDecision {
  const { position, intents, market, policy } = situation
  const rejected = intents.map((intent) => intent.before)
  const adopted = { ...position, stopOrderId: resting.after.id }
  if (resting.after.type === 'trailing_stop') {
    return { position: adopted, action: { kind: 'none' }, rejected, isBreached: false }
  }
  const restingPrice = resting.restingStopPrice ?? resting.before.stopPrice ?? null
  const trailed = trail(situation, restingPrice === null ? [] : [restingPrice])
  const moved = withStop(adopted, trailed)
  const keep = { position: moved, action: { kind: 'none' }, rejected, isBreached: false } as const
  const { stop: target } = trailed
  if (target === null || restingPrice === null) return keep
  const rules = market.rules()
  const isLoose = isTooLoose(position.side, restingPrice, resting.before.stopPrice ?? restingPrice, target, rules)
  const remaining = subtract(resting.after.quantity, resting.after.filledQuantity ?? 0)
  const isWrongQuantity = compare(remaining, stopQuantity(position, rules)) !== 0
  if (!isLoose && !isWrongQuantity) return keep
  const breached = isBreached(position.side, market.lastPrice(), target)
  // A stop past the price can't be placed: what rests is better than nothing.
  if (breached && policy.onBreachedStop === 'report') return { ...keep, isBreached: true }
  return { ...keep, action: { kind: 'cancel', orders: [resting.after], isReplacement: true } }
}

function decideMissing(situation: StopSituation): StopDecision {
  const { position, intents, exitIntents, market, policy, isExiting, nowMs } = situation
  const intentPrices = intents.flatMap(({ before }) => ((before.stopPrice ?? null) === null ? [] : [before.stopPrice]))
  const trailed = trail(situation, intentPrices as Decimal[])
  const bare = { ...withStop(position, trailed), stopOrderId: null }
  const allIntents = intents.map((intent) => intent.before)
  if (trailed.stop === null) {
    const isUnstopped = (position.stopOrderId ?? null) === null
    const unchanged = isUnstopped ? position : bare
    return { position: unchanged, action: { kind: 'none' }, rejected: allIntents, isBreached: false }
  }

  const restored = findRestored(situation)
  if (restored !== null) {
    const action = { kind: 'adopt', order: restored } as const
    return { position: { ...bare, stopOrderId: restored.id }, action, rejected: allIntents, isBreached: false }
  }
  const rules = market.rules()
  const stop = onTick(position.side, trailed.stop, rules)
  const quantity = stopQuantity(position, rules)
  if (compare(quantity, 0) === 0) throw new UnresolvedError(positionSubject(position), 'QUANTITY_BELOW_LOT')
  if (isBreached(position.side, market.lastPrice(), stop)) {
    if (policy.onBreachedStop === 'report' || isExiting) {
      return { position: bare, action: { kind: 'none' }, rejected: allIntents, isBreached: true }
    }
    const unsent = exitIntents.find(({ before }) => compare(before.quantity, quantity) === 0)?.before
    if (unsent?.clientOrderId !== undefined) {
      const order = { ...unsent, updatedAt: nowMs }
      return { position: bare, action: { kind: 'resubmit', order }, rejected: allIntents, isBreached: false }
    }
    const id = freeId(situation, exitOrderId)
    const order = newOrder(id, position, quantity, nowMs, { type: 'market', purpose: 'exit' })
    return { position: bare, action: { kind: 'exit', order }, rejected: allIntents, isBreached: false }
  }
  const reusable = intents.find(({ before }) => isAt(before, stop, quantity))?.before
  const rejected = allIntents.filter((intent) => intent !== reusable)
  if (reusable !== undefined) {
    const order = { ...reusable, updatedAt: nowMs }
    const stopped = { ...withStop(bare, { ...trailed, stop }), stopOrderId: order.id }
    return { position: stopped, action: { kind: 'resubmit', order }, rejected, isBreached: false }
  }
  const id = freeId(situation, stopOrderId)
  const order = newOrder(id, position, quantity, nowMs, { type: 'stop', purpose: 'stop', stopPrice: stop })
  const stopped = { ...withStop(bare, { ...trailed, stop }), stopOrderId: id }
  return { position: stopped, action: { kind: 'place', order }, rejected, isBreached: false }
}

/**
 * A whole tick or more on the loose side. Where ticks are unknown, what was asked for counts too: the exchange may
 * have rounded it, and that is no reason to move the stop.
 */
function isTooLoose(
  side: PositionSide,
  resting: Decimal,
  requested: Decimal,
  target: Decimal,
  { tickSize }: MarketRules,
): boolean {
  const hasTick = tickSize !== null && tickSize !== undefined
  const held = hasTick ? resting : tighter(side, resting, requested)
  const slack = side === 'long' ? subtract(target, held) : subtract(held, target)
  return hasTick ? compare(slack, tickSize) >= 0 : compare(slack, 0) > 0
}

/** Rounded towards the market, so that rounding does not loosen the stop. */
function onTick(side: PositionSide, stop: Decimal, { tickSize }: MarketRules): Decimal {
  if (tickSize === null || tickSize === undefined) return stop
  const rounded = roundToStep(stop, tickSize, side === 'long' ? 'up' : 'down')
  return compare(rounded, stop) === 0 ? stop : rounded
}

/** Several stops that cover the position exactly are a ladder somebody built; otherwise the one it names stays. */
function decideSeveral({ position, live, intents, market }: StopSituation): StopDecision {
  const rejected = intents.map((intent) => intent.before)
  const [first] = live as readonly [KnownOrder, ...KnownOrder[]]
  const named = live.find((each) => each.before.id === position.stopOrderId || isNamed(each, position))
  const covered = live.reduce(
    (total, { after }) => add(total, subtract(after.quantity, after.filledQuantity ?? 0)),
    '0',
  )
  const excess = compare(covered, stopQuantity(position, market.rules()))
  if (excess === 0) {
    const kept = { ...position, stopOrderId: (named ?? first).after.id }
    return { position: kept, action: { kind: 'none' }, rejected, isBreached: false }
  }
  if (excess < 0 || named === undefined) throw new UnresolvedError(positionSubject(position), 'STOPS_AMBIGUOUS')
  const orders = live.filter((each) => each !== named).map((each) => each.after)
  return { position, action: { kind: 'cancel', orders, isReplacement: false }, rejected, isBreached: false }
}

interface Trailed {
  readonly stop: Decimal | null
  readonly extreme: Decimal | null
}

/** The stop price as it should be, and the best price it follows; null where no trailing is wanted. */
function trail({ position, market, policy }: StopSituation, known: readonly Decimal[]): Trailed {
  const { side } = position
  let stop: Decimal | null = position.currentStop ?? null
  for (const price of known) stop = stop === null ? price : tighter(side, stop, price)
  if (policy.trailingStopPercent === undefined) return { stop, extreme: null }
  const price = market.lastPrice()
  const extreme =
    side === 'long'
      ? maximum(position.highestPrice ?? position.entryPrice, price)
      : minimum(position.lowestPrice ?? position.entryPrice, price)
  const computed = trailingStopPrice(side, extreme, policy.trailingStopPercent)
  return { stop: stop === null ? computed : tighter(side, stop, computed), extreme }
}

function withStop(position: Position, { stop, extreme }: Trailed): Position {
  const best = position.side === 'long' ? 'highestPrice' : 'lowestPrice'
  const isSameStop = stop === null || isEqual(stop, position.currentStop)
  const isSameExtreme = extreme === null || isEqual(extreme, position[best])
  return {
    ...position,
    ...(isSameStop ? {} : { currentStop: stop }),
    ...(isSameExtreme ? {} : { [best]: extreme }),
  }
}

/** The position's own next stop, open at the exchange but missing in a store that went back in time. */
function findRestored(situation: StopSituation): Order | null {
  const { position, foreign, nowMs } = situation
  const id = freeId(situation, stopOrderId)
  const report = foreign.find(
    (order) => order.clientOrderId === id && order.symbol === position.symbol && order.side === exitSide(position.side),
  )
  if (report === undefined || report.quantity === null || compare(report.filledQuantity ?? 0, 0) !== 0) return null
  const stopPrice = report.stopPrice ?? position.currentStop ?? null
  return {
    ...newOrder(id, position, report.quantity, nowMs, { type: 'stop', purpose: 'stop', stopPrice }),
    state: 'open',
    exchangeOrderId: report.exchangeOrderId,
  }
}

function freeId({ position, takenIds }: StopSituation, idOf: typeof stopOrderId): string {
  for (let generation = 1; ; generation++) {
    const id = idOf(position.id, position.openedAt, generation)
    if (!takenIds.has(id)) return id
  }
}

function newOrder(
  id: string,
  position: Position,
  quantity: Decimal,
  nowMs: number,
  rest: Pick<Order, 'type' | 'purpose' | 'stopPrice'>,
): Order {
  return {
    id,
    clientOrderId: id,
    symbol: position.symbol,
    side: exitSide(position.side),
    ...rest,
    state: 'intent',
    quantity,
    filledQuantity: '0',
    reduceOnly: true,
    positionId: position.id,
    createdAt: nowMs,
    updatedAt: nowMs,
  }
}

function stopQuantity(position: Position, { lotSize }: MarketRules): Decimal {
  if (lotSize === null || lotSize === undefined) return position.quantity
  const rounded = roundToStep(position.quantity, lotSize, 'down')
  return compare(rounded, position.quantity) === 0 ? position.quantity : rounded
}

function isAt(intent: Order, stop: Decimal, quantity: Decimal): boolean {
  return (
    intent.clientOrderId !== undefined &&
    intent.type === 'stop' &&
    isEqual(stop, intent.stopPrice) &&
    compare(intent.quantity, quantity) === 0
  )
}

function isNamed({ before }: KnownOrder, position: Position): boolean {
  return before.exchangeOrderId === position.stopOrderId || before.clientOrderId === position.stopOrderId
}

function isEqual(a: Decimal, b: Decimal | null | undefined): boolean {
  return b !== null && b !== undefined && compare(a, b) === 0
}
