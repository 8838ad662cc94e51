/**
 * The last chance of pending writes: one `exit` listener for all open stores of the process, which blocks while the
 * worker commits what is left, as long as it gets on. Worker threads still run during `exit`; timers and promises do not.
 */
import type { StoreCore } from './store-core.ts'
import type { WorkerLink } from './worker-link.ts'

/** For each batch: a slow disk takes its time, a worker that hangs does not get more than this. */
const EXIT_TIMEOUT_MS = 5_000
const HALT_TIMEOUT_MS = 2_000
const openCores = new Set<StoreCore>()
const liveLinks = new Set<WorkerLink>()

function drainAll(): void {
  for (const core of openCores) {
    try {
      core.drainSync(EXIT_TIMEOUT_MS)
    } catch {
      process.exitCode ||= 1
    }
  }
  for (const link of liveLinks) link.haltSync(HALT_TIMEOUT_MS)
}

export function drainOnExit(core: StoreCore): void {
  openCores.add(core)
}

export function forgetOnExit(core: StoreCore): void {
  openCores.delete(core)
}

/** Every worker is halted before the process exits, also one that is still opening its store. */
export function haltOnExit(link: WorkerLink): void {
  if (liveLinks.size === 0) process.on('exit', drainAll)
  liveLinks.add(link)
}

export function forgetHalt(link: WorkerLink): void {
  liveLinks.delete(link)
  if (liveLinks.size === 0) process.off('exit', drainAll)
}

const SIGNALS = { SIGTERM: 15, SIGINT: 2 } as const
type Signal = keyof typeof SIGNALS

/**
 * Closes on SIGTERM and SIGINT, then lets the signal end the process, unless the program listens for it as well.
 * Returns a function that undoes it.
 */
export function closeOnSignals(close: () => Promise<void>): () => void {
  const listeners = (Object.keys(SIGNALS) as Signal[]).map((signal) => {
    const listener = () => {
      void close()
        .catch(() => undefined)
        .then(() => {
          if (process.listenerCount(signal) === 0) endBySignal(signal)
        })
    }
    process.once(signal, listener)
    return { signal, listener }
  })
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener)
  }
}

/** The first process of a container has no default action for signals; it exits with the code a shell would report. */
function endBySignal(signal: Signal): void {
  if (process.pid === 1) process.exit(128 + SIGNALS[signal])
  process.kill(process.pid, signal)
}
