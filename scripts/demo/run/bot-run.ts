/**
 * One bot with its exchange, from the first bar to the last. Where the exchange leaves a request unanswered, the bot is
 * killed and, with the market gone on or not, started again over the same store.
 */
import { cp } from 'node:fs/promises'
import type { BotMessage, BotOptions, Reconciliation, Vitals } from '../bot/bot-message.ts'
import { type LatencyFigures, LatencyHistogram } from '../bot/latency-histogram.ts'
import type { Book } from '../exchange/exchange-api.ts'
import { ExchangeClient } from '../exchange/exchange-client.ts'
import type { ExchangeMessage, ExchangeOptions } from '../exchange/exchange-message.ts'
import type { KillKind } from '../exchange/kill-point.ts'
import { DemoProcess } from './child-process.ts'

/** One death, and what came after. */
export interface Kill {
  readonly kind: KillKind
  readonly symbol: string
  readonly bar: number
  /** How far the market went on without its bot, and what was filled meanwhile. */
  readonly barsAlone: number
  readonly fillsAlone: number
  readonly openMs: number
  readonly reconciliation: Reconciliation
}

export interface RunFigures {
  readonly bars: number
  readonly processes: number
  readonly acceptedWrites: number
  readonly durableWrites: number
  readonly acks: LatencyFigures
  readonly longestGapMs: number
  readonly seconds: number
}

export interface RunResult {
  readonly figures: RunFigures
  readonly kills: readonly Kill[]
  readonly firstReconciliation: Reconciliation
  readonly book: Book
}

export interface RunListener {
  onProgress(bars: number): void
  onKilled(kill: Pick<Kill, 'kind' | 'symbol' | 'bar'>): void
  onRestarted(kill: Kill): void
}

export interface RunOptions {
  readonly bot: Omit<BotOptions, 'port'>
  readonly exchange: ExchangeOptions
  /** Gets a copy of the store's files as each kill has left them. */
  readonly snapshotDir: string | null
}

/** What is summed up over the lives of a bot. */
class Tally {
  readonly #acks = new LatencyHistogram()
  #processes = 0
  #accepted = 0
  #durable = 0
  #longestGapMs = 0
  #bars = 0

  add({ bars, acceptedWrites, durableWrites, acks, longestGapMs }: Vitals): void {
    this.#processes += 1
    this.#accepted += acceptedWrites
    this.#durable += durableWrites
    this.#acks.add(acks)
    this.#longestGapMs = Math.max(this.#longestGapMs, longestGapMs)
    this.#bars = bars
  }

  figures(seconds: number): RunFigures {
    return {
      bars: this.#bars,
      processes: this.#processes,
      acceptedWrites: this.#accepted,
      durableWrites: this.#durable,
      acks: this.#acks.figures(),
      longestGapMs: this.#longestGapMs,
      seconds,
    }
  }
}

export async function runBot({ bot, exchange, snapshotDir }: RunOptions, listener: RunListener): Promise<RunResult> {
  const startedAt = performance.now()
  const venue = new DemoProcess<ExchangeMessage>('exchange-process', exchange)
  try {
    const { port } = await venue.next('listening')
    const tally = new Tally()
    const kills: Kill[] = []
    let firstReconciliation: Reconciliation | undefined
    let death: Omit<Kill, 'openMs' | 'reconciliation'> | null = null
    for (;;) {
      const life = new Life({ ...bot, port }, venue, listener)
      const { openMs, reconciliation } = await life.reconciled
      if (death !== null) {
        const kill: Kill = { ...death, openMs, reconciliation }
        kills.push(kill)
        listener.onRestarted(kill)
      }
      firstReconciliation ??= reconciliation
      const end = await life.end()
      if (life.vitals !== null) tally.add(life.vitals)
      if (end === null) break
      listener.onKilled(end)
      if (snapshotDir !== null) await cp(bot.dir, `${snapshotDir}/${kills.length + 1}`, { recursive: true })
      venue.send({ type: 'go-on' })
      const { bars, fills } = await venue.next('gone-on')
      death = { ...end, barsAlone: bars, fillsAlone: fills }
    }
    const client = new ExchangeClient(port)
    const book = await client.book()
    client.close()
    const seconds = (performance.now() - startedAt) / 1_000
    return { figures: tally.figures(seconds), kills, firstReconciliation, book }
  } finally {
    await venue.kill()
  }
}

type Death = Pick<Kill, 'kind' | 'symbol' | 'bar'>

/** A process of the bot, until it is done or is killed. */
class Life {
  readonly #process: DemoProcess<BotMessage>
  readonly #stopListening: () => void
  readonly reconciled: Promise<Extract<BotMessage, { readonly type: 'reconciled' }>>
  #death: Death | null = null
  #isDone = false
  /** As last reported: a process that is killed takes the rest with it. */
  vitals: Vitals | null = null

  constructor(options: BotOptions, venue: DemoProcess<ExchangeMessage>, listener: RunListener) {
    const bot = new DemoProcess<BotMessage>('bot-process', options)
    this.#process = bot
    this.reconciled = bot.next('reconciled')
    bot.on((message) => {
      if (message.type === 'reconciled') return
      this.#isDone = message.type === 'done'
      this.vitals = message.vitals
      listener.onProgress(message.vitals.bars)
    })
    this.#stopListening = venue.on((message) => {
      if (message.type !== 'unanswered') return
      const { kind, symbol, bar } = message
      this.#death = { kind, symbol, bar }
      void bot.kill()
    })
  }

  /** How it was killed, or null when it has finished its work. */
  async end(): Promise<Death | null> {
    await this.#process.ended
    this.#stopListening()
    if (this.#death !== null) return this.#death
    if (!this.#isDone || !this.#process.isWell) throw this.#process.failure()
    return null
  }
}
