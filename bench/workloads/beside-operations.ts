import { rmSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { openHoldfast } from '../contenders/holdfast.ts'
import type { Metrics } from '../job.ts'
import { Metronome } from '../measure/metronome.ts'
import { runPaced } from '../measure/paced-arrivals.ts'
import { median, summarizeLatencies } from '../measure/percentiles.ts'
import { documentRing } from './ring.ts'
import type { WorkloadContext } from './workload.ts'

const WARM_UP_MS = 2_000
const CALM_MS = 1_500
/** Of the operations that end sooner than this, as many as fit. */
const BESIDE_MS = 1_500

interface Phase {
  readonly p99Ms: number
  readonly longestGapMs: number
}

/** A calm stretch before each operation: what the operations are held against saw the same weather. */
export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const { sizes, secrets, storeDir } = job
  const backups = `${storeDir}-backups`
  const archived = `${storeDir}-archive`
  const perSecond = sizes.steadyPerSecond
  const nextDocument = documentRing(sizes)
  const beats = await Metronome.create(perSecond)
  const openAt = (options: { readonly archive?: { readonly dir: string } }) => openHoldfast(storeDir, secrets, options)
  let store = await openAt({})
  const put = () => store.docs.put(nextDocument())

  async function beside(work: () => Promise<unknown>): Promise<Phase> {
    let isOver = false
    const working = (async () => {
      const start = performance.now()
      do await work()
      while (performance.now() - start < BESIDE_MS)
      isOver = true
    })()
    const [paced] = await Promise.all([runPaced({ beats, perSecond, put, isOver: () => isOver }), working])
    return { p99Ms: summarizeLatencies(paced.latenciesMs).p99, longestGapMs: paced.longestGapMs }
  }
  const calms: number[] = []
  async function calmFor(ms: number): Promise<void> {
    const { p99Ms } = await beside(() => new Promise((resolve) => setTimeout(resolve, ms)))
    calms.push(p99Ms)
  }

  await calmFor(WARM_UP_MS)
  calms.length = 0
  await calmFor(CALM_MS)
  const backup = await beside(() => store.backup(`${backups}/${performance.now()}`))
  await calmFor(CALM_MS)
  const maintenance = await beside(() => store.maintain())
  await calmFor(CALM_MS)
  await store.close()

  store = await openAt({ archive: { dir: archived } })
  while ((await store.status()).archive?.lastShippedSequence === null) await store.docs.put(nextDocument())
  const archive = await beside(() => new Promise((resolve) => setTimeout(resolve, BESIDE_MS)))
  await store.close()

  store = await openAt({})
  await calmFor(CALM_MS)
  const rotation = await beside(() => store.rotateDataKey())
  await beats.end()
  await store.close()
  for (const path of [backups, archived]) rmSync(path, { recursive: true })

  const calmP99Ms = median(calms)
  return {
    calmP99Ms,
    calmP99sMs: calms,
    backupP99Ms: backup.p99Ms,
    backupRatio: backup.p99Ms / calmP99Ms,
    archiveP99Ms: archive.p99Ms,
    archiveRatio: archive.p99Ms / calmP99Ms,
    maintenanceP99Ms: maintenance.p99Ms,
    maintenanceRatio: maintenance.p99Ms / calmP99Ms,
    rotationP99Ms: rotation.p99Ms,
    rotationRatio: rotation.p99Ms / calmP99Ms,
    rotationGapMs: rotation.longestGapMs,
  }
}
