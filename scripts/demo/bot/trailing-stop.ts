/** Where the stop of a long position belongs. The same rule as `reconcile` has: whoever is first, the stop is where it belongs. */
import { compare, greater, multiply, roundUp, subtract } from '../exact-decimal.ts'

export interface TrailedStop {
  readonly highestPrice: string
  /** Exact; on the exchange it is placed on the next tick above. */
  readonly currentStop: string
}

/** Follows the best close at a distance of so many percent, and never goes back. */
export function trailStop(
  position: Partial<TrailedStop>,
  entryPrice: string,
  close: string,
  percent: string,
): TrailedStop {
  const highestPrice = greater(position.highestPrice ?? entryPrice, close)
  const computed = multiply(multiply(highestPrice, subtract('100', percent)), '0.01')
  const { currentStop = computed } = position
  return { highestPrice, currentStop: greater(currentStop, computed) }
}

/** True when a resting stop has fallen behind by a tick or more. */
export function isLoose(resting: string, target: string, tickSize: string): boolean {
  return compare(subtract(target, resting), tickSize) >= 0
}

/** The tick the stop is placed on: rounding does not loosen it. */
export function stopOnTick(stop: string, tickSize: string): string {
  const rounded = roundUp(stop, tickSize)
  return compare(rounded, stop) === 0 ? stop : rounded
}
