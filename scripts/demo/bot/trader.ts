/**
 * Trades one market, bar by bar. What makes a death at any moment harmless:
 *
 * - An order is durable as an intent before the exchange hears of it.
 * - The checkpoint is written in the same transaction as the intent it stands for: a decision is taken once.
 * - What an order has brought about is written whole: fills, order, position and trade in one transaction.
 * - All that counts is durable before the market is asked for the next bar. Only quiet bars are not waited for: losing
 *   such a checkpoint means looking at a bar twice.
 */

import { add, compare, subtract } from '../exact-decimal.ts'
import type { OrderNews } from '../exchange/exchange-api.ts'
import type { ExchangeClient } from '../exchange/exchange-client.ts'
import { type Bar, closeTime } from '../market/bar.ts'
import type { Market } from '../market/market.ts'
import { advanceOrder, closingTrade, compareFills, openPosition, reducePosition, toFill } from './accounting.ts'
import type { AckClock } from './ack-clock.ts'
import { BreakoutWindow } from './breakout.ts'
import { checkpointDocument, readCheckpoint } from './checkpoint.ts'
import type { DemoStore } from './demo-store.ts'
import type { Fill, Order, Position } from './documents.ts'
import { isLoose, stopOnTick, trailStop } from './trailing-stop.ts'

const ALGORITHM = 'breakout'
/** Bars between two entries in `algorithmMetrics`. */
const REPORT_BARS = 500

export class Trader {
  readonly #market: Market
  readonly #store: DemoStore
  readonly #exchange: ExchangeClient
  readonly #acks: AckClock
  readonly #trailingPercent: string
  #window: BreakoutWindow
  #next = 0

  constructor(market: Market, store: DemoStore, exchange: ExchangeClient, acks: AckClock) {
    this.#market = market
    this.#store = store
    this.#exchange = exchange
    this.#acks = acks
    this.#trailingPercent = String(store.flags.value('trailing-stop-percent'))
    this.#window = this.#emptyWindow()
  }

  get symbol(): string {
    return this.#market.symbol
  }

  /** The bar that is next. */
  get next(): number {
    return this.#next
  }

  /**
   * Takes up where the store and the market say. Where the market is further, nothing was to be decided on the bars
   * between: `reconcile` has caught up with the orders, and this does with the bars.
   */
  async resume(): Promise<void> {
    const { symbol } = this.#market
    const checkpoint = readCheckpoint(this.#store, symbol)
    this.#next = Math.max(checkpoint + 1, await this.#exchange.currentBar(symbol))
    const [stored] = await this.#store.barRows.list({ where: { symbol }, orderBy: 'index', order: 'desc', limit: 1 })
    const missed = await this.#exchange.bars(symbol, (stored?.index ?? -1) + 1, this.#next - 1)
    await this.#store.barRows.load(missed.map((bar) => this.#barDocument(bar)))
    for (const bar of missed) if (bar.index > checkpoint) await this.#report(bar)
    this.#window = this.#emptyWindow()
    const recent = await this.#exchange.bars(symbol, this.#next - this.#breakoutBars, this.#next - 1)
    for (const bar of recent) this.#window.push(bar.high)
  }

  /** Works through the next bar. */
  async step(): Promise<void> {
    const index = this.#next
    const { bar, orders } = await this.#exchange.advance(this.symbol, index)
    this.#acks.accept(this.#store.barRows.put(this.#barDocument(bar)))
    for (const news of orders) await this.#recordExit(news)
    // Before the checkpoint that may come with a decision: what is left of this bar then is never missed.
    await this.#report(bar)

    const position = this.#position()
    const isDecided =
      position === undefined
        ? this.#window.isBreakout(bar.close) && (await this.#enter(bar))
        : await this.#protect(position, bar)
    if (!isDecided) this.#acks.accept(this.#store.kv.put(checkpointDocument(this.symbol, index)))
    this.#window.push(bar.high)
    this.#next = index + 1
  }

  get #breakoutBars(): number {
    return Number(this.#store.flags.value(`breakout-bars:${this.symbol}`))
  }

  #emptyWindow(): BreakoutWindow {
    return new BreakoutWindow(this.#breakoutBars)
  }

  #position(): Position | undefined {
    return this.#store.positions.find({ symbol: this.symbol })[0]
  }

