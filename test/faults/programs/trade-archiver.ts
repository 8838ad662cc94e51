/** Fills a store with closed trades, once, or archives those there are, while other writes go on. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { roundTrip } from '../traded-year.ts'
import { programArguments, report } from './report.ts'

export interface TradeArchiverArguments {
  readonly dir: string
  /** Unix milliseconds. */
  readonly before: number
  /** How many trades there are. */
  readonly trades: number
}

const { dir, before, trades } = programArguments<TradeArchiverArguments>()
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
if (store.created) {
  for (let n = 0; n < trades; n++) {
    const { trade, orders, fills } = roundTrip(n)
    void store.transaction((tx) => {
      for (const order of orders) tx.orders.insert(order)
      for (const fill of fills) tx.fills.insert(fill)
      tx.trades.insert(trade)
    })
  }
  await store.flush()
}
report('ready')
const beats = setInterval(() => void store.kv.set('beat', performance.now()), 2)
const { trades: moved } = await store.archiveTrades({ before })
clearInterval(beats)
report('moved', moved)
await store.close()
report('closed')
