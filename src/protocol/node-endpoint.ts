/** Comlink's own adapter for Node's ports: a CommonJS module whose types describe an ES module, put right here. */
import type { MessagePort, Worker } from 'node:worker_threads'
import type { Endpoint } from 'comlink'
import adapter from 'comlink/dist/umd/node-adapter.js'

export const nodeEndpoint = adapter as unknown as (port: MessagePort | Worker) => Endpoint
