/** What the runner asks of a measured process, and what it gets back. */
import type { ContenderName, Secrets } from './contenders/contender.ts'
import type { FixtureName } from './fixtures.ts'
import type { Sizes } from './sizes.ts'
import type { WorkloadName } from './workloads/workload.ts'

export type Disk = 'fast' | 'slow'

export interface MeasureJob {
  readonly kind: 'measure'
  readonly workload: WorkloadName
  readonly contender: ContenderName
  readonly disk: Disk
  /** A store filled for this job alone, or the folder for a new one. */
  readonly storeDir: string
  /** Stores that jobs share, for workloads that leave them as large as they were. */
  readonly sharedDirs: Partial<Record<FixtureName, string>>
  readonly archiveRows: number
  /** Of the big store whose password is rotated. */
  readonly megabytes: number
  readonly secrets: Secrets
  readonly sizes: Sizes
}

export interface SeedJob {
  readonly kind: 'seed'
  readonly fixture: FixtureName
  readonly contender: ContenderName
  readonly storeDir: string
  readonly archiveRows: number
  /** Of the big store whose password is rotated. */
  readonly megabytes: number
  readonly secrets: Secrets
  readonly sizes: Sizes
}

export type Job = MeasureJob | SeedJob

/** Single figures, and lists where the parts are worth keeping. */
export type Metrics = Readonly<Record<string, number | readonly number[]>>

export type JobResult = { readonly metrics: Metrics } | { readonly error: string }

export const JOB_VARIABLE = 'BENCH_JOB'
/** Begins the one line of output that carries the result; libraries may print others. */
export const RESULT_MARK = '\u0001bench-result '
