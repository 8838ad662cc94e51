/**
 * Puts with many under way: a few lanes that each issue a group in one turn and go on when all of it is durable. This is
 * how a process that is busy but not waiting for its store looks to the store.
 */
import { performance } from 'node:perf_hooks'
import type { Durable } from '../contenders/contender.ts'

const LANES = 4
const GROUP = 250

export interface PipelinedOptions {
  readonly put: (index: number) => Durable
  readonly maxPuts: number
  /** No group is begun after this. */
  readonly maxMs: number
}

/** Resolves to the number of puts, all of them durable. */
export async function runPipelined({ put, maxPuts, maxMs }: PipelinedOptions): Promise<number> {
  let issued = 0
  const deadline = performance.now() + maxMs

  async function runLane(): Promise<void> {
    while (issued < maxPuts && performance.now() < deadline) {
      const group: Durable[] = []
      for (let n = 0; n < GROUP && issued < maxPuts; n++) group.push(put(issued++))
      await Promise.all(group)
    }
  }

  await Promise.all(Array.from({ length: LANES }, runLane))
  return issued
}
