/** The worker thread: exposes the method map through Comlink, answers blocking requests, says when it is ready. */
import { parentPort, workerData } from 'node:worker_threads'
import { expose } from 'comlink'
import { nodeEndpoint } from '../protocol/node-endpoint.ts'
import type { SerializedError } from '../protocol/store-error.ts'
import {
  isSyncRequest,
  READY_MESSAGE,
  SIGNAL_ANSWERS,
  SIGNAL_ENDED,
  SIGNAL_STARTED,
  type SyncAnswer,
  type SyncRequest,
  type WorkerBoot,
} from '../protocol/worker-boot.ts'
import { endNativeCalls } from './native-calls.ts'
import { createStoreWorker } from './store-worker.ts'

const { syncPort, syncSignal } = workerData as WorkerBoot
const signal = new Int32Array(syncSignal)
const port = parentPort
if (port === null) throw new Error('holdfast worker: not started as a worker thread')

const worker = createStoreWorker()

function wakeCaller(): void {
  Atomics.add(signal, SIGNAL_ANSWERS, 1)
  Atomics.notify(signal, SIGNAL_ANSWERS)
}

async function answer({ id, method, request }: SyncRequest): Promise<SyncAnswer> {
  try {
    const handler = worker[method] as (...request: readonly unknown[]) => Promise<unknown>
    return { id, value: await handler(...request) }
  } catch (error) {
    return { id, error: error as SerializedError }
  }
}

port.on('message', (message: unknown) => {
  if (!isSyncRequest(message)) return
  void answer(message).then((outcome) => {
    syncPort.postMessage(outcome)
    wakeCaller()
  })
})
process.on('exit', () => {
  Atomics.store(signal, SIGNAL_ENDED, 1)
  wakeCaller()
})

/** An error that nobody foresaw ends the thread, as it would without this, but not before its native calls have ended. */
function endThread(error: unknown): void {
  void endNativeCalls().then(() => {
    process.off('uncaughtException', endThread)
    setImmediate(() => {
      throw error
    })
  })
}
process.on('uncaughtException', endThread)

expose(worker, nodeEndpoint(port))
Atomics.store(signal, SIGNAL_STARTED, 1)
Atomics.notify(signal, SIGNAL_STARTED)
port.postMessage(READY_MESSAGE)
