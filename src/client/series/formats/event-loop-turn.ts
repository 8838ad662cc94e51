/** Lets timers, sockets and signals in: long work on the main thread is done in pieces with one of these between. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
