/** What `reconcile` may decide by itself. */
import { z } from 'zod'
import { StoreError } from '../../protocol/store-error.ts'
import { decimal } from '../../schema/decimal.ts'
import { compare } from './decimal-math.ts'

const positive = decimal.refine((value) => compare(value, 0) > 0, 'expected more than zero')
const perSymbol = z.record(z.string(), positive)

/** The policy as a zod schema: every field has a default, an unknown one is refused. */
export const reconcilePolicySchema = z.strictObject({
  /** Distance of the trailing stop from the best price since entry, in percent. Without it stops stay where they are. */
  trailingStopPercent: positive.refine((value) => compare(value, 100) < 0, 'expected less than 100').optional(),
  /** Smallest step of a price, per symbol; goes before what the exchange says. */
  tickSize: perSymbol.default({}),
  /** Smallest step of a quantity, per symbol; goes before what the exchange says. */
  lotSize: perSymbol.default({}),
  /** An intent the exchange has never heard of: mark it rejected, or send it again under the same client order id. */
  onUnknownIntent: z.enum(['reject', 'resubmit']).default('reject'),
  /** An open order the store does not know: report it, or cancel it as well. */
  onForeignOrder: z.enum(['report', 'cancel']).default('report'),
  /** A held position whose price is already past its stop: report it, or close it at the market. */
  onBreachedStop: z.enum(['report', 'exit']).default('report'),
  /** A position the exchange no longer holds and no fills explain: leave it, or close it with an unknown exit price. */
  onUnexplainedFlat: z.enum(['report', 'close']).default('report'),
  /** Compare with the exchange's own positions. Turn off on an account that others trade too. */
  checkPositions: z.boolean().default(true),
  /** How long a request may still be on its way: only after that is "not found" taken for an answer. */
  settleMs: z.int().nonnegative().default(3_000),
  queryConcurrency: z.int().min(1).max(64).default(4),
  queryTimeoutMs: z.int().min(1).default(15_000),
  /** Attempts per question. Orders are never sent twice. */
  queryAttempts: z.int().min(1).max(20).default(3),
  /** Decide and report, write nothing, send nothing. */
  dryRun: z.boolean().default(false),
})

/** What `reconcile` takes. */
export type ReconcilePolicy = z.input<typeof reconcilePolicySchema>

/** The policy with its defaults filled in. */
export type ResolvedPolicy = z.output<typeof reconcilePolicySchema>

/** @throws StoreError `INVALID_ARGUMENT` with the path of each issue, never the value. */
export function resolvePolicy(policy: ReconcilePolicy): ResolvedPolicy {
  const parsed = reconcilePolicySchema.safeParse(policy)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `unknown field ${issue.keys.map((key) => `"${key}"`).join(', ')}`
      : `"${issue.path.join('.')}" is not valid`,
  )
  throw new StoreError('INVALID_ARGUMENT', `The policy of reconcile can't be used: ${issues.join('; ')}.`, {
    details: { issues },
  })
}
