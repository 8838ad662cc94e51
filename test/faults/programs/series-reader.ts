/** Fills a series, reads it or compacts it, and reports how long each took and by how much the process grew since it had opened. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

const PIECE = 250_000
const SAMPLE_MS = 10
const MINUTE_MS = 60_000

const { dir, points, work } = programArguments<{
  readonly dir: string
  readonly points: number
  readonly work: 'fill' | 'read' | 'compact'
}>()
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
const idleBytes = process.memoryUsage.rss()

function piece(from: number, step: number) {
  const column = (of: (index: number) => number) =>
    Float64Array.from({ length: PIECE }, (_, index) => of(from + index * step))
  return {
    ts: column((index) => index * MINUTE_MS),
    open: column((index) => (index % 977) / 10),
    high: column((index) => (index % 977) / 10 + 5),
    low: column((index) => (index % 977) / 10 - 5),
    close: column((index) => (index % 89) / 100),
    volume: column((index) => (index * 7_919) % 10_007),
  }
}

async function peakOf(name: string, run: () => Promise<unknown>): Promise<void> {
  let peak = 0
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss() - idleBytes)
  }
  const startedAt = performance.now()
  const timer = setInterval(sample, SAMPLE_MS)
  await run()
  sample()
  clearInterval(timer)
  report('peak', name, peak, Math.round(performance.now() - startedAt))
}

if (work === 'fill') {
  await peakOf('append', async () => {
    for (let from = 0; from < points; from += PIECE) await store.bars.append('M', '1m', piece(from, 1))
  })
  // Corrections all over it, so that each block has to be merged; most of them wait for that when the store closes.
  await peakOf('correct', async () => {
    const step = Math.floor(points / PIECE)
    await store.bars.append('M', '1m', { ...piece(0, step), close: new Float64Array(PIECE).fill(-1) })
  })
} else if (work === 'read') {
  await peakOf('scan', async () => {
    let count = 0
    for await (const { length } of store.bars.scan('M', '1m')) count += length
    if (count !== points) throw new Error(`${count} points were read instead of ${points}`)
  })
  await peakOf('resample', () => store.bars.resample('M', { from: '1m', to: '1d' }))
  await peakOf('aggregate', () => store.bars.aggregate('M', '1m'))
} else {
  await peakOf('compact', async () => {
    const { rowsMerged } = await store.series.compact()
    if (rowsMerged === 0) throw new Error('nothing was left to be compacted')
  })
}
await store.close()