  async #enter(bar: Bar): Promise<boolean> {
    const { code, orderQuantity } = this.#market
    const id = `${code}-entry-${bar.index}`
    const now = Date.now()
    const intent: Order = {
      id,
      clientOrderId: id,
      symbol: this.symbol,
      side: 'buy',
      type: 'market',
      purpose: 'entry',
      state: 'intent',
      quantity: orderQuantity,
      filledQuantity: '0',
      positionId: `${code}-${bar.index}`,
      createdAt: now,
      updatedAt: now,
    }
    await this.#commit((tx) => {
      tx.orders.insert(intent)
      tx.kv.put(checkpointDocument(this.symbol, bar.index))
    })
    const report = await this.#send(intent)
    const executed = await this.#exchange.fetchFills({
      symbol: this.symbol,
      exchangeOrderId: report.exchangeOrderId,
      sinceMs: null,
    })
    const fills = executed.map((each) => toFill(intent, each))
    const position = openPosition(`${intent.positionId}`, fills, Date.now())
    await this.#commit((tx) => {
      tx.orders.put(advanceOrder(intent, report, fills, Date.now()))
      tx.fills.insertMany(fills)
      tx.positions.put(position)
    })
    return await this.#protect(position, bar)
  }

  /** Has one stop rest where it belongs. True when there was something to write. */
  async #protect(position: Position, bar: Bar): Promise<boolean> {
    const { tickSize } = this.#market
    const resting = position.stopOrderId ? this.#store.orders.peek(position.stopOrderId) : undefined
    const known = {
      ...(position.highestPrice ? { highestPrice: `${position.highestPrice}` } : {}),
      ...(position.currentStop ? { currentStop: `${position.currentStop}` } : {}),
    }
    const trailed = trailStop(known, `${position.entryPrice}`, bar.close, this.#trailingPercent)
    const moved: Position = { ...position, ...trailed }
    if (resting !== undefined) {
      const left = subtract(`${resting.quantity}`, `${resting.filledQuantity}`)
      const isWhole = compare(left, `${position.quantity}`) === 0
      if (isWhole && !isLoose(`${resting.stopPrice}`, trailed.currentStop, tickSize)) {
        const isSame = trailed.highestPrice === known.highestPrice && trailed.currentStop === known.currentStop
        if (isSame) return false
        await this.#commit((tx) => {
          tx.positions.put({ ...moved, updatedAt: Date.now() })
          tx.kv.put(checkpointDocument(this.symbol, bar.index))
        })
        return true
      }
      await this.#cancel(resting)
    }
    const stopPrice = stopOnTick(trailed.currentStop, tickSize)
    const intent = this.#stopIntent(position, stopPrice, bar.index)
    await this.#commit((tx) => {
      if (resting !== undefined) tx.orders.put({ ...resting, state: 'canceled', updatedAt: Date.now() })
      tx.orders.insert(intent)
      tx.positions.put({ ...moved, currentStop: stopPrice, stopOrderId: intent.id, updatedAt: Date.now() })
      tx.kv.put(checkpointDocument(this.symbol, bar.index))
    })
    const report = await this.#send(intent)
    await this.#commit((tx) => {
      tx.orders.put({ ...intent, state: 'open', exchangeOrderId: report.exchangeOrderId, updatedAt: Date.now() })
    })
    return true
  }

  #stopIntent(position: Position, stopPrice: string, index: number): Order {
    const id = `${this.#market.code}-stop-${index}`
    const now = Date.now()
    return {
      id,
      clientOrderId: id,
      symbol: this.symbol,
      side: 'sell',
      type: 'stop',
      purpose: 'stop',
      state: 'intent',
      quantity: position.quantity,
      stopPrice,
      filledQuantity: '0',
      reduceOnly: true,
      positionId: position.id,
      createdAt: now,
      updatedAt: now,
    }
  }

  /** Only what is durable as an intent may get here. */
  async #send(intent: Order) {
    const answer = await this.#exchange.createOrder({
      clientOrderId: `${intent.clientOrderId}`,
      symbol: intent.symbol,
      side: intent.side,
      type: intent.type ?? 'market',
      quantity: intent.quantity,
      price: null,
      stopPrice: intent.stopPrice ?? null,
      reduceOnly: intent.reduceOnly ?? false,
    })
    if (answer.status === 'refused') throw new Error(`the exchange has refused an order: ${answer.reason}`)
    return answer.order
  }

  async #cancel(order: Order): Promise<void> {
    const answer = await this.#exchange.cancelOrder({
      symbol: order.symbol,
      clientOrderId: order.clientOrderId ?? null,
      exchangeOrderId: order.exchangeOrderId ?? null,
      type: order.type ?? null,
      createdAtMs: order.createdAt ?? null,
    })
    // The market stands still between two bars, so a stop that rests has not been hit meanwhile.
    if (answer.status === 'not-found') throw new Error(`the exchange does not know the stop ${order.id}`)
  }

  /** The stop was hit: writes what it has sold, and with the last of it the trade. */
  async #recordExit({ order: report, fills: executed }: OrderNews): Promise<void> {
    const order = this.#store.orders.peek(`${report.clientOrderId}`)
    const position = this.#position()
    if (order === undefined || position === undefined) throw new Error(`${report.clientOrderId} is not an open stop`)
    const added = executed.map((each) => toFill(order, each))
    const fills = [...(await this.#store.fills.find({ orderId: order.id })), ...added].sort(compareFills)
    const now = Date.now()
    const rest = reducePosition(position, added, now)
    const trade = rest === null ? await this.#closingTrade(position, order, added) : null
    await this.#commit((tx) => {
      tx.orders.put(advanceOrder(order, report, fills, now))
      tx.fills.insertMany(added)
      if (rest !== null) tx.positions.put(rest)
      else tx.positions.delete(position.id)
      if (trade !== null) tx.trades.insert(trade)
    })
  }

  async #closingTrade(position: Position, closing: Order, added: readonly Fill[]) {
    const orders = await this.#store.orders.find({ positionId: position.id })
    const orderIds = orders.map((each) => each.id)
    const fills = [...(await this.#store.fills.find({ orderId: { in: orderIds } })), ...added].sort(compareFills)
    const entries = fills.filter((fill) => fill.side === 'buy')
    const exits = fills.filter((fill) => fill.side === 'sell')
    return closingTrade(position, entries, exits, closing)
  }

  /** Now and then, how the algorithm does: from the trades closed by then, so that it can be told later as well. */
  async #report(bar: Bar): Promise<void> {
    if ((bar.index + 1) % REPORT_BARS !== 0) return
    const recordedAt = closeTime(bar)
    const trades = await this.#store.trades.find({ symbol: this.symbol, closedAt: { lte: recordedAt } })
    const won = trades.filter((trade) => compare(`${trade.pnl}`, '0') > 0)
    await this.#acks.time(
      this.#store.algorithmMetrics.put({
        id: `${this.#market.code}-${bar.index + 1}`,
        algorithm: ALGORITHM,
        symbol: this.symbol,
        recordedAt,
        metrics: {
          trades: trades.length,
          won: won.length,
          pnl: trades.reduce((total, trade) => add(total, `${trade.pnl}`), '0'),
          fees: trades.reduce((total, trade) => add(total, `${trade.fees}`), '0'),
        },
      }),
    )
  }

  async #commit(work: Parameters<DemoStore['transaction']>[0]): Promise<void> {
    await this.#acks.time(this.#store.transaction(work))
  }

  #barDocument({ index, openTime, open, high, low, close, volume }: Bar) {
    return { id: `${this.#market.code}-${index}`, symbol: this.symbol, index, openTime, open, high, low, close, volume }
  }
}
