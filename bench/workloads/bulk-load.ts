import { performance } from 'node:perf_hooks'
import { type NewBars, newBars } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { MainThreadClock } from '../measure/main-thread-time.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

const WARM_UP_BARS = 5_000
const MAX_LOADS = 3

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const store = await contender.open(job.storeDir, job.secrets)
  const load = (bars: NewBars) => (store.loadBarRows ?? store.loadBars)(bars)
  await load(newBars(WARM_UP_BARS, 0))

  const rates: number[] = []
  const busyMicrosPerRow: number[] = []
  const start = performance.now()
  do {
    const bars = newBars(sizes.loadedBars, rates.length + 1)
    const clock = new MainThreadClock()
    const loadStart = performance.now()
    const count = await load(bars)
    const loadMs = performance.now() - loadStart
    if (count !== sizes.loadedBars) throw new Error(`${count} bars were loaded instead of ${sizes.loadedBars}.`)
    rates.push((count * 1000) / loadMs)
    busyMicrosPerRow.push((clock.read().busyMs * 1000) / count)
  } while (rates.length < MAX_LOADS && performance.now() - start < sizes.bulkLoadMaxMs)
  await store.close()
  return { rowsPerSecond: median(rates), loads: rates, busyMicrosPerRow: median(busyMicrosPerRow) }
}
