/**
 * Binance's REST interface for USD-margined futures, as far as ccxt uses it here: conditional orders are "algo orders"
 * with ids and a list of their own, and become ordinary orders when they are triggered.
 */
import { LoopbackServer, ok, type Reply, type Request, refused } from './loopback-server.ts'

interface AlgoOrder {
  readonly algoId: number
  readonly clientAlgoId: string
  readonly algoType: 'CONDITIONAL'
  readonly orderType: string
  readonly symbol: string
  readonly side: string
  readonly positionSide: 'BOTH'
  readonly quantity: string
  readonly triggerPrice: string
  readonly reduceOnly: boolean
  algoStatus: string
  /** The order it became. */
  actualOrderId: string
  readonly createTime: number
}

interface FuturesOrder {
  readonly orderId: number
  readonly clientOrderId: string
  readonly symbol: string
  readonly side: string
  readonly positionSide: 'BOTH'
  readonly type: string
  readonly origQty: string
  readonly executedQty: string
  readonly cumQuote: string
  readonly avgPrice: string
  readonly price: string
  readonly stopPrice: string
  readonly status: string
  readonly reduceOnly: boolean
  readonly time: number
}

export class BinanceFuturesServer extends LoopbackServer {
  readonly algoOrders: AlgoOrder[] = []
  readonly orders: FuturesOrder[] = []
  readonly trades: Record<string, unknown>[] = []
  positionAmt = '0'
  lastPrice = '100.0'
  #lastId = 5_000

  /** The stop is triggered, and the market order it becomes is filled. */
  trigger(algo: AlgoOrder, price: string): void {
    const orderId = ++this.#lastId
    const { symbol, side, quantity } = algo
    algo.algoStatus = 'FINISHED'
    algo.actualOrderId = String(orderId)
    const cumQuote = (Number(quantity) * Number(price)).toFixed(4)
    this.orders.push({
      orderId,
      clientOrderId: `auto-${orderId}`,
      symbol,
      side,
      positionSide: 'BOTH',
      type: 'MARKET',
      origQty: quantity,
      executedQty: quantity,
      cumQuote,
      avgPrice: price,
      price: '0',
      stopPrice: '0',
      status: 'FILLED',
      reduceOnly: true,
      time: Date.now(),
    })
    this.trades.push({
      symbol,
      id: ++this.#lastId,
      orderId,
      side,
      price,
      qty: quantity,
      quoteQty: cumQuote,
      commission: '0.05',
      commissionAsset: 'USDT',
      time: Date.now(),
      positionSide: 'BOTH',
      buyer: side === 'BUY',
      maker: false,
    })
    this.positionAmt = '0'
  }

  protected override reply({ method, path, query, isSigned }: Request): Reply {
    if (path === '/fapi/v1/exchangeInfo') return ok({ symbols: [MARKET] })
    if (path === '/fapi/v1/ticker/24hr')
      return ok({ symbol: 'BTCUSDT', lastPrice: this.lastPrice, closeTime: Date.now() })
    if (!isSigned) return refused(-1022, 'Signature for this request is not valid.')
    switch (`${method} ${path}`) {
      case 'GET /fapi/v1/leverageBracket':
        return ok([])
      case 'GET /fapi/v3/positionRisk':
        return ok([this.#position()])
      case 'GET /fapi/v1/openOrders':
        return ok(this.orders.filter((each) => each.status === 'NEW'))
      case 'GET /fapi/v1/openAlgoOrders':
        return ok(this.algoOrders.filter((each) => each.algoStatus === 'NEW'))
      case 'GET /fapi/v1/allOrders':
        return ok(this.orders)
      case 'GET /fapi/v1/allAlgoOrders':
        return ok(this.algoOrders)
      case 'GET /fapi/v1/userTrades':
        return ok(this.trades)
      case 'GET /fapi/v1/order': {
        const order = this.orders.find((each) => String(each.orderId) === query.get('orderId'))
        return order === undefined ? refused(-2013, 'Order does not exist.') : ok(order)
      }
      case 'POST /fapi/v1/algoOrder':
        return this.#create(query)
      case 'GET /fapi/v1/algoOrder':
      case 'DELETE /fapi/v1/algoOrder':
        return this.#one(method, query)
      default:
        return { status: 404, body: {} }
    }
  }

  #create(query: URLSearchParams): Reply {
    const algo: AlgoOrder = {
      algoId: ++this.#lastId,
      clientAlgoId: query.get('clientAlgoId') ?? '',
      algoType: 'CONDITIONAL',
      orderType: query.get('type') ?? '',
      symbol: query.get('symbol') ?? '',
      side: query.get('side') ?? '',
      positionSide: 'BOTH',
      quantity: query.get('quantity') ?? '',
      triggerPrice: query.get('triggerPrice') ?? query.get('stopPrice') ?? '',
      reduceOnly: query.get('reduceOnly') === 'true',
      algoStatus: 'NEW',
      actualOrderId: '',
      createTime: Date.now(),
    }
    this.algoOrders.push(algo)
    return ok(algo)
  }

  #one(method: string, query: URLSearchParams): Reply {
    const algo = this.algoOrders.find((each) =>
      query.has('clientAlgoId')
        ? each.clientAlgoId === query.get('clientAlgoId')
        : String(each.algoId) === query.get('algoId'),
    )
    if (method === 'GET') return algo === undefined ? refused(-2013, 'Order does not exist.') : ok(algo)
    if (algo === undefined || algo.algoStatus !== 'NEW') return refused(-2011, 'Unknown order sent.')
    algo.algoStatus = 'CANCELED'
    return ok({ algoId: algo.algoId, clientAlgoId: algo.clientAlgoId, code: '200', msg: 'success' })
  }

  #position() {
    const notional = String(Number(this.positionAmt) * Number(this.lastPrice))
    return {
      symbol: 'BTCUSDT',
      positionSide: 'BOTH',
      positionAmt: this.positionAmt,
      entryPrice: '100.0',
      markPrice: this.lastPrice,
      unRealizedProfit: '0',
      liquidationPrice: '0',
      isolatedMargin: '0',
      isolatedWallet: '0',
      notional,
      marginAsset: 'USDT',
      initialMargin: '1',
      maintMargin: '1',
      updateTime: Date.now(),
    }
  }
}

const MARKET = {
  symbol: 'BTCUSDT',
  pair: 'BTCUSDT',
  contractType: 'PERPETUAL',
  deliveryDate: 4_133_404_800_000,
  onboardDate: 1_569_398_400_000,
  status: 'TRADING',
  baseAsset: 'BTC',
  quoteAsset: 'USDT',
  marginAsset: 'USDT',
  pricePrecision: 2,
  quantityPrecision: 3,
  baseAssetPrecision: 8,
  quotePrecision: 8,
  orderTypes: ['LIMIT', 'MARKET', 'STOP', 'STOP_MARKET', 'TAKE_PROFIT', 'TAKE_PROFIT_MARKET', 'TRAILING_STOP_MARKET'],
  filters: [
    { filterType: 'PRICE_FILTER', minPrice: '0.10', maxPrice: '1000000', tickSize: '0.10' },
    { filterType: 'LOT_SIZE', minQty: '0.001', maxQty: '1000', stepSize: '0.001' },
  ],
}
