/**
 * The calls of native packages that are under way in this thread. Both the driver and argon2 call back into JavaScript
 * when one ends, and abort the whole process when their thread is on its way out by then
 * (https://github.com/TryGhost/node-sqlite3/issues/1381): a worker that dies, or a program that calls `process.exit`,
 * would take the exit code with it and leave a core dump full of keys. So whoever is about to end this thread ends
 * these calls first.
 */
const INTERRUPT_INTERVAL_MS = 10

interface Interruptible {
  /** May throw when there is nothing to interrupt. */
  interrupt(): void
}

const interruptibles = new Set<Interruptible>()
let underWay = 0
let isEnding = false
let onIdle: (() => void) | undefined

/** False when the thread is about to end: then the call must not begin, and its promise never settles. */
export function beginNativeCall(): boolean {
  if (isEnding) return false
  underWay += 1
  return true
}

export function endNativeCall(): void {
  underWay -= 1
  if (underWay === 0) onIdle?.()
}

/** Counts work that makes native calls of its own, such as deriving a key. */
export async function nativeCall<T>(work: () => Promise<T>): Promise<T> {
  if (!beginNativeCall()) return await new Promise<never>(() => undefined)
  try {
    return await work()
  } finally {
    endNativeCall()
  }
}

export function addInterruptible(interruptible: Interruptible): void {
  interruptibles.add(interruptible)
}

export function removeInterruptible(interruptible: Interruptible): void {
  interruptibles.delete(interruptible)
}

/** Resolves when nothing is under way. From then on nothing begins: this thread has no more to do than to end. */
export async function endNativeCalls(): Promise<void> {
  isEnding = true
  if (underWay === 0) return
  const idle = new Promise<void>((resolve) => {
    onIdle = resolve
  })
  // Again and again: a call that still waits for a thread of the pool can't be interrupted yet.
  const timer = setInterval(interruptAll, INTERRUPT_INTERVAL_MS)
  interruptAll()
  await idle
  clearInterval(timer)
}

function interruptAll(): void {
  for (const interruptible of interruptibles) {
    try {
      interruptible.interrupt()
    } catch {
      // It is being closed.
    }
  }
}
