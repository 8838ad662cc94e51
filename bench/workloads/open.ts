import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { documentId } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { folderBytes } from '../measure/folder-size.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

/**
 * The peers are given a raw key and derive nothing, so argon2 is taken off Holdfast's time: measured by itself, in this
 * process, with the cost Holdfast uses. What argon2 hides by running beside other work is therefore in Holdfast's
 * favour, and its competition for the two cores is not.
 */
export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const dir = job.sharedDirs.open as string
  const bytes = folderBytes(dir)
  const start = performance.now()
  const store = await contender.open(dir, job.secrets)
  const openedMs = performance.now() - start
  const document = await store.get(documentId(0))
  const readMs = performance.now() - start
  if (document === undefined) throw new Error('The first document was not found.')
  await store.close()

  const figures = { storeBytes: bytes, openedMs, openMs: readMs }
  if (job.contender !== 'holdfast') return figures
  const argon2Ms = await measureArgon2(job.secrets.password)
  return { ...figures, openMs: readMs - argon2Ms, withArgon2Ms: readMs, argon2Ms }
}

async function measureArgon2(password: string): Promise<number> {
  const { default: argon2 } = await import('argon2')
  const times: number[] = []
  for (let n = 0; n < 3; n++) {
    const start = performance.now()
    await argon2.hash(password, {
      type: argon2.argon2id,
      memoryCost: 64 * 1024,
      timeCost: 3,
      parallelism: 4,
      hashLength: 32,
      salt: randomBytes(16),
      raw: true,
    })
    times.push(performance.now() - start)
  }
  return median(times)
}
