/** Runs one job in a Node process of its own and waits for its result. */
import { type ChildProcess, spawn } from 'node:child_process'
import { JOB_VARIABLE, type Job, type JobResult, RESULT_MARK } from './job.ts'
import { COUNT_VARIABLE, DELAY_VARIABLE } from './slow-disk/build-shim.ts'

export interface Shim {
  readonly path: string
  readonly delayMicros: number
  readonly countFile?: string
}

export interface JobOptions {
  /** The compiled `measured-process.js`. */
  readonly entry: string
  readonly exposeGc?: boolean
  readonly shim?: Shim | undefined
}

const JOB_TIMEOUT_MS = 300_000
const running = new Set<ChildProcess>()

export function runJob(job: Job, { entry, exposeGc, shim }: JobOptions): Promise<JobResult> {
  const environment: NodeJS.ProcessEnv = { ...process.env, [JOB_VARIABLE]: JSON.stringify(job) }
  // Measured processes are plain Node: a loader inherited from the runner would be in their workers too.
  delete environment.NODE_OPTIONS
  if (shim !== undefined) {
    environment.LD_PRELOAD = shim.path
    environment[DELAY_VARIABLE] = String(shim.delayMicros)
    if (shim.countFile !== undefined) environment[COUNT_VARIABLE] = shim.countFile
  }

  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...(exposeGc === true ? ['--expose-gc'] : []), entry], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let output = ''
    let complaints = ''
    let timedOut = false
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      complaints += chunk
    })
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, JOB_TIMEOUT_MS)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      const line = output.split('\n').find((each) => each.startsWith(RESULT_MARK))
      if (line !== undefined) resolve(JSON.parse(line.slice(RESULT_MARK.length)) as JobResult)
      else if (timedOut) resolve({ error: `No result after ${JOB_TIMEOUT_MS / 1000} s.` })
      else resolve({ error: `Ended with ${signal ?? `code ${code}`} and no result. ${complaints.trim()}` })
    })
  })
}

/** For an interrupted run: the measured process must not outlive it. */
export function killRunningJobs(): void {
  for (const child of running) child.kill('SIGKILL')
}
