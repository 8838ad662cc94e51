/** What the demo has done, measured and checked: what `--json` prints, and the tables are made of. */

import type { PlaintextSearch } from '../check/plaintext-search.ts'
import type { ComparedCollection } from '../check/state-documents.ts'
import type { Kill, RunFigures } from './bot-run.ts'
import type { TradingMemory } from './trading-memory.ts'

export type RunName = 'killed' | 'uninterrupted'

export type DocumentCounts = Readonly<Record<ComparedCollection, number>>

export interface Check {
  readonly id: string
  readonly title: string
  readonly isPassed: boolean
  /** What was found, in a few words; the reason when it has failed. */
  readonly detail: string
}

export interface DemoResult {
  readonly isPassed: boolean
  readonly checks: readonly Check[]
  readonly dir: string
  readonly seconds: number
  readonly bars: number
  readonly figures: Readonly<Record<RunName, RunFigures>>
  readonly kills: readonly Kill[]
  readonly idleGapMs: number
  readonly documents: Readonly<Record<RunName, DocumentCounts>>
  readonly memory: TradingMemory
  readonly search: PlaintextSearch
}
