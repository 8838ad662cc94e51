/** What the bot tells the demo. */
import type { ReconcileReport } from '../holdfast.ts'
import type { HistogramData } from './latency-histogram.ts'

export interface BotOptions {
  readonly dir: string
  readonly port: number
  /** How many bars each market has. */
  readonly barsOf: Readonly<Record<string, number>>
  readonly walletKey: string
}

/** What a process has measured since it has opened the store. */
export interface Vitals {
  /** Bars that are done with, by this process and those before it. */
  readonly bars: number
  readonly acceptedWrites: number
  readonly durableWrites: number
  readonly acks: HistogramData
  readonly longestGapMs: number
}

export interface Reconciliation {
  readonly outcome: ReconcileReport['outcome']
  readonly durationMs: number
  readonly counts: ReconcileReport['counts']
  readonly unresolved: readonly string[]
}

export type BotMessage =
  | { readonly type: 'reconciled'; readonly openMs: number; readonly reconciliation: Reconciliation }
  | { readonly type: 'progress'; readonly vitals: Vitals }
  | { readonly type: 'done'; readonly vitals: Vitals }
