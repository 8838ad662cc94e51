/**
 * The upkeep of an open store: on a schedule when nothing else is going on, and when it is asked for. One run at a time;
 * closing the store ends one at its next step.
 */
import type {
  FileMaintenance,
  MaintainRequest,
  MaintenanceResult,
  MaintenanceSchedule,
  MaintenanceStatus,
  SeriesMaintenance,
} from '../../protocol/maintenance.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { Committer } from '../committer.ts'
import type { FileBackend } from '../file-backend.ts'
import { toStoreError } from '../io-error.ts'
import type { MaintenanceLock } from '../maintenance-lock.ts'
import { analyzeInSteps } from './analyze.ts'
import { needsSample, recordSample } from './growth.ts'
import { measureSizes } from './sizes.ts'
import { vacuumFully, vacuumInSteps } from './vacuum.ts'

/** A process that does not live for a whole interval is served all the same. */
const MAX_FIRST_DELAY_MS = 60_000
const OPERATION = 'maintenance'
/** A put that was broken off and not taken up again for this long is garbage. */
const ABANDONED_PUT_MS = 24 * 3_600_000

export interface MaintenanceOptions {
  readonly dir: string
  readonly files: ReadonlyMap<DatabaseFile, FileBackend>
  readonly schedule: MaintenanceSchedule | null
  readonly maintenanceLock: MaintenanceLock
  readonly artifacts: ArtifactStore
  /** What frees space comes before space is given back. */
  readonly applySeriesRules: () => Promise<unknown>
  /** `isFull`: also what is not worth it yet. */
  readonly compactSeries: (isFull: boolean, isStopped: () => boolean) => Promise<SeriesMaintenance>
}

interface Run {
  readonly fullVacuum: boolean
  /** Only a run on request measures again what was measured today, and empties the log. */
  readonly isRequested: boolean
}

export class Maintenance {
  readonly #options: MaintenanceOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<unknown> | undefined
  #requests: Promise<unknown> = Promise.resolve()
  #isStopped = false
  #dueAtMs = Number.POSITIVE_INFINITY
  #commits = 0
  #lastCommitAtMs = performance.now()
  #lastRun: MaintenanceStatus['lastRun'] = null

  constructor(options: MaintenanceOptions) {
    this.#options = options
  }

  get status(): MaintenanceStatus {
    return { schedule: this.#options.schedule, isRunning: this.#running !== undefined, lastRun: this.#lastRun }
  }

  start(): void {
    const { schedule } = this.#options
    if (schedule === null) return
    this.#dueAtMs = performance.now() + Math.min(schedule.everyMs, MAX_FIRST_DELAY_MS)
    this.#timer = setInterval(() => this.#tick(schedule), Math.min(schedule.idleMs, schedule.everyMs))
    this.#timer.unref()
  }

  /** @throws StoreError `READ_ONLY`, `BUSY_OPERATION`, `DISK_FULL`, `OUT_OF_MEMORY` */
  run({ fullVacuum }: MaintainRequest): Promise<MaintenanceResult> {
    const result = this.#requests.then(async () => {
      await this.#running?.catch(() => undefined)
      return await this.#options.maintenanceLock.exclusiveOperation(OPERATION, () =>
        this.#begin({ fullVacuum, isRequested: true }),
      )
    })
    this.#requests = result.catch(() => undefined)
    return result
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await this.#running?.catch(() => undefined)
  }

  #tick({ everyMs, idleMs }: MaintenanceSchedule): void {
    const now = performance.now()
    const commits = this.#commitsOf()
    if (commits !== this.#commits) this.#lastCommitAtMs = now
    this.#commits = commits
    if (this.#running !== undefined || now < this.#dueAtMs || this.#stopped()) return
    const isIdle = now - this.#lastCommitAtMs >= idleMs
    if (!isIdle && now < this.#dueAtMs + everyMs) return
    this.#begin({ fullVacuum: false, isRequested: false })
      .catch(() => undefined)
      .finally(() => {
        this.#dueAtMs = performance.now() + everyMs
      })
  }

  #commitsOf(): number {
    let commits = 0
    for (const { committer } of this.#options.files.values()) commits += committer?.status.commits ?? 0
    return commits
  }

  async #begin(run: Run): Promise<MaintenanceResult> {
    const startedAt = performance.now()
    const running = this.#run(run)
    this.#running = running
    let freedBytes = 0
    let error: StoreError | null = null
    try {
      const { files, artifacts, series } = await running
      freedBytes = files.state.freedBytes + files.market.freedBytes
      return { durationMs: performance.now() - startedAt, files, artifacts, series }
    } catch (thrown) {
      error = await toStoreError(thrown, this.#options.dir)
      throw error
    } finally {
      this.#running = undefined
      const durationMs = performance.now() - startedAt
      this.#lastRun = { atMs: Date.now(), durationMs, freedBytes, error: error?.code ?? null }
    }
  }

  async #run(run: Run): Promise<Omit<MaintenanceResult, 'durationMs'>> {
    // First, so that the room in the database is given back, too.
    const artifacts = await this.#options.artifacts.artifactCollect({ unfinishedOlderThanMs: ABANDONED_PUT_MS })
    await this.#options.applySeriesRules()
    const series = await this.#options.compactSeries(run.isRequested, this.#stopped)
    const results = {} as Record<DatabaseFile, FileMaintenance>
    for (const file of DATABASE_FILES) results[file] = await this.#runFile(file, run)
    const state = this.#options.files.get('state') as FileBackend
    if (run.isRequested || (await needsSample((sql, parameters) => state.readers.query(sql, parameters)))) {
      const sizes = await measureSizes(this.#options.files, this.#stopped)
      if (sizes !== undefined) await recordSample(this.#committer('state'), sizes)
    }
    return { files: results, artifacts, series }
  }

  async #runFile(file: DatabaseFile, { fullVacuum, isRequested }: Run): Promise<FileMaintenance> {
    const backend = this.#options.files.get(file) as FileBackend
    const committer = this.#committer(file)
    const before = await backend.freeSpace()
    if (fullVacuum && before.freeBytes > 0) await vacuumFully(committer, this.#options.dir)
    else await vacuumInSteps(committer, () => backend.freeSpace(), this.#stopped)
    const analyzed = await analyzeInSteps(committer, this.#stopped)
    if (isRequested) await backend.checkpoint()
    else await backend.checkpointBeside()
    const { freeBytes, usedBytes, isIncremental } = await backend.freeSpace()
    return {
      freedBytes: Math.max(0, before.freeBytes + before.usedBytes - freeBytes - usedBytes),
      freeBytes,
      needsFullVacuum: !isIncremental && freeBytes > 0,
      analyzed,
    }
  }

  #committer(file: DatabaseFile): Committer {
    const committer = this.#options.files.get(file)?.committer ?? null
    if (committer === null) throw new StoreError('READ_ONLY', 'A store opened with readOnly: true is not maintained.')
    return committer
  }

  /** What somebody asked for goes before what the schedule has begun. */
  readonly #stopped = (): boolean => {
    const { running } = this.#options.maintenanceLock
    return this.#isStopped || (running !== null && running !== OPERATION)
  }
}
