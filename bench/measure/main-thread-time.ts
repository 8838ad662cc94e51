/**
 * How long the main thread was not free to trade.
 *
 * Busy is the active time of `performance.eventLoopUtilization`: all but the time the loop sleeps waiting for events. A
 * thread blocked in fsync uses no processor but can't trade either, so processor time alone would flatter whoever calls
 * a database synchronously. The processor time of the thread (to the nanosecond, from its scheduler statistics) is
 * recorded beside it in the raw results: where it is far below busy, the thread was blocked, or displaced by others.
 */
import { readFileSync } from 'node:fs'
import { type EventLoopUtilization, performance } from 'node:perf_hooks'

export interface MainThreadTime {
  readonly busyMs: number
  /** NaN where the system doesn't tell. */
  readonly processorMs: number
}

export class MainThreadClock {
  readonly #utilization: EventLoopUtilization = performance.eventLoopUtilization()
  readonly #processorMs = readProcessorMs()

  /** Since this clock was made. */
  read(): MainThreadTime {
    return {
      busyMs: performance.eventLoopUtilization(this.#utilization).active,
      processorMs: readProcessorMs() - this.#processorMs,
    }
  }
}

function readProcessorMs(): number {
  try {
    // The main thread's id is that of the process.
    const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
    return Number(nanoseconds) / 1e6
  } catch {
    return Number.NaN
  }
}
