/** The bot's side of the exchange: HTTP, and what `reconcile` asks of a venue. */
import { Agent, request } from 'node:http'
import type {
  Answer,
  CreateOrderAnswer,
  CreateOrderRequest,
  Exchange,
  ExchangeFill,
  ExchangeOrder,
  ExchangePosition,
  FillQuery,
  MarketRules,
  OrderReference,
} from '../holdfast.ts'
import type { Bar } from '../market/bar.ts'
import type { BarNews, Book, ExchangeApi, ExchangeMethod } from './exchange-api.ts'

export class ExchangeClient implements Exchange {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 })

  constructor(port: number) {
    this.#port = port
  }

  advance(symbol: string, index: number): Promise<BarNews> {
    return this.#call('advance', { symbol, index })
  }

  currentBar(symbol: string): Promise<number> {
    return this.#call('currentBar', { symbol })
  }

  bars(symbol: string, from: number, to: number): Promise<readonly Bar[]> {
    return this.#call('bars', { symbol, from, to })
  }

  book(): Promise<Book> {
    return this.#call('book', {})
  }

  fetchOrder(reference: OrderReference): Promise<Answer<ExchangeOrder>> {
    return this.#call('findOrder', reference)
  }

  fetchOpenOrders(symbol: string): Promise<readonly ExchangeOrder[]> {
    return this.#call('openOrders', { symbol })
  }

  fetchAllOpenOrders(): Promise<readonly ExchangeOrder[]> {
    return this.#call('openOrders', { symbol: null })
  }

  fetchFills(query: FillQuery): Promise<readonly ExchangeFill[]> {
    return this.#call('findFills', query)
  }

  fetchPosition(symbol: string): Promise<Answer<ExchangePosition>> {
    return this.#call('findPosition', { symbol })
  }

  fetchLastPrice(symbol: string): Promise<Answer<string>> {
    return this.#call('lastPrice', { symbol })
  }

  fetchMarketRules(symbol: string): Promise<Answer<MarketRules>> {
    return this.#call('marketRules', { symbol })
  }

  createOrder(order: CreateOrderRequest): Promise<CreateOrderAnswer> {
    return this.#call('createOrder', order)
  }

  cancelOrder(reference: OrderReference): Promise<Answer<null>> {
    return this.#call('cancelOrder', reference)
  }

  close(): void {
    this.#agent.destroy()
  }

  #call<M extends ExchangeMethod>(
    method: M,
    parameters: Parameters<ExchangeApi[M]>[0],
  ): Promise<ReturnType<ExchangeApi[M]>> {
    return new Promise((resolve, reject) => {
      const body = JSON.stringify(parameters)
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          method: 'POST',
          path: `/${method}`,
          agent: this.#agent,
          headers: { 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
          })
          response.on('error', reject)
          response.on('end', () => {
            if (response.statusCode === 200) resolve(JSON.parse(text))
            else reject(new Error(`the exchange could not ${method}: ${text}`))
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
}
