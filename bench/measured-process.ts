/** The process in which one contender does one thing: fill a fixture, or run a workload. Started by `run-job.ts`. */
import { loadContender } from './contenders/contender.ts'
import { contentOf } from './fixtures.ts'
import { JOB_VARIABLE, type Job, type JobResult, type Metrics, RESULT_MARK } from './job.ts'
import { loadWorkload } from './workloads/workload.ts'

async function work(job: Job): Promise<Metrics> {
  const contender = await loadContender(job.contender)
  if (job.kind === 'measure') {
    const run = await loadWorkload(job.workload)
    return run({ contender, job })
  }
  if (contender.seed === undefined) throw new Error(`${job.contender} fills no stores of its own.`)
  await contender.seed(job.storeDir, job.secrets, contentOf(job.fixture, job))
  return {}
}

let result: JobResult
try {
  const job = JSON.parse(process.env[JOB_VARIABLE] ?? '') as Job
  // The job carries a password, which nobody started from here needs to see.
  delete process.env[JOB_VARIABLE]
  result = { metrics: await work(job) }
} catch (error) {
  result = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
// Exits even if a contender left something running.
process.stdout.write(`\n${RESULT_MARK}${JSON.stringify(result)}\n`, () => process.exit('error' in result ? 1 : 0))
