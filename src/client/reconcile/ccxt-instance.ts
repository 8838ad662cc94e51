/**
 * The part of a ccxt exchange instance that the adapter uses, as a structure: ccxt stays an optional peer, imported
 * neither at run time nor for its types. Numbers are strings where the instance was told so (`exchange.number = String`).
 */
type Digits = number | string | undefined

export interface CcxtOrder {
  readonly id: string | undefined
  readonly clientOrderId?: string | undefined
  readonly symbol: string | undefined
  readonly side: string | undefined
  readonly type?: string | undefined
  readonly status: string | undefined
  readonly amount: Digits
  readonly filled: Digits
  readonly average?: Digits
  readonly price?: Digits
  readonly triggerPrice?: Digits
  readonly stopPrice?: Digits
  readonly stopLossPrice?: Digits
  readonly takeProfitPrice?: Digits
  readonly trades?: readonly CcxtTrade[]
  /** The venue's own answer. */
  readonly info?: unknown
}

export interface CcxtTrade {
  readonly id: string | undefined
  readonly order: string | undefined
  readonly symbol: string | undefined
  readonly side: string | undefined
  readonly price: Digits
  readonly amount: Digits
  readonly timestamp: number | undefined
  readonly takerOrMaker?: string | undefined
  readonly fee?: { readonly cost?: Digits; readonly currency?: string | undefined } | undefined
}

export interface CcxtPosition {
  readonly symbol: string | undefined
  readonly side: string | undefined
  readonly contracts?: Digits
  readonly entryPrice?: Digits
}

export interface CcxtTicker {
  readonly last?: Digits
  readonly close?: Digits
  readonly bid?: Digits
  readonly ask?: Digits
}

export interface CcxtMarket {
  readonly contract?: boolean | undefined
  readonly swap?: boolean | undefined
  readonly linear?: boolean | undefined
  readonly inverse?: boolean | undefined
  readonly contractSize?: Digits
  readonly precision: { readonly price?: Digits; readonly amount?: Digits }
}

type Params = Record<string, unknown>

/** What `ccxtExchange` takes: any ccxt exchange instance fits. */
export interface CcxtInstance {
  readonly id: string
  readonly has: Readonly<Record<string, boolean | 'emulated' | undefined>>
  readonly precisionMode: number | undefined
  loadMarkets(): Promise<unknown>
  market(symbol: string): CcxtMarket
  featureValue(symbol: string, method?: string, parameter?: string, defaultValue?: unknown): unknown
  fetchOrder(id: string, symbol?: string, params?: Params): Promise<CcxtOrder>
  fetchOpenOrders(symbol?: string, since?: number, limit?: number, params?: Params): Promise<readonly CcxtOrder[]>
  fetchOrders(symbol?: string, since?: number, limit?: number, params?: Params): Promise<readonly CcxtOrder[]>
  fetchClosedOrders(symbol?: string, since?: number, limit?: number, params?: Params): Promise<readonly CcxtOrder[]>
  fetchCanceledOrders(symbol?: string, since?: number, limit?: number, params?: Params): Promise<readonly CcxtOrder[]>
  fetchOrderTrades(
    id: string,
    symbol?: string,
    since?: number,
    limit?: number,
    params?: Params,
  ): Promise<readonly CcxtTrade[]>
  fetchMyTrades(symbol?: string, since?: number, limit?: number, params?: Params): Promise<readonly CcxtTrade[]>
  fetchPositions(symbols?: string[], params?: Params): Promise<readonly CcxtPosition[]>
  fetchPosition(symbol: string, params?: Params): Promise<CcxtPosition>
  fetchTicker(symbol: string, params?: Params): Promise<CcxtTicker>
  createOrder(
    symbol: string,
    type: string,
    side: 'buy' | 'sell',
    amount: number,
    price?: number,
    params?: Params,
  ): Promise<CcxtOrder>
  cancelOrder(id: string, symbol?: string, params?: Params): Promise<unknown>
}
