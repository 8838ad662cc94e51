/** What a process of the demo needs to know of its parent. */

/** The options the parent has passed. */
export function processArgument<T>(): T {
  // A parent that is gone, however it went, takes its processes with it.
  process.on('disconnect', exitForsaken)
  return JSON.parse(process.argv[2] ?? 'null') as T
}

export function sendToParent<M extends object>(message: M): void {
  process.send?.(message)
}

/** Lets the process end when it has nothing left to do. */
export function leaveParent(): void {
  process.off('disconnect', exitForsaken)
  process.disconnect()
}

function exitForsaken(): void {
  process.exit(1)
}
