import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { orderDocument, PLAINTEXT_MARKER } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { listFiles } from '../measure/folder-size.ts'
import { COUNT_VARIABLE } from '../slow-disk/build-shim.ts'
import type { WorkloadContext } from './workload.ts'

const PUTS = 20

/**
 * Not a race but the check that all are run under the same rules: under the shim, with each sync made very slow, no ack
 * may come before one could have ended; and nothing written may be found in the files.
 */
export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const countFile = process.env[COUNT_VARIABLE]
  if (countFile === undefined) throw new Error('The terms are checked under the shim only.')
  const readSyncs = () => Number(readFileSync(countFile).readBigUInt64LE(0))

  const store = await contender.open(job.storeDir, job.secrets)
  await store.put(orderDocument(0))
  const latenciesMs: number[] = []
  const syncsBefore = readSyncs()
  for (let index = 1; index <= PUTS; index++) {
    const start = performance.now()
    await store.put(orderDocument(index))
    latenciesMs.push(performance.now() - start)
  }
  const syncsPerPut = (readSyncs() - syncsBefore) / PUTS
  // Before closing too, while there is a write-ahead log.
  const openPlaintexts = countPlaintexts(job.storeDir)
  await store.close()
  return {
    shortestAckMs: Math.min(...latenciesMs),
    syncsPerPut,
    plaintexts: openPlaintexts + countPlaintexts(job.storeDir),
  }
}

/** Files in which something that was written can be read. */
function countPlaintexts(dir: string): number {
  const needles = [PLAINTEXT_MARKER, 'ord-00000'].map((text) => Buffer.from(text))
  return listFiles(dir).filter((path) => {
    const content = readFileSync(path)
    return needles.some((needle) => content.includes(needle))
  }).length
}
