/**
 * Ctrl-C and its kin. What has to be put right first (a store to close, a half-written file to remove) is, and then the
 * signal takes its course, so that the shell learns that the command did not finish by itself. A second signal does not
 * wait for the first.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type EndingSignal = (typeof SIGNALS)[number]

type Cleanup = () => unknown

export class Interruption {
  readonly #cleanups = new Set<Cleanup>()
  #signal: EndingSignal | undefined

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** True from the signal on: whatever fails now fails because of it. */
  get isUnderWay(): boolean {
    return this.#signal !== undefined
  }

  /** Runs `cleanup` when a signal comes. Returns a function that takes it back. */
  beforeEnd(cleanup: Cleanup): () => void {
    this.#cleanups.add(cleanup)
    return () => {
      this.#cleanups.delete(cleanup)
    }
  }

  /** As if the signal had come from outside. */
  raise(signal: EndingSignal): Promise<never> {
    this.#onSignal(signal)
    return this.wait()
  }

  /** Never returns: the signal ends the process. */
  wait(): Promise<never> {
    return new Promise(() => {
      setInterval(() => undefined, 1_000)
    })
  }

  readonly #onSignal = (signal: EndingSignal): void => {
    if (this.#signal !== undefined) {
      end(signal)
      return
    }
    this.#signal = signal
    void this.#cleanUp().finally(() => end(signal))
  }

  async #cleanUp(): Promise<void> {
    for (const cleanup of [...this.#cleanups].reverse()) {
      try {
        await cleanup()
      } catch {
        // The others still have to run, and the signal is what the caller is told about.
      }
    }
  }
}

function end(signal: EndingSignal): void {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
