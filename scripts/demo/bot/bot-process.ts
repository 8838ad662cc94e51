/** The process of the paper-trading bot: opens its store, reconciles, and works through what is left of the markets. */

import { ExchangeClient } from '../exchange/exchange-client.ts'
import { reconcile } from '../holdfast.ts'
import { MARKETS, TRAILING_STOP_PERCENT } from '../market/market.ts'
import { leaveParent, processArgument, sendToParent } from '../run/child-side.ts'
import { EventLoopProbe } from '../run/event-loop-probe.ts'
import { AckClock } from './ack-clock.ts'
import type { BotMessage, BotOptions, Vitals } from './bot-message.ts'
import { openDemoStore } from './demo-store.ts'
import { prepareStore } from './prepare-store.ts'
import { Trader } from './trader.ts'

const REPORT_EVERY_MS = 100
/** How long a request of the killed process may still be on its way to an exchange on the same machine. */
const SETTLE_MS = 250

const { dir, port, barsOf, walletKey } = processArgument<BotOptions>()
const send = sendToParent<BotMessage>

const startedAt = performance.now()
const store = await openDemoStore(dir)
const openMs = performance.now() - startedAt
const probe = new EventLoopProbe()
const exchange = new ExchangeClient(port)
const acks = new AckClock()
await prepareStore(store, walletKey)

const reconciledAt = performance.now()
const report = await reconcile(store, exchange, {
  trailingStopPercent: TRAILING_STOP_PERCENT,
  onUnknownIntent: 'resubmit',
  settleMs: SETTLE_MS,
})
send({
  type: 'reconciled',
  openMs,
  reconciliation: {
    outcome: report.outcome,
    durationMs: performance.now() - reconciledAt,
    counts: report.counts,
    unresolved: report.unresolved.map(({ subject, reason }) => `${subject.kind} ${subject.id}: ${reason}`),
  },
})
// A bot that does not know what it holds must not trade.
if (report.outcome === 'unresolved') throw new Error('reconciliation left something unresolved')

const traders = MARKETS.map((market) => new Trader(market, store, exchange, acks))
for (const trader of traders) await trader.resume()

let reportedAt = performance.now()
for (let trader = furthestBehind(); trader !== undefined; trader = furthestBehind()) {
  await trader.step()
  if (performance.now() - reportedAt < REPORT_EVERY_MS) continue
  reportedAt = performance.now()
  send({ type: 'progress', vitals: vitals() })
}
await store.flush()
send({ type: 'done', vitals: vitals() })
probe.end()
exchange.close()
await store.close()
leaveParent()

/** The market with the greatest share still to go, so that all of them end together. */
function furthestBehind(): Trader | undefined {
  const shares = traders.map((trader) => ({ trader, share: trader.next / (barsOf[trader.symbol] ?? 0) }))
  const [least] = shares.sort((a, b) => a.share - b.share)
  return least === undefined || least.share >= 1 ? undefined : least.trader
}

function vitals(): Vitals {
  const state = store.stats()
  return {
    bars: traders.reduce((total, trader) => total + trader.next, 0),
    acceptedWrites: state.acceptedOperations + state.market.acceptedOperations,
    durableWrites: state.durableOperations + state.market.durableOperations,
    acks: acks.histogram.data(),
    longestGapMs: probe.longestGapMs,
  }
}
