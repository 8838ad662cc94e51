import { setTimeout } from 'node:timers/promises'
import { type OrderDocument, orderDocument, shuffledIndexes } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { readDiskBytesWritten } from '../measure/disk-bytes.ts'
import { runPipelined } from '../measure/pipelined-puts.ts'
import type { WorkloadContext } from './workload.ts'

const AFTER_OPEN_MS = 500

export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes } = job
  const count = sizes.bytesPuts

  /** What opening writes, once; amplification until durable, and that of the checkpoint at closing. */
  async function amplification(
    documents: readonly OrderDocument[],
  ): Promise<[openingBytes: number, putting: number, closing: number]> {
    const jsonBytes = documents.reduce((sum, document) => sum + Buffer.byteLength(JSON.stringify(document)), 0)
    const closed = readDiskBytesWritten(job.storeDir)
    const store = await contender.open(job.storeDir, job.secrets)
    // Holdfast gives its log the working size in the background: a cost of opening, not of the puts.
    await setTimeout(AFTER_OPEN_MS)
    const before = readDiskBytesWritten(job.storeDir)
    await runPipelined({
      put: (index) => store.put(documents[index] as OrderDocument),
      maxPuts: count,
      maxMs: Number.POSITIVE_INFINITY,
    })
    const durable = readDiskBytesWritten(job.storeDir)
    await store.close()
    return [before - closed, (durable - before) / jsonBytes, (readDiskBytesWritten(job.storeDir) - durable) / jsonBytes]
  }

  // As orders, fills and audit entries come: new, their ids in the order of time.
  const fresh = Array.from({ length: count }, (_, index) => orderDocument(sizes.ringDocuments + index, 1))
  const [openingBytes, amplificationNew, checkpointNew] = await amplification(fresh)
  // And updates all over the table, where hardly two documents of a batch share a page.
  const scattered = Array.from(shuffledIndexes(sizes.ringDocuments).subarray(0, count), (index) =>
    orderDocument(index, 1),
  )
  const [, amplificationScattered, checkpointScattered] = await amplification(scattered)
  return { puts: count, openingBytes, amplificationNew, checkpointNew, amplificationScattered, checkpointScattered }
}
