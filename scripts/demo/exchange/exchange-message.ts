/** What the exchange process and the demo tell each other. */
import type { KillKind, KillPoint } from './kill-point.ts'

export interface ExchangeOptions {
  /** Where the bars are, as `writeMarketData` has written them. */
  readonly market: string
  readonly seed: number
  readonly kills: readonly KillPoint[]
}

export type ExchangeMessage =
  | { readonly type: 'listening'; readonly port: number }
  /** A request was carried out and is left without an answer. */
  | { readonly type: 'unanswered'; readonly kind: KillKind; readonly symbol: string; readonly bar: number }
  | { readonly type: 'gone-on'; readonly bars: number; readonly fills: number }

/** The bot is dead: let the market go on without it, if that is what the kill point is about. */
export type ExchangeCommand = { readonly type: 'go-on' }
