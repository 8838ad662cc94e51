/**
 * Why: what the orders add up to is one account of a position, what the exchange holds is another. They have to agree
 * before anything is written, else one of them is wrong and nobody knows which.
 */
import { add, compare } from './decimal-math.ts'
import type { Position } from './documents.ts'
import { heldQuantity } from './market-facts.ts'
import type { OrderGroup } from './order-groups.ts'
import type { Context, SettledGroup } from './plan-context.ts'
import { positionSubject, type Subject, UnresolvedError } from './reconcile-plan.ts'

/** `flat`: the exchange holds nothing where the store has a position left. */
export type Holding = 'held' | 'flat' | 'not-tracked'

/** A group that is settled, or one whose orders are unresolved. */
export interface GroupOutcome {
  readonly group: OrderGroup
  readonly settled: SettledGroup | null
}

interface HeldSide {
  readonly members: SettledGroup[]
  readonly reference: Position
  /** False when a group on this side is unresolved: then the sum can't be known. */
  isWhole: boolean
}

/** Compares what the groups of each symbol and side add up to with what the exchange holds there. */
export function compareHeld(
  outcomes: readonly GroupOutcome[],
  { report, policy }: Pick<Context, 'report' | 'policy'>,
): Map<string, Holding | UnresolvedError> {
  const sides = new Map<string, HeldSide>()
  for (const { group, settled } of outcomes) {
    const position = settled === null ? group.position : (settled.position.before ?? settled.position.after)
    if (position === null) continue
    const key = `${position.symbol}\u0000${position.side}`
    const side = sides.get(key) ?? { members: [], reference: position, isWhole: true }
    if (settled === null) side.isWhole = false
    else side.members.push(settled)
    sides.set(key, side)
  }
  const holdings = new Map<string, Holding | UnresolvedError>()
  for (const { members, reference, isWhole } of sides.values()) {
    const held = policy.checkPositions
      ? heldQuantity(report, reference.symbol, reference.side)
      : ({ status: 'not-tracked' } as const)
    const expected = members.reduce((total, { position }) => add(total, position.after?.quantity ?? 0), '0')
    const judge = (subject: Subject): Holding | UnresolvedError => {
      if (held.status === 'unknown') return new UnresolvedError(subject, 'POSITION_QUERY_FAILED', held.code)
      if (held.status === 'not-tracked' || !isWhole) return 'not-tracked'
      if (compare(held.quantity, expected) === 0) return 'held'
      if (compare(held.quantity, 0) === 0 && members.length === 1) return 'flat'
      return new UnresolvedError(subject, 'POSITION_MISMATCH')
    }
    for (const { group, position } of members) {
      holdings.set(group.key, judge(positionSubject((position.before ?? position.after) as Position)))
    }
  }
  return holdings
}
