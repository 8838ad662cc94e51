/** What a bot records about its own work. */
import * as z from 'zod'
import { decimal, timestampMs } from '../decimal.ts'
import { defineCollection } from '../define-collection.ts'

const id = z.string().min(1).max(256)

/** How an algorithm did at a moment. */
export const algorithmMetrics = defineCollection({
  name: 'algorithmMetrics',
  key: 'id',
  schema: z.object({
    id,
    algorithm: z.string().min(1).max(256),
    symbol: z.string().max(128).optional(),
    recordedAt: timestampMs,
    metrics: z.record(z.string(), decimal),
  }),
  indexes: ['algorithm', 'symbol', 'recordedAt'],
})

/** What a restart found and did. */
export const recoveryMetrics = defineCollection({
  name: 'recoveryMetrics',
  key: 'id',
  schema: z.object({
    id,
    startedAt: timestampMs,
    durationMs: z.number().nonnegative(),
    outcome: z.enum(['clean', 'recovered', 'unresolved', 'failed']),
    counts: z.record(z.string(), z.int()),
    metadata: z.record(z.string(), z.json()).optional(),
  }),
  indexes: ['startedAt', 'outcome'],
})
