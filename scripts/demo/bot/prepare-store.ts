/** What a new store gets before the first bar: who trades, with which wallet, and how. */
import { MARKETS, TRAILING_STOP_PERCENT } from '../market/market.ts'
import type { DemoStore } from './demo-store.ts'

export const WALLET_ADDRESS = '0x7d0c5f1b2a9e4c3386dd1d2a4f60b6c1e8f0a935'
const USER_ID = 'paper-trader'

/** In one transaction, so that a bot that dies meanwhile finds either all of it or nothing. */
export async function prepareStore(store: DemoStore, walletKey: string): Promise<void> {
  if (store.flags.get('trailing-stop-percent') !== undefined) return
  await store.transaction((tx) => {
    tx.users.insert({ id: USER_ID, name: 'Paper Trader', role: 'trader' })
    tx.wallets.insert({
      address: WALLET_ADDRESS,
      label: 'paper money',
      chain: 'ethereum',
      privateKey: walletKey,
      userId: USER_ID,
    })
    tx.flags.put({
      key: 'trailing-stop-percent',
      value: TRAILING_STOP_PERCENT,
      description: 'Distance of the stop from the best close since entry',
    })
    for (const { symbol, breakoutBars } of MARKETS) {
      const description = 'Bars whose highs a close has to exceed'
      tx.flags.put({ key: `breakout-bars:${symbol}`, value: breakoutBars, description })
    }
    tx.preferences.put({ key: 'report-currency', value: { code: 'USD', digits: 2 } })
    tx.preferences.put({ key: 'timezone', value: 'UTC' })
  })
}
