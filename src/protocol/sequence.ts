/**
 * The sequence of a batch rises over the whole life of a store. Each open gets the next session number (persisted
 * before the first write); the upper bits are the session, the lower 32 the batch within it. A row stores the sequence
 * of the batch that wrote it last, in the transaction that wrote it: that is how a client finds out after a worker
 * crash whether its last batch was applied, without one more page to write for every commit.
 */
const BATCHES_PER_SESSION = 2 ** 32
const MAX_SESSION = 2 ** 21 - 1

/** The sequence before the first batch of a session (its number is 1 or more). */
export function firstSequence(session: number): number {
  if (!Number.isInteger(session) || session < 1 || session > MAX_SESSION) {
    throw new RangeError(`session ${session} is out of range`)
  }
  return session * BATCHES_PER_SESSION
}
