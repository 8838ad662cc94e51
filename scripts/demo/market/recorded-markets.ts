/** Reads the recorded market data; `scripts/demo/data/SOURCE.md` says where it comes from. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Bar } from './bar.ts'
import { MARKETS } from './market.ts'
import type { MarketData } from './market-data.ts'
import { barsOfTrades, type PublicTrade } from './trade-bars.ts'

/** The bars of all markets by symbol; `share` of each, from the beginning. */
export async function readRecordedMarkets(dataDir: string, share = 1): Promise<MarketData> {
  const [perpetual, xrp] = await Promise.all([readPerpetualBars(dataDir), readXrpTrades(dataDir)])
  const all: Record<(typeof MARKETS)[number]['symbol'], readonly Bar[]> = {
    'BTC-PERP': perpetual,
    'XRP/ETH': barsOfTrades(xrp),
  }
  return new Map(
    MARKETS.map(({ symbol }) => [symbol, all[symbol].slice(0, Math.ceil(all[symbol].length * share))] as const),
  )
}

/** The month of which the market above plays the first days; `test/data/README.md` says where it comes from. */
export async function readRecordedMonth(dataDir: string): Promise<readonly Bar[]> {
  return await readPerpetualBars(join(dataDir, '../../../test/data'))
}

/** `timestamp,open,high,low,close,volume`, times in UTC. */
async function readPerpetualBars(dir: string): Promise<Bar[]> {
  const rows = await readRows<6>(join(dir, 'btc-perp-1m.csv.gz'))
  return rows.map(([time, open, high, low, close, volume], index) => {
    return { index, openTime: Date.parse(`${time.replace(' ', 'T')}Z`), open, high, low, close, volume }
  })
}

/** `milliseconds,price,quantity`. */
async function readXrpTrades(dataDir: string): Promise<PublicTrade[]> {
  const rows = await readRows<3>(join(dataDir, 'xrp-eth-trades.csv.gz'))
  return rows.map(([time, price, quantity]) => ({ time: Number(time), price, quantity }))
}

type Row<N extends number, Cells extends string[] = []> = Cells['length'] extends N ? Cells : Row<N, [...Cells, string]>

/** The rows below the head. */
async function readRows<N extends number>(path: string): Promise<Row<N>[]> {
  const text = (await promisify(gunzip)(await readFile(path))).toString('utf8')
  const [, ...lines] = text.trimEnd().split('\n')
  return lines.map((line) => line.split(',') as Row<N>)
}
