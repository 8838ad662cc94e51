/** The markets the demo trades, and their rules. */

export interface Market {
  readonly symbol: string
  /** What the exchange's ids of this market begin with. */
  readonly code: string
  readonly tickSize: string
  readonly lotSize: string
  readonly quoteCurrency: string
  /** What the bot buys at a time. */
  readonly orderQuantity: string
  /** The bot buys when the price closes above everything seen in this many bars. */
  readonly breakoutBars: number
}

export const MARKETS = [
  {
    symbol: 'BTC-PERP',
    code: 'BTCPERP',
    tickSize: '0.5',
    lotSize: '0.001',
    quoteCurrency: 'USD',
    orderQuantity: '0.150',
    breakoutBars: 60,
  },
  {
    symbol: 'XRP/ETH',
    code: 'XRPETH',
    tickSize: '0.00000001',
    lotSize: '1',
    quoteCurrency: 'ETH',
    orderQuantity: '400',
    breakoutBars: 20,
  },
] as const satisfies readonly Market[]

/** Distance of the trailing stop from the best price since entry, in percent. */
export const TRAILING_STOP_PERCENT = '0.4'

export function marketOf(symbol: string): Market {
  const market = MARKETS.find((each) => each.symbol === symbol)
  if (market === undefined) throw new Error(`there is no market ${symbol}`)
  return market
}
