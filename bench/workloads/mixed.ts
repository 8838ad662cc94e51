import { performance } from 'node:perf_hooks'
import { newBars } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { Metronome } from '../measure/metronome.ts'
import { runPaced } from '../measure/paced-arrivals.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

const WARM_UP_MS = 500
/** Into the measured time, so that there is a calm before. */
const HEAVY_WORK_AFTER_MS = 500
/** After the heavy work, so that its backlog is seen too. */
const CALM_AFTERWARDS_MS = 300

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const nextDocument = documentRing(sizes)
  const store = await contender.open(job.storeDir, job.secrets)
  const put = () => store.put(nextDocument())
  const perSecond = sizes.steadyPerSecond
  const metronome = await Metronome.create(perSecond)
  await runPaced({ beats: metronome, perSecond, put, isOver: (elapsedMs) => elapsedMs > WARM_UP_MS })

  const bars = newBars(sizes.loadedBars)
  const start = performance.now()
  const sinceStart = () => performance.now() - start
  let heavyBeganMs = Number.POSITIVE_INFINITY
  let loadedMs = Number.POSITIVE_INFINITY
  let aggregatedMs = Number.POSITIVE_INFINITY

  async function load(): Promise<void> {
    heavyBeganMs = sinceStart()
    const count = await store.loadBars(bars)
    loadedMs = sinceStart()
    if (count !== sizes.loadedBars) throw new Error(`${count} bars were loaded instead of ${sizes.loadedBars}.`)
  }
  async function aggregate(): Promise<void> {
    const seen = await store.aggregateBars()
    aggregatedMs = sinceStart()
    if (seen < sizes.mixedStoredBars) throw new Error(`Only ${seen} bars were aggregated.`)
  }
  // Two timers, a millisecond apart: the loop turns between them even where both block it.
  const heavyWork = Promise.all([later(HEAVY_WORK_AFTER_MS, load), later(HEAVY_WORK_AFTER_MS + 1, aggregate)])

  const paced = runPaced({
    beats: metronome,
    perSecond,
    put,
    isOver(elapsedMs) {
      const heavyEndedMs = Math.max(loadedMs, aggregatedMs)
      return elapsedMs > sizes.mixedMs && elapsedMs > heavyEndedMs + CALM_AFTERWARDS_MS
    },
  })
  const [{ latenciesMs, stallsMs, longestGapMs, stalledMs }] = await Promise.all([paced, heavyWork])
  await metronome.end()
  await store.close()

  const heavyEndedMs = Math.max(loadedMs, aggregatedMs)
  const whileHeavy = latenciesMs.filter((_, index) => {
    const dueMs = (index * 1000) / perSecond
    return dueMs >= heavyBeganMs && dueMs <= heavyEndedMs
  })
  const all = summarizeLatencies(latenciesMs)
  const heavy = summarizeLatencies(whileHeavy)
  return {
    puts: all.count,
    ackP50Ms: all.p50,
    ackP99Ms: all.p99,
    ackP999Ms: all.p999,
    ackMaxMs: all.max,
    heavyPuts: heavy.count,
    heavyAckP50Ms: heavy.p50,
    heavyAckP99Ms: heavy.p99,
    longestGapMs,
    stalledMs,
    stallsMs,
    loadMs: loadedMs - heavyBeganMs,
    aggregateMs: aggregatedMs - heavyBeganMs,
  }
}

function later(delayMs: number, work: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(() => work().then(resolve, reject), delayMs)
  })
}
