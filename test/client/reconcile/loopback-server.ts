/** An HTTP server on 127.0.0.1 that checks Binance's request signatures, counts requests and fails on demand. */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const API_KEY = 'key-of-a-test'
export const API_SECRET = 'secret-of-a-test'

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly isSigned: boolean
}

export interface Reply {
  readonly status: number
  readonly body: unknown
}

export type Fault = Reply | 'hang-up'

export abstract class LoopbackServer {
  readonly requests: Request[] = []
  /** What to answer instead. `after`: the request is carried out first, and its answer lost. */
  fault: (method: string, path: string) => { readonly fault: Fault; readonly after?: boolean } | undefined = () =>
    undefined
  readonly #server: Server = createServer((request, response) => void this.#handle(request, response))

  protected abstract reply(request: Request): Reply

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  requested(method: string, path: string): number {
    return this.requests.filter((each) => each.method === method && each.path === path).length
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.url)
    const text = [url.search.slice(1), await readBody(incoming)].filter((part) => part !== '').join('&')
    const [signed = '', signature] = text.split('&signature=')
    const isSigned =
      incoming.headers['x-mbx-apikey'] === API_KEY &&
      signature === createHmac('sha256', API_SECRET).update(signed).digest('hex')
    const request = { method: incoming.method ?? 'GET', path: url.pathname, query: new URLSearchParams(text), isSigned }
    this.requests.push(request)
    const fault = this.fault(request.method, request.path)
    const reply = fault === undefined || fault.after === true ? this.reply(request) : null
    send(response, fault?.fault ?? (reply as Reply))
  }
}

export function ok(body: unknown): Reply {
  return { status: 200, body }
}

export function refused(code: number, msg: string): Reply {
  return { status: 400, body: { code, msg } }
}

/** An amount as Binance writes it. */
export function eightDecimals(value: string | null): string {
  const [whole = '0', fraction = ''] = (value ?? '0').split('.')
  return `${whole}.${fraction.padEnd(8, '0')}`
}

function send(response: ServerResponse, reply: Fault): void {
  if (reply === 'hang-up') response.destroy()
  else response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body))
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
