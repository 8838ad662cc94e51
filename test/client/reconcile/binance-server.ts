/**
 * Binance's REST interface for spot orders, as far as ccxt uses it here, on 127.0.0.1: request signatures are checked,
 * answers have the shapes of https://developers.binance.com/docs/binance-spot-api-docs/rest-api.
 */
import { eightDecimals, LoopbackServer, ok, type Reply, type Request, refused } from './loopback-server.ts'

interface BinanceOrder {
  readonly symbol: string
  readonly orderId: number
  readonly clientOrderId: string
  readonly price: string
  readonly origQty: string
  executedQty: string
  cummulativeQuoteQty: string
  status: string
  readonly type: string
  readonly side: string
  readonly stopPrice: string
  readonly time: number
}

interface BinanceTrade {
  readonly symbol: string
  readonly id: number
  readonly orderId: number
  readonly price: string
  readonly qty: string
  readonly quoteQty: string
  readonly commission: string
  readonly commissionAsset: string
  readonly time: number
  readonly isBuyer: boolean
  readonly isMaker: boolean
}

export class BinanceServer extends LoopbackServer {
  readonly orders: BinanceOrder[] = []
  readonly trades: BinanceTrade[] = []
  lastPrice = '100.00'
  #lastId = 1_000

  place(order: Partial<BinanceOrder> & Pick<BinanceOrder, 'clientOrderId' | 'side' | 'origQty'>): BinanceOrder {
    this.#lastId += 1
    const placed: BinanceOrder = {
      symbol: 'BTCUSDT',
      orderId: this.#lastId,
      price: '0.00000000',
      executedQty: '0.00000000',
      cummulativeQuoteQty: '0.00000000',
      status: 'NEW',
      type: 'LIMIT',
      stopPrice: '0.00000000',
      time: Date.now(),
      ...order,
    }
    this.orders.push(placed)
    return placed
  }

  /** Amounts with Binance's eight decimals. */
  fill(order: BinanceOrder, qty: string, price: string, commission = '0.00000000'): void {
    const quoteQty = (Number(qty) * Number(price)).toFixed(8)
    order.executedQty = (Number(order.executedQty) + Number(qty)).toFixed(8)
    order.cummulativeQuoteQty = (Number(order.cummulativeQuoteQty) + Number(quoteQty)).toFixed(8)
    order.status = Number(order.executedQty) === Number(order.origQty) ? 'FILLED' : 'PARTIALLY_FILLED'
    this.#lastId += 1
    this.trades.push({
      symbol: order.symbol,
      id: this.#lastId,
      orderId: order.orderId,
      price,
      qty,
      quoteQty,
      commission,
      commissionAsset: 'USDT',
      time: Date.now(),
      isBuyer: order.side === 'BUY',
      isMaker: false,
    })
  }

  protected override reply({ method, path, query, isSigned }: Request): Reply {
    if (path === '/api/v3/exchangeInfo')
      return ok({ symbols: [market('BTC', '0.01', '0.00001'), market('ETH', '0.01', '0.0001')] })
    if (path === '/api/v3/ticker/24hr')
      return ok({ symbol: query.get('symbol'), lastPrice: this.lastPrice, closeTime: Date.now() })
    if (!isSigned) return refused(-1022, 'Signature for this request is not valid.')
    const ofSymbol = <T extends { readonly symbol: string }>(each: T) => each.symbol === query.get('symbol')
    if (path === '/api/v3/openOrders') {
      return ok(this.orders.filter((each) => isOpen(each) && (!query.has('symbol') || ofSymbol(each))))
    }
    if (path === '/api/v3/allOrders') return ok(this.orders.filter(ofSymbol))
    if (path === '/api/v3/myTrades') {
      const orderId = query.get('orderId')
      const since = Number(query.get('startTime') ?? 0)
      return ok(
        this.trades.filter(
          (each) => ofSymbol(each) && each.time >= since && (orderId === null || String(each.orderId) === orderId),
        ),
      )
    }
    if (path !== '/api/v3/order') return { status: 404, body: {} }
    return method === 'POST' ? this.#create(query) : this.#one(method, query)
  }

  #create(query: URLSearchParams): Reply {
    const clientOrderId = query.get('newClientOrderId') ?? ''
    if (this.orders.some((each) => isOpen(each) && each.clientOrderId === clientOrderId)) {
      return refused(-2010, 'Duplicate order sent.')
    }
    const allowed = [
      'symbol',
      'side',
      'type',
      'quantity',
      'price',
      'timeInForce',
      'stopPrice',
      'newClientOrderId',
      'newOrderRespType',
      'timestamp',
      'recvWindow',
      'signature',
    ]
    const surplus = [...query.keys()].find((name) => !allowed.includes(name))
    if (surplus !== undefined) return refused(-1104, `Not all sent parameters were read: ${surplus}.`)
    const stopPrice = query.get('stopPrice')
    if (stopPrice !== null && query.get('side') === 'SELL' && Number(stopPrice) >= Number(this.lastPrice)) {
      return refused(-2010, 'Stop price would trigger immediately.')
    }
    const placed = this.place({
      symbol: query.get('symbol') ?? '',
      clientOrderId,
      side: query.get('side') ?? '',
      type: query.get('type') ?? '',
      origQty: eightDecimals(query.get('quantity')),
      price: eightDecimals(query.get('price')),
      stopPrice: eightDecimals(stopPrice),
    })
    if (placed.type === 'MARKET') this.fill(placed, placed.origQty, `${this.lastPrice}000000`)
    return ok({ ...placed, transactTime: placed.time, fills: [] })
  }

  #one(method: string, query: URLSearchParams): Reply {
    const order = this.orders.findLast(
      (each) =>
        each.symbol === query.get('symbol') &&
        (query.has('origClientOrderId')
          ? each.clientOrderId === query.get('origClientOrderId')
          : String(each.orderId) === query.get('orderId')),
    )
    if (method === 'GET') return order === undefined ? refused(-2013, 'Order does not exist.') : ok(order)
    if (order === undefined || !isOpen(order)) return refused(-2011, 'Unknown order sent.')
    order.status = 'CANCELED'
    return ok(order)
  }
}

function isOpen(order: BinanceOrder): boolean {
  return order.status === 'NEW' || order.status === 'PARTIALLY_FILLED'
}

function market(base: string, tickSize: string, stepSize: string) {
  return {
    symbol: `${base}USDT`,
    status: 'TRADING',
    baseAsset: base,
    baseAssetPrecision: 8,
    quoteAsset: 'USDT',
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    orderTypes: ['LIMIT', 'LIMIT_MAKER', 'MARKET', 'STOP_LOSS', 'STOP_LOSS_LIMIT', 'TAKE_PROFIT', 'TAKE_PROFIT_LIMIT'],
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    permissions: ['SPOT'],
    filters: [
      { filterType: 'PRICE_FILTER', minPrice: tickSize, maxPrice: '1000000.00', tickSize },
      { filterType: 'LOT_SIZE', minQty: stepSize, maxQty: '9000.0', stepSize },
    ],
  }
}
