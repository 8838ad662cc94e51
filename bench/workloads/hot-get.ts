import { performance } from 'node:perf_hooks'
import { documentId, shuffledIndexes } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

/** Gets between two looks at the clock. */
const GETS_PER_LAP = 1_000

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const store = await contender.open(job.storeDir, job.secrets)
  const ids = Array.from(shuffledIndexes(job.sizes.hotDocuments), documentId)
  // What is read is used, so that no compiler can leave the reading out.
  let checksum = 0

  async function lap(offset: number): Promise<number> {
    const start = performance.now()
    for (let n = 0; n < GETS_PER_LAP; n++) {
      const found = store.get(ids[(offset + n) % ids.length] as string)
      // Awaited only where it must be: a synchronous get is used as one.
      const document = found instanceof Promise ? await found : found
      checksum += document?.createdAt ?? Number.NaN
    }
    return ((performance.now() - start) * 1e6) / GETS_PER_LAP
  }

  async function lapsFor(ms: number): Promise<number[]> {
    const laps: number[] = []
    const start = performance.now()
    while (performance.now() - start < ms) laps.push(await lap(laps.length * GETS_PER_LAP))
    return laps
  }

  await lapsFor(job.sizes.hotGetMs / 2)
  const laps = await lapsFor(job.sizes.hotGetMs)
  await store.close()
  if (Number.isNaN(checksum)) throw new Error('A hot document was not found.')
  return { nanosPerGet: median(laps), gets: laps.length * GETS_PER_LAP }
}
