import { performance } from 'node:perf_hooks'
import { CONTENDERS, type Durable } from '../contenders/contender.ts'
import { orderDocuments } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import { burstPutsOf } from '../sizes.ts'
import type { WorkloadContext } from './workload.ts'

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const { commitsPerPut } = CONTENDERS[job.contender]
  const puts = burstPutsOf(sizes, { isSlow: job.disk === 'slow', commitsPerPut })
  const store = await contender.open(job.storeDir, job.secrets)

  async function burst(count: number, generation: number): Promise<number> {
    const documents = orderDocuments(count, generation)
    const start = performance.now()
    const durable: Durable[] = []
    for (const document of documents) durable.push(store.put(document))
    await Promise.all(durable)
    return (count * 1000) / (performance.now() - start)
  }

  // Warm: the code compiled, the files at their size. Those who commit each put are warm after a tenth.
  await burst(commitsPerPut ? puts / 10 : puts, 1)
  const rates: number[] = []
  const start = performance.now()
  do {
    rates.push(await burst(puts, rates.length + 2))
  } while (rates.length < sizes.maxBursts && performance.now() - start < sizes.burstMaxMs)
  await store.close()
  return { puts, putsPerSecond: median(rates), bursts: rates }
}
