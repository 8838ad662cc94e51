import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { openBarSeries } from '../contenders/bar-series.ts'
import type { Metrics } from '../job.ts'
import { median, summarizeLatencies } from '../measure/percentiles.ts'
import { realBars, repeatedBars } from '../real-bars.ts'
import type { WorkloadContext } from './workload.ts'

const APPENDS = 5
const READS = 3
const LAST_BARS = 200
const LAST_CALLS = 2_000

export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const { sizes, contender } = job
  const store = await openBarSeries(contender, job.storeDir, job.secrets)
  const real = realBars()
  // First, while its file holds nothing else.
  await store.append('real', real)
  const bytesPerBar = await store.bytesPerBar('real')

  const appended = repeatedBars(sizes.loadedBars)
  const appends: Timed[] = []
  for (let turn = 0; turn < APPENDS; turn++) appends.push(await timed(() => store.append(`S${turn}`, appended)))

  const count = sizes.mixedStoredBars
  await store.append('big', repeatedBars(count))
  const ranges: Timed[] = []
  const resamples: Timed[] = []
  for (let turn = 0; turn < READS; turn++) {
    ranges.push(
      await timed(async () => {
        const { close } = await store.range('big')
        if (close.length !== count) throw new Error(`${close.length} bars came instead of ${count}.`)
      }),
    )
    resamples.push(await timed(() => store.resample('big')))
  }
  const latenciesMs: number[] = []
  for (let call = 0; call < LAST_CALLS; call++) {
    const start = performance.now()
    const found = await store.last('big', LAST_BARS)
    latenciesMs.push(performance.now() - start)
    if (found !== LAST_BARS) throw new Error(`${found} bars came instead of ${LAST_BARS}.`)
  }
  await store.close()
  const last = summarizeLatencies(latenciesMs)
  return {
    appendedPerSecond: median(appends.map(({ ms }) => (sizes.loadedBars * 1000) / ms)),
    appendGapMs: median(appends.map(({ gapMs }) => gapMs)),
    rangePerSecond: median(ranges.map(({ ms }) => (count * 1000) / ms)),
    rangeGapMs: median(ranges.map(({ gapMs }) => gapMs)),
    resampleMs: median(resamples.map(({ ms }) => ms)),
    lastP50Ms: last.p50,
    lastP99Ms: last.p99,
    bytesPerBar,
  }
}

interface Timed {
  readonly ms: number
  readonly gapMs: number
}

/** With the longest time between two turns of the event loop meanwhile. */
async function timed(work: () => Promise<unknown>): Promise<Timed> {
  await setTimeout(20)
  let gapMs = 0
  let seen = performance.now()
  const beat = () => {
    const now = performance.now()
    gapMs = Math.max(gapMs, now - seen)
    seen = now
  }
  const timer = setInterval(beat, 1)
  const start = performance.now()
  await work()
  const ms = performance.now() - start
  await setTimeout(2)
  beat()
  clearInterval(timer)
  return { ms, gapMs }
}
