import { setTimeout as sleep } from 'node:timers/promises'
import { documentId, type OrderDocument, orderDocument, orderDocuments } from '../documents.ts'
import type { Metrics } from '../job.ts'
import type { WorkloadContext } from './workload.ts'

/** What the main isolate holds with 10,000 hot documents, beyond what it holds with an empty store open. */
export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { hotDocuments } = job.sizes
  const empty = await contender.open(`${job.storeDir}-empty`, job.secrets)
  const emptyBytes = await heldBytes()
  await empty.close()

  const store = await contender.open(job.storeDir, job.secrets)
  const openedBytes = (await heldBytes()) - emptyBytes

  // A mirror could be small when loaded and grow as it is written or read.
  for (let index = 0; index < hotDocuments; index++) {
    const durable = store.put(orderDocument(index, 1))
    if (index % 1000 === 999) await durable
  }
  for (let index = 0; index < hotDocuments; index++) {
    if ((await store.get(documentId(index))) === undefined) throw new Error('A hot document was not found.')
  }
  const usedBytes = (await heldBytes()) - emptyBytes

  const beforeMap = await heldBytes()
  const map = new Map<string, OrderDocument>()
  let jsonBytes = 0
  for (const document of orderDocuments(hotDocuments, 1)) {
    const json = JSON.stringify(document)
    jsonBytes += Buffer.byteLength(json)
    const copy = JSON.parse(json) as OrderDocument
    map.set(copy.id, copy)
  }
  const mapBytes = (await heldBytes()) - beforeMap
  if (map.size !== hotDocuments) throw new Error('The map is incomplete.')
  await store.close()
  return {
    jsonBytes,
    openedBytes,
    usedBytes,
    mapBytes,
    openedRatio: openedBytes / jsonBytes,
    usedRatio: usedBytes / jsonBytes,
    mapRatio: mapBytes / jsonBytes,
  }
}

/** Of this isolate: the worker's heap is not counted by either figure. */
async function heldBytes(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('Memory is measured with --expose-gc only.')
  // Twice, with a pause: what a finalizer lets go is collected by the next.
  for (let n = 0; n < 2; n++) {
    globalThis.gc()
    await sleep(50)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
