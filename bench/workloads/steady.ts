import type { Metrics } from '../job.ts'
import { TimerBeats } from '../measure/beats.ts'
import { MainThreadClock } from '../measure/main-thread-time.ts'
import { runPaced } from '../measure/paced-arrivals.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const nextDocument = documentRing(sizes)
  const store = await contender.open(job.storeDir, job.secrets)
  const put = () => store.put(nextDocument())
  const perSecond = sizes.steadyPerSecond
  const beats = new TimerBeats()
  await runPaced({ beats, perSecond, put, isOver: (elapsedMs) => elapsedMs > sizes.warmUpMs })

  const clock = new MainThreadClock()
  const paced = await runPaced({ beats, perSecond, put, isOver: (elapsedMs) => elapsedMs > sizes.steadyMs })
  const { busyMs, processorMs } = clock.read()
  await store.close()

  const puts = paced.latenciesMs.length
  const ack = summarizeLatencies(paced.latenciesMs)
  return {
    puts,
    busyMicrosPerPut: (busyMs * 1000) / puts,
    processorMicrosPerPut: (processorMs * 1000) / puts,
    // With the timer's jitter in them; `mixed` has the exact ones.
    ackP50Ms: ack.p50,
    ackP99Ms: ack.p99,
    ackMaxMs: ack.max,
  }
}
