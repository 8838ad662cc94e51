import { performance } from 'node:perf_hooks'
import type { StoreUnderTest } from '../contenders/contender.ts'
import { orderDocument } from '../documents.ts'
import type { Metrics } from '../job.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

/** Puts to one store before it is the other's turn: both see the same weather on a shared machine. */
const PUTS_PER_TURN = 100
const WARM_UP_TURNS = 2

/**
 * The documents are updated where they lie, all over the table: every put touches another leaf of the tree, which is
 * the least favourable way of writing to a large one.
 */
export async function run({ contender, job }: WorkloadContext): Promise<Metrics> {
  const { sizes, sharedDirs, secrets } = job
  const small = await contender.open(sharedDirs.smallArchive as string, secrets)
  const big = await contender.open(sharedDirs.bigArchive as string, secrets)
  const random = seededRandom(process.pid)

  async function turn(store: StoreUnderTest, rows: number, latenciesMicros: number[]): Promise<void> {
    for (let n = 0; n < PUTS_PER_TURN; n++) {
      const document = orderDocument(Math.floor(random() * rows), n + 1)
      const start = performance.now()
      await store.putArchived(document)
      latenciesMicros.push((performance.now() - start) * 1000)
    }
  }

  const inSmall: number[] = []
  const inBig: number[] = []
  for (let turns = 0; turns < WARM_UP_TURNS + sizes.storeSizePuts / PUTS_PER_TURN; turns++) {
    if (turns === WARM_UP_TURNS) {
      inSmall.length = 0
      inBig.length = 0
    }
    await turn(small, sizes.smallArchive, inSmall)
    await turn(big, job.archiveRows, inBig)
  }
  await small.close()
  await big.close()

  const smallAck = summarizeLatencies(inSmall)
  const bigAck = summarizeLatencies(inBig)
  return {
    rows: job.archiveRows,
    smallP50Micros: smallAck.p50,
    smallP99Micros: smallAck.p99,
    bigP50Micros: bigAck.p50,
    bigP99Micros: bigAck.p99,
    p50Ratio: bigAck.p50 / smallAck.p50,
    p99Ratio: bigAck.p99 / smallAck.p99,
  }
}

/** mulberry32. The process id as seed: each round writes to other places. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
