/**
 * The last chance of pending writes: one `exit` listener for all open stores of the process, which blocks for a bounded
 * time while the worker commits what is left. Worker threads still run during `exit`; timers and promises do not.
 */
import type { StoreCore } from './store-core.ts'

const EXIT_TIMEOUT_MS = 5_000
const openCores = new Set<StoreCore>()

function drainAll(): void {
  for (const core of openCores) {
    try {
      core.drainSync(EXIT_TIMEOUT_MS)
    } catch {
      process.exitCode ||= 1
    }
  }
}

export function drainOnExit(core: StoreCore): void {
  if (openCores.size === 0) process.on('exit', drainAll)
  openCores.add(core)
}

export function forgetOnExit(core: StoreCore): void {
  openCores.delete(core)
  if (openCores.size === 0) process.off('exit', drainAll)
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Closes on SIGTERM and SIGINT, then lets the signal end the process, unless the program listens for it as well.
 * Returns a function that undoes it.
 */
export function closeOnSignals(close: () => Promise<void>): () => void {
  const listeners = SIGNALS.map((signal) => {
    const listener = () => {
      void close()
        .catch(() => undefined)
        .then(() => {
          if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
        })
    }
    process.once(signal, listener)
    return { signal, listener }
  })
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener)
  }
}
