/** The worker's half of `hand-worker`: serves one message after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Secrets } from './contender.ts'
import type { Reply, Request } from './hand-worker-protocol.ts'
import { SqlcipherFile } from './sqlcipher-file.ts'

const port = parentPort
if (port === null) throw new Error('This module runs as a worker thread only.')
const { dir, secrets } = workerData as { dir: string; secrets: Secrets }
const file = new SqlcipherFile(dir, secrets)

port.on('message', (request: Request) => {
  let reply: Reply
  try {
    reply = { call: request.call, result: serve(request) }
  } catch (error) {
    reply = { call: request.call, error: String(error) }
  }
  port.postMessage(reply)
  if (request.kind === 'close') port.close()
})

function serve(request: Request): unknown {
  switch (request.kind) {
    case 'put':
      return file.put(request.id, request.json)
    case 'putArchived':
      return file.putArchived(request.id, request.json)
    case 'get':
      return file.get(request.id)
    case 'loadBars':
      return file.loadBars(request.bars)
    case 'aggregateBars':
      return file.aggregateBars()
    case 'close':
      return file.close()
  }
}
