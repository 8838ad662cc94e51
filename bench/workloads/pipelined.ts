import { performance } from 'node:perf_hooks'
import type { Metrics } from '../job.ts'
import { MainThreadClock } from '../measure/main-thread-time.ts'
import { runPipelined } from '../measure/pipelined-puts.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const nextDocument = documentRing(sizes)
  const store = await contender.open(job.storeDir, job.secrets)
  const put = () => store.put(nextDocument())
  await runPipelined({ put, maxPuts: Number.POSITIVE_INFINITY, maxMs: sizes.warmUpMs })

  const clock = new MainThreadClock()
  const start = performance.now()
  const puts = await runPipelined({ put, maxPuts: sizes.pipelinedMaxPuts, maxMs: sizes.pipelinedMaxMs })
  const elapsedMs = performance.now() - start
  const { busyMs, processorMs } = clock.read()
  await store.close()
  return {
    puts,
    busyMicrosPerPut: (busyMs * 1000) / puts,
    processorMicrosPerPut: (processorMs * 1000) / puts,
    putsPerSecond: (puts * 1000) / elapsedMs,
  }
}
