/**
 * Makes long work on the worker's thread rest as long as it has worked, for as long as commits come: their hand-overs
 * between threads wait for a processor, and two cores are all that many machines have (docs/decisions/0012).
 */
import { setTimeout } from 'node:timers/promises'

const MAX_REST_MS = 10

/** `commits` rises with every commit. Call the result between pieces of the work. */
export function givingWayTo(commits: () => number): () => Promise<void> {
  let seen = commits()
  let resumedAt = performance.now()
  return async () => {
    const now = commits()
    if (now !== seen) await setTimeout(Math.min(MAX_REST_MS, performance.now() - resumedAt))
    seen = now
    resumedAt = performance.now()
  }
}

/** How long after a commit the next one is to be expected. */
const TRADING_MS = 100

/** Tells whether commits come, by having seen some since it was asked last or shortly before. */
export function tradingAlong(commits: () => number, withinMs = TRADING_MS): () => boolean {
  let seen = commits()
  let seenAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = commits()
    if (now !== seen) seenAt = performance.now()
    seen = now
    return performance.now() - seenAt < withinMs
  }
}
