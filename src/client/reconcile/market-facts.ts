/** Prices, market rules and held positions, read out of the exchange's report. */
import type { Decimal } from '../../schema/decimal.ts'
import { compare } from './decimal-math.ts'
import type { PositionSide } from './documents.ts'
import type { MarketRules } from './exchange.ts'
import { type ExchangeReport, latestAnswer } from './exchange-report.ts'
import type { ResolvedPolicy } from './policy.ts'
import { type Subject, UnresolvedError } from './reconcile-plan.ts'

/** What is known about the symbol of a position; each part throws `UnresolvedError` when it is needed and could not be asked. */
export interface MarketFacts {
  lastPrice(): Decimal
  rules(): MarketRules
}

export function marketFacts(
  subject: Subject,
  report: ExchangeReport,
  policy: Pick<ResolvedPolicy, 'tickSize' | 'lotSize'>,
): MarketFacts {
  const { symbol } = subject
  return {
    lastPrice() {
      const answers = report.prices.filter((answer) => answer.symbol === symbol)
      const answer = latestAnswer(
        answers,
        (a, b) => a.status === b.status && (a.status !== 'found' || b.status !== 'found' || isEqual(a.value, b.value)),
      )
      if (answer.status === 'found') return answer.value
      throw new UnresolvedError(subject, 'PRICE_QUERY_FAILED', answer.status === 'failed' ? answer.code : undefined)
    },
    rules() {
      const answers = report.marketRules.filter((answer) => answer.symbol === symbol)
      const answer = latestAnswer(
        answers,
        (a, b) =>
          a.status === b.status && (a.status !== 'found' || b.status !== 'found' || isSameRules(a.value, b.value)),
      )
      if (answer.status !== 'found' && answer.status !== 'not-found') {
        const code = answer.status === 'failed' ? answer.code : undefined
        throw new UnresolvedError(subject, 'MARKET_RULES_QUERY_FAILED', code)
      }
      const rules = answer.status === 'found' ? answer.value : {}
      return {
        ...rules,
        tickSize: policy.tickSize[symbol] ?? rules.tickSize ?? null,
        lotSize: policy.lotSize[symbol] ?? rules.lotSize ?? null,
      }
    },
  }
}

/** How much the exchange holds on a side of a symbol; `not-tracked` when it keeps no positions, or nobody is to look. */
export type HeldQuantity =
  | { readonly status: 'held'; readonly quantity: Decimal }
  | { readonly status: 'not-tracked' }
  | { readonly status: 'unknown'; readonly code: ConstructorParameters<typeof UnresolvedError>[2] }

export function heldQuantity(report: ExchangeReport, symbol: string, side: PositionSide): HeldQuantity {
  const answers = report.positions.filter((answer) => answer.symbol === symbol && answer.side === side)
  const answer = latestAnswer(
    answers,
    (a, b) =>
      a.status === b.status &&
      (a.status !== 'found' || b.status !== 'found' || isEqual(a.value.quantity, b.value.quantity)),
  )
  if (answer.status === 'not-found') return { status: 'held', quantity: '0' }
  if (answer.status === 'not-tracked') return { status: 'not-tracked' }
  if (answer.status === 'found') {
    const isAsked = answer.value.symbol === symbol && answer.value.side === side
    return isAsked ? { status: 'held', quantity: answer.value.quantity } : { status: 'unknown', code: undefined }
  }
  return { status: 'unknown', code: answer.status === 'failed' ? answer.code : undefined }
}

function isEqual(a: Decimal, b: Decimal): boolean {
  return compare(a, b) === 0
}

function isSameRules(a: MarketRules, b: MarketRules): boolean {
  const same = (x: Decimal | null | undefined, y: Decimal | null | undefined) =>
    (x ?? null) === null || (y ?? null) === null ? (x ?? null) === (y ?? null) : isEqual(x as Decimal, y as Decimal)
  return (
    same(a.tickSize, b.tickSize) &&
    same(a.lotSize, b.lotSize) &&
    same(a.contractSize, b.contractSize) &&
    a.inverse === b.inverse
  )
}
