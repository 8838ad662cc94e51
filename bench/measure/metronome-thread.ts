/** The thread of a `Metronome`. */
import { parentPort, workerData } from 'node:worker_threads'
import { ENDED, type MetronomeMemory, PAUSED, PENDING, RUNNING, STATE } from './metronome.ts'

const port = parentPort
if (port === null) throw new Error('This module runs as a worker thread only.')
const memory = workerData as MetronomeMemory
const control = new Int32Array(memory.control)
const start = new BigInt64Array(memory.start)

port.postMessage('ready')
while (Atomics.load(control, STATE) !== ENDED) {
  Atomics.wait(control, STATE, PAUSED)
  const startNanos = start[0] as bigint
  let beat = 0
  while (Atomics.load(control, STATE) === RUNNING) {
    const sinceStart = Number(process.hrtime.bigint() - startNanos)
    const dueIn = beat * memory.periodNanos - sinceStart
    // A change of state ends the wait at once.
    if (dueIn > 0) Atomics.wait(control, STATE, RUNNING, dueIn / 1e6)
    else {
      if (Atomics.exchange(control, PENDING, 1) === 0) port.postMessage('beat')
      beat = Math.floor(sinceStart / memory.periodNanos) + 1
    }
  }
}
