/** What crosses the thread boundary about skills. Metadata and metrics travel as JSON texts. */

/** A skill that another one builds on; `version` is null where it follows the current one. */
export interface SkillDependencyWire {
  readonly name: string
  readonly version: number | null
}

export interface SkillWire {
  readonly name: string
  readonly kind: string
  readonly description: string
  readonly content: string
  readonly metadata: string
  /** Ascending, each once. */
  readonly tags: readonly string[]
  readonly dependencies: readonly SkillDependencyWire[]
  readonly note: string | null
}

export interface SkillSaveRequest {
  /** 16 random bytes: the same request sent again is known by them. */
  readonly operation: Uint8Array
  readonly skills: readonly SkillWire[]
}

/** What became of a skill that was saved. */
export interface SavedSkill {
  readonly name: string
  readonly version: number
  /** False when it was the same as the current version, which then stays. */
  readonly isNew: boolean
}

export interface SkillRequest {
  readonly name: string
  /** Null for the current one. */
  readonly version: number | null
}

/** A version without its content. Times are Unix milliseconds. */
export interface SkillVersionWire {
  readonly name: string
  readonly version: number
  readonly isCurrent: boolean
  readonly kind: string
  readonly description: string
  readonly tags: readonly string[]
  readonly note: string | null
  readonly savedAt: number
  /** Of its content, in UTF-8. */
  readonly contentBytes: number
  readonly dependencies: readonly SkillDependencyWire[]
}

export interface FullSkillWire extends SkillVersionWire {
  readonly metadata: string
  readonly content: string
}

/** A version of a skill that another one needs. */
export interface NeededSkill {
  readonly name: string
  readonly version: number
}

/** A version of a skill that needs another one. */
export interface DependentSkill {
  readonly name: string
  readonly version: number
  readonly isCurrent: boolean
  /** The version it asks for; null where it follows the current one. */
  readonly pinned: number | null
}

export interface SkillPerformanceRequest extends SkillRequest {
  readonly operation: Uint8Array
  readonly at: number
  readonly metrics: string
}

export interface PerformanceHistoryRequest extends SkillRequest {
  readonly from: number | null
  readonly to: number | null
  readonly limit: number
}

/** `metrics` is a JSON object of numbers. */
export interface PerformanceRecordWire {
  readonly version: number
  readonly at: number
  readonly metrics: string
}

/** Of one metric over all records it is in. */
export interface MetricSummary {
  readonly count: number
  readonly mean: number
  readonly min: number
  readonly max: number
  /** Of the newest record, by its time. */
  readonly last: number
}

export interface PerformanceSummary {
  readonly records: number
  /** Unix milliseconds; null without records. */
  readonly firstAt: number | null
  readonly lastAt: number | null
  readonly metrics: Readonly<Record<string, MetricSummary>>
}

export interface SkillFilter {
  readonly kind: string | null
  /** All of them, in whatever case. */
  readonly tags: readonly string[]
  readonly minSharpe: number | null
}

export interface SkillListRequest extends SkillFilter {
  /** Names behind this one; null for the first page. */
  readonly after: string | null
  readonly limit: number
}

/** A skill as lists show it. */
export interface SkillSummary {
  readonly name: string
  readonly version: number
  readonly kind: string
  readonly description: string
  readonly tags: readonly string[]
  /** The Sharpe ratio of its newest performance record that has one; null without. */
  readonly sharpe: number | null
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface SkillSearchRequest extends SkillFilter {
  readonly text: string
  readonly match: 'all' | 'any'
  readonly limit: number
  readonly snippetTokens: number
}

/** `snippet` has `SNIPPET_OPEN` and `SNIPPET_CLOSE` around what matched. */
export interface SkillMatchWire extends SkillSummary {
  readonly score: number
  readonly snippet: string
}

export const SNIPPET_OPEN = '\u{1}'
export const SNIPPET_CLOSE = '\u{2}'

export interface SkillDeleteRequest {
  readonly operation: Uint8Array
  readonly name: string
}

export interface SkillsStatus {
  readonly skills: number
  /** Current ones and those before. */
  readonly versions: number
}

export interface SkillMethods {
  skillSave(request: SkillSaveRequest): Promise<readonly SavedSkill[]>
  skillGet(request: SkillRequest): Promise<FullSkillWire | null>
  skillHistory(request: { readonly name: string }): Promise<readonly SkillVersionWire[]>
  /** Null when there is no such skill or version. */
  skillDependencies(request: SkillRequest): Promise<readonly NeededSkill[] | null>
  skillDependents(request: { readonly name: string }): Promise<readonly DependentSkill[]>
  skillRecordPerformance(request: SkillPerformanceRequest): Promise<void>
  skillPerformanceHistory(request: PerformanceHistoryRequest): Promise<readonly PerformanceRecordWire[]>
  skillPerformance(request: SkillRequest): Promise<PerformanceSummary>
  skillList(request: SkillListRequest): Promise<readonly SkillSummary[]>
  skillSearch(request: SkillSearchRequest): Promise<readonly SkillMatchWire[]>
  /** False when there was none. */
  skillDelete(request: SkillDeleteRequest): Promise<boolean>
}
