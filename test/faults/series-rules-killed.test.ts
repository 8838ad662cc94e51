/** A rule whose worker dies in the midst of it: the longer bars are those of all the points, and no point went without one. */
import { expect, test } from 'vitest'
import { shortOrLong } from './fault-run.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint } from './worker-faults.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const START = Date.UTC(2024, 0, 1)
/** Longer than one step of a rule. */
const HOURS = 31 * 24
const POINTS = ['series-rules:downsampled', 'series:append-before-commit', 'series:delete-before-commit'] as const

const minutes = Array.from({ length: HOURS * 60 }, (_, i) => START + i * MINUTE)
const columns = {
  ts: Float64Array.from(minutes),
  open: Float64Array.from(minutes, (_, i) => i),
  high: Float64Array.from(minutes, (_, i) => i + 1),
  low: Float64Array.from(minutes, (_, i) => i - 1),
  close: Float64Array.from(minutes, (_, i) => i + 0.5),
  volume: Float64Array.from(minutes, () => 1),
}

test.each(POINTS)('at %s', { timeout: 600_000 }, async (point) => {
  for (let hit = 1; hit <= shortOrLong(1, 3); hit += 1) {
    const dir = temporaryDirectory()
    const filled = await openTestStore(dir)
    await filled.bars.append('K', '1m', columns)
    await filled.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '1d', downsample: ['1h'] })
    await filled.close()
    const store = await openWithFailpoint(dir, `${point}=exit@${hit}`)
    const nowMs = START + HOURS * HOUR
    await store.seriesRules.apply({ nowMs })
    const hours = await store.bars.range('K', '1h')
    expect(hours.ts).toEqual(Float64Array.from({ length: HOURS - 24 }, (_, i) => START + i * HOUR))
    expect(hours.open).toEqual(hours.ts.map((_, i) => i * 60))
    expect(hours.close).toEqual(hours.ts.map((_, i) => i * 60 + 59.5))
    expect(hours.volume).toEqual(hours.ts.map(() => 60))
    expect(await store.bars.info('K', '1m')).toMatchObject({ count: 1_440, firstTs: START + (HOURS - 24) * HOUR })
    if (hit === 1) expect(store.stats().workerRestarts).toBe(1)
    expect(await store.check()).toEqual([])
    await store.close()
  }
})
