/** The process of the simulated exchange: HTTP on a free port of 127.0.0.1, everything in memory. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CreateOrderAnswer, OrderReference } from '../holdfast.ts'
import { readMarketData } from '../market/market-data.ts'
import { processArgument, sendToParent } from '../run/child-side.ts'
import { EXCHANGE_METHODS, type ExchangeApi, type ExchangeMethod } from './exchange-api.ts'
import type { ExchangeCommand, ExchangeMessage, ExchangeOptions } from './exchange-message.ts'
import { isKillPoint, referenceOf } from './kill-point.ts'
import { MatchingEngine } from './matching-engine.ts'

const { market, seed, kills } = processArgument<ExchangeOptions>()
const send = sendToParent<ExchangeMessage>
const engine = new MatchingEngine(await readMarketData(market), seed)
const api: ExchangeApi = engine
const killsToCome = [...kills]
/** The stop that will be hit while its bot is dead. */
let abandonedStop: OrderReference | null = null

const server = createServer((request, response) => {
  void readBody(request).then((body) => {
    const method = (request.url ?? '').slice(1)
    let text: string
    try {
      const parameters = JSON.parse(body) as never
      if (!isMethod(method)) throw new Error(`there is no ${method}`)
      const result = api[method](parameters)
      if (isLeftUnanswered(method, parameters, result)) return
      text = JSON.stringify(result)
    } catch (error) {
      response.statusCode = 400
      text = JSON.stringify({ error: String(error) })
    }
    response.setHeader('content-length', Buffer.byteLength(text))
    response.end(text)
  })
})
server.listen(0, '127.0.0.1', () => {
  send({ type: 'listening', port: (server.address() as AddressInfo).port })
})

process.on('message', (command: ExchangeCommand) => {
  if (command.type !== 'go-on') return
  const news = abandonedStop === null ? [] : engine.advanceUntilFinal(abandonedStop)
  abandonedStop = null
  const fills = news.flatMap((each) => each.orders.flatMap((order) => order.fills))
  send({ type: 'gone-on', bars: news.length, fills: fills.length })
})

function isMethod(name: string): name is ExchangeMethod {
  return Object.hasOwn(EXCHANGE_METHODS, name)
}

function isLeftUnanswered(method: string, request: OrderReference, result: unknown): boolean {
  const [point] = killsToCome
  if (point === undefined || !isKillPoint(point, method, request, engine)) return false
  killsToCome.shift()
  if (point.kind === 'stop') {
    const answer = result as Extract<CreateOrderAnswer, { status: 'accepted' }>
    abandonedStop = referenceOf(answer.order)
  }
  send({ type: 'unanswered', kind: point.kind, symbol: point.symbol, bar: engine.currentBar(point) })
  return true
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  request.setEncoding('utf8')
  for await (const chunk of request) body += chunk
  return body
}
