/** The figures of all rounds, and their medians. */
import type { ContenderName } from '../contenders/contender.ts'
import type { Disk, JobResult } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadName } from '../workloads/workload.ts'

export interface Sample {
  readonly disk: Disk
  readonly round: number
  readonly workload: WorkloadName
  readonly contender: ContenderName
  readonly loadAverage: number
  readonly result: JobResult
}

export class Samples {
  readonly #samples: Sample[] = []

  get all(): readonly Sample[] {
    return this.#samples
  }

  add(sample: Sample): void {
    this.#samples.push(sample)
  }

  /** One figure per round in which the job succeeded. */
  figures(disk: Disk, workload: WorkloadName, contender: ContenderName, metric: string): number[] {
    return this.#samples.flatMap((sample) => {
      if (sample.disk !== disk || sample.workload !== workload || sample.contender !== contender) return []
      if ('error' in sample.result) return []
      const value = sample.result.metrics[metric]
      return typeof value === 'number' && Number.isFinite(value) ? [value] : []
    })
  }

  median(disk: Disk, workload: WorkloadName, contender: ContenderName, metric: string): number | undefined {
    const figures = this.figures(disk, workload, contender, metric)
    return figures.length === 0 ? undefined : median(figures)
  }
}
