import { openHoldfast } from '../contenders/holdfast.ts'
import type { Metrics } from '../job.ts'
import { Metronome } from '../measure/metronome.ts'
import { runPaced } from '../measure/paced-arrivals.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

const TICKS_PER_SECOND = 20_000
const SYMBOLS = ['BTC/USDT', 'ETH/USDT', 'SOL/USDT', 'XRP/USDT'] as const

const MAX_CALM_MS = 20_000

/** The same puts without the feed, beside it and without it again, in one process: machines are not as calm at all times. */
export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const nextDocument = documentRing(sizes)
  const store = await openHoldfast(job.storeDir, job.secrets)
  const put = async () => {
    await store.docs.put(nextDocument())
  }
  const perSecond = sizes.steadyPerSecond
  const beats = await Metronome.create(perSecond)
  await runPaced({ beats, perSecond, put, isOver: (elapsedMs) => elapsedMs > sizes.warmUpMs })
  const calmMs = Math.min(sizes.feedMs, MAX_CALM_MS)
  const calmPuts = () => runPaced({ beats, perSecond, put, isOver: (elapsedMs) => elapsedMs > calmMs })
  const before = await calmPuts()

  const writer = store.ticks.writer()
  let written = 0
  const start = performance.now()
  const feed = (elapsedMs: number) => {
    const due = Math.floor((elapsedMs * TICKS_PER_SECOND) / 1000)
    for (; written < due; written++) {
      const symbol = SYMBOLS[written % SYMBOLS.length] as string
      const tick = { ts: Date.now(), price: 20_000 + (written % 977) / 10, amount: (written % 89) / 100, id: written }
      if (!writer.write(symbol, tick)) throw new Error('A tick was not taken.')
    }
    return elapsedMs > sizes.feedMs
  }
  const fed = await runPaced({ beats, perSecond, put, isOver: feed })
  await writer.close()
  const seconds = (performance.now() - start) / 1000
  let stored = 0
  for (const symbol of SYMBOLS) stored += (await store.ticks.aggregate(symbol, { columns: [] })).count
  if (stored !== written) throw new Error(`${stored} ticks are there of ${written}.`)
  const after = await calmPuts()
  await beats.end()
  await store.close()
  const calm = summarizeLatencies([...before.latenciesMs, ...after.latenciesMs])
  const beside = summarizeLatencies(fed.latenciesMs)
  return {
    ticksPerSecond: written / seconds,
    lost: written - stored,
    calmP99Ms: calm.p99,
    feedP50Ms: beside.p50,
    feedP99Ms: beside.p99,
    ratio: beside.p99 / calm.p99,
    longestGapMs: fed.longestGapMs,
  }
}
