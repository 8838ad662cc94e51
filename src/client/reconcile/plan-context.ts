/** What the steps of a decision hand on to each other. */
import type { ExchangeReport } from './exchange-report.ts'
import type { Evidence } from './order-evidence.ts'
import type { OrderGroup } from './order-groups.ts'
import type { OrderProgress } from './order-progress.ts'
import type { ResolvedPolicy } from './policy.ts'
import type { PositionProgress } from './position-progress.ts'
import type { StateSnapshot } from './state-snapshot.ts'

/** Everything a decision may depend on. */
export interface Context {
  readonly state: StateSnapshot
  readonly report: ExchangeReport
  readonly policy: ResolvedPolicy
  readonly nowMs: number
  readonly evidence: Evidence
}

/** A group all of whose orders have been settled. */
export interface SettledGroup {
  readonly group: OrderGroup
  readonly progress: readonly OrderProgress[]
  readonly position: PositionProgress
}
