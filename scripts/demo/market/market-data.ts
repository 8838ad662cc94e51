/** Reads the recorded market data; `scripts/demo/data/SOURCE.md` says where it comes from. */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Bar } from './bar.ts'
import { MARKETS } from './market.ts'
import { barsOfTrades, type PublicTrade } from './trade-bars.ts'

export type MarketData = ReadonlyMap<string, readonly Bar[]>

/** The bars of all markets by symbol; `share` of each, from the beginning. */
export async function loadMarketData(share = 1): Promise<MarketData> {
  const [perpetual, xrp] = await Promise.all([readPerpetualBars(), readXrpTrades()])
  const all: Record<(typeof MARKETS)[number]['symbol'], readonly Bar[]> = {
    'BTC-PERP': perpetual,
    'XRP/ETH': barsOfTrades(xrp),
  }
  return new Map(
    MARKETS.map(({ symbol }) => [symbol, all[symbol].slice(0, Math.ceil(all[symbol].length * share))] as const),
  )
}

/** `timestamp,open,high,low,close,volume`, times in UTC. */
async function readPerpetualBars(): Promise<Bar[]> {
  const [, ...lines] = (await readCompressed('btc-perp-1m.csv.gz')).trimEnd().split('\n')
  return lines.map((line, index) => {
    const [time, open, high, low, close, volume] = line.split(',') as [string, string, string, string, string, string]
    return { index, openTime: Date.parse(`${time.replace(' ', 'T')}Z`), open, high, low, close, volume }
  })
}

/** Rows of time, id, order, side, price, quantity, cost. */
async function readXrpTrades(): Promise<PublicTrade[]> {
  type Row = readonly [time: number, id: string, order: null, side: string, price: number, quantity: number]
  const rows = JSON.parse(await readCompressed('xrp-eth-trades.json.gz')) as Row[]
  return rows.map(([time, , , , price, quantity]) => ({ time, price: price.toFixed(8), quantity: `${quantity}` }))
}

async function readCompressed(name: string): Promise<string> {
  const compressed = await readFile(new URL(`../data/${name}`, import.meta.url))
  return (await promisify(gunzip)(compressed)).toString('utf8')
}
