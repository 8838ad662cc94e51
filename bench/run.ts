/**
 * The benchmarks: Holdfast beside what one would pick instead, on equal terms, in one run. See README.md.
 *
 * Every figure comes from a process of its own. Rounds are interleaved and begin with another contender each, so that a
 * busy spell of the machine hits all of them and no one always follows the same neighbour.
 */

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile } from './compile.ts'
import { CONTENDERS, type ContenderName, type Secrets } from './contenders/contender.ts'
import { copyStore, type FixtureName } from './fixtures.ts'
import type { Disk, JobResult, MeasureJob } from './job.ts'
import { fileSystemOf, isInMemory, readMachineFacts } from './machine-facts.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { Progress } from './progress.ts'
import { Samples } from './report/medians.ts'
import { formatReport, type Run, reportData, summarizeVerdicts, TERMS_DELAY_MS } from './report/report.ts'
import { killRunningJobs, runJob, type Shim } from './run-job.ts'
import { sizesOf } from './sizes.ts'
import { buildShim, SLOW_DISK_DELAY_MICROS } from './slow-disk/build-shim.ts'
import { WORKLOADS, type WorkloadName } from './workloads/workload.ts'

const benchDir = dirname(fileURLToPath(import.meta.url))
const projectDir = dirname(benchDir)

interface Step {
  readonly disk: Disk
  readonly round: number
  readonly workload: WorkloadName
  readonly contender: ContenderName
}

async function main(): Promise<void> {
  const options = readOptions()
  const dataRoot = resolve(options.dataDir ?? join(benchDir, '.data'))
  mkdirSync(dataRoot, { recursive: true })
  if (isInMemory(dataRoot)) {
    throw new Error(
      `${dataRoot} is on ${fileSystemOf(dataRoot)}, where a sync costs nothing; give a real disk with --data-dir.`,
    )
  }
  const runDir = mkdtempSync(join(dataRoot, 'run-'))
  const cleanUp = () => {
    killRunningJobs()
    rmSync(runDir, { recursive: true, force: true })
  }
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      cleanUp()
      process.exit(exitCode)
    })
  }
  try {
    await runAll(options, runDir)
  } finally {
    cleanUp()
  }
}

async function runAll(options: Options, runDir: string): Promise<void> {
  const machine = readMachineFacts(projectDir, dirname(runDir))
  console.log(
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernel}; Node ${machine.node}`,
  )
  console.log(`Stores in ${machine.dataDir} on ${machine.fileSystem}; revision ${machine.revision}`)

  const contenders = options.contenders.filter((name) => {
    if (name !== 'holdfast' || existsSync(join(projectDir, 'dist', 'index.js'))) return true
    console.log('holdfast: not built (no dist/index.js); its peers run alone.')
    return false
  })
  const shim = buildShim(benchDir, runDir)
  if ('missing' in shim) console.log(`No slow disk and no check of the terms: ${shim.missing}.`)
  if (options.isQuick) console.log('Quick: smaller stores and shorter runs than the titles say; not to be quoted.')
  console.log()

  const shimPath = 'path' in shim ? shim.path : undefined
  const disks: Disk[] = []
  if (options.disks !== 'slow') disks.push('fast')
  if (options.disks !== 'fast' && shimPath !== undefined) disks.push('slow')
  const harness = new Harness(options, runDir, shimPath)
  const samples = new Samples()
  const steps = planSteps(options, contenders, disks, shimPath !== undefined)
  const progress = new Progress(steps.length)
  for (const step of steps) {
    progress.show(`${step.workload} · ${CONTENDERS[step.contender].label} · ${step.disk} disk, round ${step.round}`)
    const loadAverage = os.loadavg()[0] as number
    samples.add({ ...step, loadAverage, result: await harness.measure(step) })
  }
  progress.end()

  const run: Run = { samples, machine, options, contenders, disks }
  console.log(formatReport(run))
  console.log()
  if (contenders.includes('holdfast')) {
    const { met, missed } = summarizeVerdicts(run)
    console.log(`${met} budgets met, ${missed} missed.`)
  }
  if (options.jsonFile !== undefined) {
    const path = resolve(options.jsonFile)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${JSON.stringify(reportData(run), null, 1)}\n`)
    console.log(`Every figure of every round: ${path}`)
  }
  if (samples.all.some((sample) => 'error' in sample.result)) process.exitCode = 1
}

