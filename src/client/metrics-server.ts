/** `store.metrics()` over HTTP, for a monitoring system that comes and asks. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isStoreError, StoreError } from '../protocol/store-error.ts'
import { METRICS_CONTENT_TYPE } from './metrics-text.ts'

const LOOPBACK = '127.0.0.1'
const DEFAULT_PORT = 9_477
const MAX_PORT = 65_535
const PATH = '/metrics'

export interface ServeMetricsOptions {
  /** Default 9477; 0 takes any that is free. */
  readonly port?: number
  /** Default 127.0.0.1. There is no authentication: another address lets everybody who reaches it read the figures. */
  readonly address?: string
}

export interface MetricsServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Serves the metrics of an open store at `http://127.0.0.1:<port>/metrics`. Keeps the process alive no longer than
 * anything else does. Scrapes that come together share one answer.
 *
 * @throws StoreError `INVALID_ARGUMENT` for a port or an address that can't be used or is taken
 * @example
 * const server = await serveMetrics(store, { port: 9477 })
 */
export async function serveMetrics(
  store: { metrics(): Promise<string> },
  options: ServeMetricsOptions = {},
): Promise<MetricsServer> {
  const { port = DEFAULT_PORT, address = LOOPBACK } = options
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT || typeof address !== 'string' || address === '') {
    throw new StoreError('INVALID_ARGUMENT', 'serveMetrics needs a port of 0 to 65535, and an address that is a text.')
  }
  let answer: Promise<string> | undefined
  const text = () => {
    answer ??= store.metrics().finally(() => {
      answer = undefined
    })
    return answer
  }
  const server = createServer((request, response) => void respond(request, response, text))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new StoreError(
          'INVALID_ARGUMENT',
          `Metrics can't be served at ${address}:${port} (${cause.code}). Choose another port or address.`,
          { details: { address, port }, cause },
        ),
      ),
    )
    server.listen(port, address, resolve)
  })
  server.unref()
  const listening = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    url: `http://${listening.family === 'IPv6' ? `[${listening.address}]` : listening.address}:${listening.port}${PATH}`,
    port: listening.port,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function respond(
  { method, url = '' }: IncomingMessage,
  response: ServerResponse,
  text: () => Promise<string>,
): Promise<void> {
  const [path] = url.split('?')
  if (path !== PATH) return end(response, 404, `Metrics are at ${PATH}.\n`)
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return end(response, 405, 'Metrics can only be read.\n')
  }
  try {
    const body = await text()
    response.setHeader('Content-Type', METRICS_CONTENT_TYPE)
    end(response, 200, body)
  } catch (error) {
    end(response, 503, `${isStoreError(error) ? error.code : 'INTERNAL'}\n`)
  }
}

function end(response: ServerResponse, status: number, body: string): void {
  if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.statusCode = status
  response.end(body)
}
