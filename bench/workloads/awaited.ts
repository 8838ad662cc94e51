import { performance } from 'node:perf_hooks'
import type { Metrics } from '../job.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const nextDocument = documentRing(sizes)
  const store = await contender.open(job.storeDir, job.secrets)
  const warmAt = performance.now() + sizes.warmUpMs
  while (performance.now() < warmAt) await store.put(nextDocument())

  const latenciesMicros: number[] = []
  const deadline = performance.now() + sizes.awaitedMaxMs
  for (let index = 0; index < sizes.awaitedMaxPuts; index++) {
    const start = performance.now()
    if (start > deadline) break
    await store.put(nextDocument())
    latenciesMicros.push((performance.now() - start) * 1000)
  }
  await store.close()
  const { p50, p99, max, count } = summarizeLatencies(latenciesMicros)
  return { puts: count, p50Micros: p50, p99Micros: p99, maxMicros: max }
}
