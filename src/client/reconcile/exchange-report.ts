/**
 * What the exchange said, question by question, failures included. Answers may come twice, late and in any order;
 * nothing that reads them depends on their order.
 */
import type { StoreErrorCode } from '../../protocol/store-error.ts'
import type { Decimal } from '../../schema/decimal.ts'
import type { PositionSide } from './documents.ts'
import type { Answer, ExchangeFill, ExchangeOrder, ExchangePosition, MarketRules } from './exchange.ts'

/** The question could not be put, or its answer could not be understood. Never "there is none". */
export interface FailedQuery {
  readonly status: 'failed'
  readonly code: StoreErrorCode
}

export type QueryResult<T> = Answer<T> | FailedQuery

interface Asked<R> {
  readonly askedAtMs: number
  readonly result: R
}

/** `orderId` is the store's key. */
export interface OrderAnswer extends Asked<QueryResult<ExchangeOrder>> {
  readonly orderId: string
}

/** `symbol` is null for an answer about all symbols. */
export interface OpenOrdersAnswer extends Asked<QueryResult<readonly ExchangeOrder[]>> {
  readonly symbol: string | null
}

export interface FillsAnswer extends Asked<QueryResult<readonly ExchangeFill[]>> {
  readonly orderId: string
}

/** All fills of a position's symbol since it was opened. */
export interface SymbolFillsAnswer extends Asked<QueryResult<readonly ExchangeFill[]>> {
  readonly positionId: string
}

export interface PositionAnswer extends Asked<QueryResult<ExchangePosition> | { readonly status: 'not-tracked' }> {
  readonly symbol: string
  readonly side: PositionSide
}

export interface PriceAnswer extends Asked<QueryResult<Decimal>> {
  readonly symbol: string
}

export interface MarketRulesAnswer extends Asked<QueryResult<MarketRules>> {
  readonly symbol: string
}

export interface ExchangeReport {
  /** When the asking began: an order without a time of its own, or with one in the future, counts as written then. */
  readonly startedAtMs: number
  readonly orders: readonly OrderAnswer[]
  readonly openOrders: readonly OpenOrdersAnswer[]
  readonly fills: readonly FillsAnswer[]
  readonly symbolFills: readonly SymbolFillsAnswer[]
  readonly positions: readonly PositionAnswer[]
  readonly prices: readonly PriceAnswer[]
  readonly marketRules: readonly MarketRulesAnswer[]
}

/** `conflicting`: two answers of the same moment disagree. `missing`: nobody asked, or the answer was lost. */
export type LatestAnswer<R> = R | { readonly status: 'conflicting' } | { readonly status: 'missing' }

/**
 * The newest answer that is one; a failure counts only when there is nothing else.
 *
 * @param isSame whether two answers of the same moment say the same
 */
export function latestAnswer<R extends { readonly status: string }>(
  answers: readonly Asked<R>[],
  isSame: (a: R, b: R) => boolean,
): LatestAnswer<R> {
  const given = answers.filter((answer) => answer.result.status !== 'failed')
  const [first] = given
  if (first === undefined) return answers[0]?.result ?? { status: 'missing' }
  const newest = given.reduce((latest, answer) => Math.max(latest, answer.askedAtMs), first.askedAtMs)
  const candidates = given.filter((answer) => answer.askedAtMs === newest).map((answer) => answer.result)
  const [candidate, ...others] = candidates as [R, ...R[]]
  return others.every((other) => isSame(candidate, other)) ? candidate : { status: 'conflicting' }
}
