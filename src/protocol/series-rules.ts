/** What the threads say to each other about how long series are kept. */
import type { SeriesRule } from '../schema/series-rule.ts'
import type { SeriesKey } from './series.ts'
import type { StoreErrorCode } from './store-error.ts'

export interface NamedSeriesRule {
  readonly name: string
  readonly rule: SeriesRule
}

/** What a rule did to one series. */
export interface SeriesRuleResult extends SeriesKey {
  /** The name of the rule. */
  readonly rule: string
  /** Points before this moment are gone; null when the rule asked for nothing. */
  readonly cutoffTs: number | null
  readonly deleted: number
  /** Bars of longer intervals that were made. */
  readonly barsWritten: number
  /** Bars that were there already, and were left as they are. */
  readonly barsKept: number
  /** The other series go on. */
  readonly error: StoreErrorCode | null
}

export interface SeriesRuleMethods {
  seriesRuleSet(request: NamedSeriesRule): Promise<void>
  seriesRuleRemove(request: { readonly name: string }): Promise<{ readonly removed: boolean }>
  seriesRuleList(request: Readonly<Record<string, never>>): Promise<readonly NamedSeriesRule[]>
  /** `nowMs`: null for the clock. `names`: null for all rules. */
  seriesRulesApply(request: {
    readonly nowMs: number | null
    readonly names: readonly string[] | null
  }): Promise<readonly SeriesRuleResult[]>
}

export const SERIES_RULE_METHODS = [
  'seriesRuleSet',
  'seriesRuleRemove',
  'seriesRuleList',
  'seriesRulesApply',
] as const satisfies readonly (keyof SeriesRuleMethods)[]
