/** bs3mc moved off the main thread the way one does it by hand: a worker, a message per call, a message per answer. */
import { Worker } from 'node:worker_threads'
import type { OrderDocument } from '../documents.ts'
import type { Contender } from './contender.ts'
import type { Reply, Request } from './hand-worker-protocol.ts'

export const contender: Contender = {
  async open(dir, secrets) {
    // Named as it is after compilation: measured processes run plain JavaScript.
    const worker = new Worker(new URL('./hand-worker-thread.js', import.meta.url), { workerData: { dir, secrets } })
    const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (reason: Error) => void }>()
    let calls = 0

    worker.on('message', (reply: Reply) => {
      const caller = waiting.get(reply.call)
      waiting.delete(reply.call)
      if (reply.error === undefined) caller?.resolve(reply.result)
      else caller?.reject(new Error(reply.error))
    })
    worker.on('error', (error) => {
      for (const caller of waiting.values()) caller.reject(error as Error)
    })

    function ask<Result>(request: Request): Promise<Result> {
      return new Promise((resolve, reject) => {
        waiting.set(request.call, { resolve: resolve as (result: unknown) => void, reject })
        worker.postMessage(request)
      })
    }

    return {
      put: (document) => ask({ kind: 'put', call: calls++, id: document.id, json: JSON.stringify(document) }),
      putArchived: (document) =>
        ask({ kind: 'putArchived', call: calls++, id: document.id, json: JSON.stringify(document) }),
      async get(id) {
        const json = await ask<string | undefined>({ kind: 'get', call: calls++, id })
        return json === undefined ? undefined : (JSON.parse(json) as OrderDocument)
      },
      loadBars: ({ documents }) => ask({ kind: 'loadBars', call: calls++, bars: documents }),
      aggregateBars: () => ask({ kind: 'aggregateBars', call: calls++ }),
      async close() {
        await ask({ kind: 'close', call: calls++ })
        await worker.terminate()
      },
    }
  },
}
