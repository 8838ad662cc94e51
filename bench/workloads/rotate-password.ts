import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { openHoldfast } from '../contenders/holdfast.ts'
import type { Metrics } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

const TURNS = 3

/** There and back again: the stores are shared, and others open them with the password of before. */
export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const { sharedDirs, secrets } = job
  const other = randomBytes(24).toString('base64url')
  const times: Record<'small' | 'big', number[]> = { small: [], big: [] }
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [size, dir] of [
      ['small', sharedDirs.megabyte],
      ['big', sharedDirs.megabytes],
    ] as const) {
      const store = await openHoldfast(dir as string, secrets)
      for (const next of [other, secrets.password]) {
        const start = performance.now()
        await store.rotatePassword(next)
        times[size].push(performance.now() - start)
      }
      await store.close()
    }
  }
  const smallMs = median(times.small)
  const bigMs = median(times.big)
  return { megabytes: job.megabytes, smallMs, bigMs, ratio: bigMs / smallMs }
}
