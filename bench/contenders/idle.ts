/**
 * Nobody's store: a put that does nothing. It gives the noise floor of this machine, and what the workloads' own loops
 * cost, which is subtracted from the main-thread time of the others. The promise it returns is made once, so that a
 * contender still pays for its own.
 */
import type { Contender, StoreUnderTest } from './contender.ts'

const durable = Promise.resolve()

const store: StoreUnderTest = {
  put: () => durable,
  putArchived: () => durable,
  get: () => undefined,
  loadBars: async ({ bars }) => bars.length,
  aggregateBars: async () => Number.POSITIVE_INFINITY,
  close: async () => {},
}

export const contender: Contender = { open: async () => store }
