/** Between ccxt's structures and those of `Exchange`: pure, digit by digit. */
import { StoreError } from '../../protocol/store-error.ts'
import type { Decimal } from '../../schema/decimal.ts'
import type { CcxtMarket, CcxtOrder, CcxtPosition, CcxtTicker, CcxtTrade } from './ccxt-instance.ts'
import { add, compare, multiply } from './decimal-math.ts'
import type { OrderSide, OrderType, PositionSide } from './documents.ts'
import type {
  CreateOrderRequest,
  ExchangeFill,
  ExchangeOrder,
  ExchangeOrderStatus,
  ExchangePosition,
  MarketRules,
} from './exchange.ts'

/** ccxt's `precisionMode`s. */
const DECIMAL_PLACES = 2
const TICK_SIZE = 4

export function toExchangeOrder(order: CcxtOrder, symbol: string): ExchangeOrder {
  const quantity = digits(order.amount)
  const filledQuantity = digits(order.filled)
  return {
    exchangeOrderId: required(order.id, 'id'),
    clientOrderId: order.clientOrderId || null,
    symbol: order.symbol ?? symbol,
    side: toSide(order.side),
    type: toOrderType(order),
    status: toStatus(order.status, quantity, filledQuantity),
    quantity,
    filledQuantity,
    averagePrice: digits(order.average),
    price: digits(order.price),
    stopPrice: stopPriceOf(order),
  }
}

export function toExchangeFill(trade: CcxtTrade, symbol: string): ExchangeFill {
  const { takerOrMaker, fee } = trade
  return {
    tradeId: required(trade.id, 'id'),
    exchangeOrderId: required(trade.order, 'order'),
    symbol: trade.symbol ?? symbol,
    side: toSide(trade.side),
    price: required(digits(trade.price), 'price'),
    quantity: required(digits(trade.amount), 'amount'),
    fee: digits(fee?.cost),
    feeCurrency: fee?.currency ?? null,
    liquidity: takerOrMaker === 'taker' || takerOrMaker === 'maker' ? takerOrMaker : null,
    filledAt: required(trade.timestamp, 'timestamp'),
  }
}

/** Null for a position of the other side, or of nothing. */
export function toExchangePosition(
  position: CcxtPosition,
  symbol: string,
  side: PositionSide,
): ExchangePosition | null {
  const quantity = digits(position.contracts)
  if (position.symbol !== symbol || (quantity !== null && compare(quantity, 0) === 0)) return null
  const heldSide = required(position.side, 'side')
  if (heldSide !== side) return null
  return { symbol, side, quantity: required(quantity, 'contracts'), entryPrice: digits(position.entryPrice) }
}

/** The last price; without one the middle between bid and ask. */
export function toLastPrice({ last, close, bid, ask }: CcxtTicker): Decimal | null {
  const traded = digits(last) ?? digits(close)
  if (traded !== null) return traded
  const best = { bid: digits(bid), ask: digits(ask) }
  return best.bid === null || best.ask === null ? null : multiply(add(best.bid, best.ask), '0.5')
}

export function toMarketRules(market: CcxtMarket, precisionMode: number | undefined): MarketRules {
  const step = (precision: number | string | undefined): Decimal | null => {
    const value = digits(precision)
    if (value === null || precisionMode === TICK_SIZE) return value
    return precisionMode === DECIMAL_PLACES ? `1e${-Number(value)}` : null
  }
  const isContract = market.contract === true
  return {
    tickSize: step(market.precision.price),
    lotSize: step(market.precision.amount),
    contractSize: isContract ? digits(market.contractSize) : null,
    inverse: isContract && market.inverse === true,
  }
}

/** What `createOrder` of ccxt takes for an order: its type, and the unified parameters. */
export function toCcxtRequest(
  request: CreateOrderRequest,
  market: CcxtMarket,
  hasFeature: (parameter: string) => boolean,
): { readonly type: 'market' | 'limit'; readonly params: Record<string, unknown> } | null {
  const { type, side, stopPrice } = request
  const params: Record<string, unknown> = { clientOrderId: request.clientOrderId }
  // Spot markets have nothing to reduce, and refuse the parameter.
  if (request.reduceOnly && market.contract === true) params.reduceOnly = true
  if (type === 'market' || type === 'limit') return { type, params }
  if (type === 'trailing_stop' || stopPrice === null) return null
  if (type === 'take_profit') return { type: 'market', params: { ...params, takeProfitPrice: stopPrice } }
  // A protective stop says by itself in which direction it triggers; a stop that enters has to be told.
  if (request.reduceOnly && hasFeature('stopLossPrice')) params.stopLossPrice = stopPrice
  else {
    params.triggerPrice = stopPrice
    if (hasFeature('triggerDirection')) params.triggerDirection = side === 'buy' ? 'ascending' : 'descending'
  }
  return { type: type === 'stop_limit' ? 'limit' : 'market', params }
}

/**
 * The order a conditional order has become. Venues that keep conditional orders apart answer for a triggered one with
 * "closed" and nothing filled: what was executed is another order, which they name in a field of their own.
 */
export function triggeredOrderId({ id, info }: CcxtOrder): string | null {
  if (typeof info !== 'object' || info === null) return null
  const { actualOrderId, algoId, ordId, executeOrderId } = info as Readonly<Record<string, unknown>>
  // Binance, OKX, Bitget.
  const named = actualOrderId || (algoId ? ordId : null) || executeOrderId
  return named && String(named) !== id ? String(named) : null
}

function toStatus(
  status: string | undefined,
  quantity: Decimal | null,
  filledQuantity: Decimal | null,
): ExchangeOrderStatus {
  switch (status) {
    case 'open':
    case 'canceling':
      return 'open'
    case 'canceled':
    case 'expired':
    case 'rejected':
      return status
    case 'closed':
      // ccxt calls every order closed that is over and was not canceled, whether filled in whole or in part.
      if (filledQuantity === null || compare(filledQuantity, 0) === 0) return 'unknown'
      return quantity === null || compare(filledQuantity, quantity) >= 0 ? 'filled' : 'canceled'
    default:
      return 'unknown'
  }
}

function toOrderType(order: CcxtOrder): OrderType | null {
  const isTriggered = stopPriceOf(order) !== null
  if (order.type === 'limit') return isTriggered ? 'stop_limit' : 'limit'
  if (order.type === 'market') return isTriggered ? 'stop' : 'market'
  return null
}

function stopPriceOf(order: CcxtOrder): Decimal | null {
  return (
    digits(order.stopLossPrice) ??
    digits(order.triggerPrice) ??
    digits(order.stopPrice) ??
    digits(order.takeProfitPrice)
  )
}

function toSide(side: string | undefined): OrderSide {
  if (side === 'buy' || side === 'sell') return side
  throw incomplete('side')
}

function digits(value: number | string | null | undefined): Decimal | null {
  return value === undefined || value === null || value === '' ? null : value
}

function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined || value === '') throw incomplete(field)
  return value
}

function incomplete(field: string): StoreError {
  return new StoreError(
    'EXCHANGE_ERROR',
    `The exchange's answer has no usable "${field}". Nothing is concluded from it.`,
    {
      details: { field },
    },
  )
}
