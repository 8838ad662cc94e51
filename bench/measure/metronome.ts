/**
 * Wakes the main thread at exact intervals, as messages on a market feed do.
 *
 * Node's own timers are kept in whole milliseconds: a timer of 1 ms fires after one or two, which would add up to 2 ms
 * to every latency and hide what is measured. So a thread of its own sleeps until each beat is due (some 60 µs
 * late) and sends a message. Beats that fall into a blocked main thread are one message, not a flood of them.
 */
import { Worker } from 'node:worker_threads'
import type { Beats } from './beats.ts'

/** Places in the shared control words. */
export const STATE = 0
export const PENDING = 1
export const PAUSED = 0
export const RUNNING = 1
export const ENDED = 2

export interface MetronomeMemory {
  /** Int32: state, and whether a beat has been sent that is not yet received. */
  readonly control: SharedArrayBuffer
  /** BigInt64: when the first beat is due, on the clock of `process.hrtime`, which all threads share. */
  readonly start: SharedArrayBuffer
  readonly periodNanos: number
}

export class Metronome implements Beats {
  readonly #worker: Worker
  readonly #control: Int32Array
  readonly #start: BigInt64Array
  #onBeat: (() => void) | undefined

  private constructor(worker: Worker, memory: MetronomeMemory) {
    this.#worker = worker
    this.#control = new Int32Array(memory.control)
    this.#start = new BigInt64Array(memory.start)
    worker.on('message', () => {
      Atomics.store(this.#control, PENDING, 0)
      this.#onBeat?.()
    })
  }

  static async create(beatsPerSecond: number): Promise<Metronome> {
    const memory: MetronomeMemory = {
      control: new SharedArrayBuffer(8),
      start: new SharedArrayBuffer(8),
      periodNanos: 1e9 / beatsPerSecond,
    }
    // Named as it is after compilation.
    const worker = new Worker(new URL('./metronome-thread.js', import.meta.url), { workerData: memory })
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve())
      worker.once('error', reject)
    })
    return new Metronome(worker, memory)
  }

  run(onBeat: () => void): void {
    this.#onBeat = onBeat
    this.#start[0] = process.hrtime.bigint()
    this.#enter(RUNNING)
  }

  pause(): void {
    this.#onBeat = undefined
    this.#enter(PAUSED)
  }

  async end(): Promise<void> {
    this.#enter(ENDED)
    await this.#worker.terminate()
  }

  #enter(state: number): void {
    Atomics.store(this.#control, STATE, state)
    Atomics.notify(this.#control, STATE)
  }
}