/** Round by round and workload by workload, the contenders in another order each round. */
function planSteps(
  options: Options,
  contenders: readonly ContenderName[],
  disks: readonly Disk[],
  hasShim: boolean,
): Step[] {
  const steps: Step[] = []
  const addRound = (disk: Disk, round: number, workload: WorkloadName) => {
    const taking = contenders.filter((name) => WORKLOADS[workload].contenders.includes(name))
    const first = (round - 1) % Math.max(taking.length, 1)
    for (const contender of [...taking.slice(first), ...taking.slice(0, first)]) {
      steps.push({ disk, round, workload, contender })
    }
  }
  if (hasShim && options.workloads.includes('terms')) addRound('slow', 1, 'terms')
  for (const disk of disks) {
    const rounds = disk === 'fast' ? options.rounds : options.slowRounds
    for (let round = 1; round <= rounds; round++) {
      for (const workload of options.workloads) {
        const facts = WORKLOADS[workload]
        if (workload === 'terms' || round > (facts.maxRounds ?? rounds)) continue
        if (disk === 'fast' || facts.isRunOnSlowDisk === true) addRound(disk, round, workload)
      }
    }
  }
  return steps
}

/** Runs single jobs, and fills the stores they begin with when they are first needed. */
class Harness {
  readonly #options: Options
  readonly #runDir: string
  readonly #entry: string
  readonly #shimPath: string | undefined
  readonly #secrets: Secrets = {
    rawKey: randomBytes(32).toString('hex'),
    password: randomBytes(24).toString('base64url'),
  }
  readonly #fixtures = new Map<string, Promise<JobResult>>()
  #jobs = 0

  constructor(options: Options, runDir: string, shimPath: string | undefined) {
    this.#options = options
    this.#runDir = runDir
    this.#entry = compile(benchDir, runDir)
    this.#shimPath = shimPath
  }

  async measure({ disk, workload, contender }: Step): Promise<JobResult> {
    const facts = WORKLOADS[workload]
    const storeDir = join(this.#runDir, `job-${++this.#jobs}`)
    const sharedDirs: Partial<Record<FixtureName, string>> = {}
    if (contender !== 'idle') {
      for (const fixture of [...(facts.shares ?? []), ...(facts.copies === undefined ? [] : [facts.copies])]) {
        const filled = await this.#fill(fixture, contender)
        if ('error' in filled) return { error: `Its ${fixture} store could not be filled. ${filled.error}` }
        sharedDirs[fixture] = this.#fixtureDir(fixture, contender)
      }
      if (facts.copies !== undefined) copyStore(this.#fixtureDir(facts.copies, contender), storeDir)
    }
    const job: MeasureJob = {
      kind: 'measure',
      workload,
      contender,
      disk,
      storeDir,
      sharedDirs,
      archiveRows: this.#options.archiveRows,
      megabytes: this.#options.megabytes,
      secrets: this.#secrets,
      sizes: sizesOf(this.#options),
    }
    const result = await runJob(job, {
      entry: this.#entry,
      exposeGc: facts.needsGc === true,
      shim: disk === 'slow' ? this.#shimFor(workload) : undefined,
    })
    for (const suffix of ['', '-empty']) rmSync(storeDir + suffix, { recursive: true, force: true })
    return result
  }

  #shimFor(workload: WorkloadName): Shim | undefined {
    if (this.#shimPath === undefined) return undefined
    if (workload !== 'terms') return { path: this.#shimPath, delayMicros: SLOW_DISK_DELAY_MICROS }
    const countFile = join(this.#runDir, `syncs-${this.#jobs}`)
    return { path: this.#shimPath, delayMicros: TERMS_DELAY_MS * 1000, countFile }
  }

  #fixtureDir(fixture: FixtureName, contender: ContenderName): string {
    return join(this.#runDir, 'fixtures', `${fixture}-${CONTENDERS[contender].fixturesOf}`)
  }

  #fill(fixture: FixtureName, contender: ContenderName): Promise<JobResult> {
    const { fixturesOf } = CONTENDERS[contender]
    const storeDir = this.#fixtureDir(fixture, contender)
    let filling = this.#fixtures.get(storeDir)
    if (filling === undefined) {
      mkdirSync(dirname(storeDir), { recursive: true })
      filling = runJob(
        {
          kind: 'seed',
          fixture,
          contender: fixturesOf,
          storeDir,
          archiveRows: this.#options.archiveRows,
          megabytes: this.#options.megabytes,
          secrets: this.#secrets,
          sizes: sizesOf(this.#options),
        },
        { entry: this.#entry },
      )
      this.#fixtures.set(storeDir, filling)
    }
    return filling
  }
}

function readOptions(): Options {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options !== 'help') return options
    console.log(USAGE)
    process.exit(0)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
    process.exit(2)
  }
}

try {
  await main()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}
