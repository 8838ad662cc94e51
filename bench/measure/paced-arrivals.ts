/**
 * Puts that arrive at a steady rate, whatever the store does.
 *
 * Latency is counted from the moment a put was *due*, not from the call: when the main thread is blocked for 700 ms,
 * the 700 puts that were due meanwhile have waited, though none of them was called late by its own fault.
 *
 * The beat that issues the puts is also the probe for event-loop gaps: the time between two of them, due about one
 * millisecond apart, is how long trading code would have had to wait. A chain of setImmediate would see the same but
 * keep a core busy that the contenders need; monitorEventLoopDelay gives a histogram, from which the sum of the long
 * gaps can't be had. The idle contender shows what remains of jitter and of the machine's noise.
 */
import { performance } from 'node:perf_hooks'
import type { Durable } from '../contenders/contender.ts'
import type { Beats } from './beats.ts'

/** Gaps above this are stalls: longer than what a busy but healthy loop shows. */
const STALL_MS = 5

export interface PacedOptions {
  /** At least as often as puts are due. */
  readonly beats: Beats
  readonly perSecond: number
  readonly put: () => Durable
  /** Asked at each beat, with the time since the start; no put becomes due after it says true. */
  readonly isOver: (elapsedMs: number) => boolean
}

export interface PacedResult {
  /** By index of the put. */
  readonly latenciesMs: readonly number[]
  /** Only those above 5 ms, in order. */
  readonly stallsMs: readonly number[]
  readonly longestGapMs: number
  /** Sum of the stalls. */
  readonly stalledMs: number
}

export async function runPaced({ beats, perSecond, put, isOver }: PacedOptions): Promise<PacedResult> {
  const latenciesMs: number[] = []
  const stallsMs: number[] = []
  const pending: Promise<void>[] = []
  let longestGapMs = 0
  let issued = 0
  let due = 0
  let isCatchingUp = false

  const start = performance.now()
  const dueAt = (index: number) => start + (index * 1000) / perSecond

  function issueNext(): void {
    const index = issued++
    const durable = put()
    if (durable === undefined) latenciesMs[index] = performance.now() - dueAt(index)
    else {
      pending.push(
        durable.then(() => {
          latenciesMs[index] = performance.now() - dueAt(index)
        }),
      )
    }
  }

  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      beats.pause()
      reject(error)
    }

    // Each arrival is an event of its own, as a message on a socket is: when several are due, the loop turns between them.
    function catchUp(): void {
      isCatchingUp = false
      if (issued >= due) return
      try {
        issueNext()
      } catch (error) {
        fail(error)
        return
      }
      if (issued < due) {
        isCatchingUp = true
        setImmediate(catchUp)
      }
    }

    let lastBeat = start
    beats.run(() => {
      const now = performance.now()
      const gapMs = now - lastBeat
      lastBeat = now
      if (gapMs > longestGapMs) longestGapMs = gapMs
      if (gapMs > STALL_MS) stallsMs.push(gapMs)
      if (!isOver(now - start)) due = Math.floor(((now - start) * perSecond) / 1000) + 1
      else if (issued >= due) {
        beats.pause()
        resolve()
        return
      }
      if (!isCatchingUp) catchUp()
    })
  })
  await Promise.all(pending)

  return { latenciesMs, stallsMs, longestGapMs, stalledMs: stallsMs.reduce((sum, gap) => sum + gap, 0) }
}
