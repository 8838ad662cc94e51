/**
 * Questions to the exchange: at most so many at a time, each with a time limit and some attempts, every answer checked.
 * What comes out is always a result; a question that got no usable answer is `failed`, with the code of the error.
 */
import { z } from 'zod'
import { isStoreError, StoreError, type StoreErrorCode } from '../../protocol/store-error.ts'
import type { Decimal } from '../../schema/decimal.ts'
import type { Clock } from './clock.ts'
import type { PositionSide } from './documents.ts'
import {
  type Answer,
  type Exchange,
  type ExchangeFill,
  type ExchangeOrder,
  type ExchangePosition,
  exchangeFillSchema,
  exchangeOrderSchema,
  exchangePositionSchema,
  type FillQuery,
  lastPriceSchema,
  type MarketRules,
  marketRulesSchema,
  type OrderReference,
} from './exchange.ts'
import type { QueryResult } from './exchange-report.ts'
import type { ResolvedPolicy } from './policy.ts'

const FIRST_BACKOFF_MS = 100

type Limits = Pick<ResolvedPolicy, 'queryConcurrency' | 'queryTimeoutMs' | 'queryAttempts'>

const notFoundSchema = z.object({ status: z.literal('not-found') })
const answerOf = <T extends z.ZodType>(value: T) =>
  z.discriminatedUnion('status', [z.object({ status: z.literal('found'), value }), notFoundSchema])
const orderAnswer = answerOf(exchangeOrderSchema)
const priceAnswer = answerOf(lastPriceSchema)
const rulesAnswer = answerOf(marketRulesSchema)
const positionAnswer = z.discriminatedUnion('status', [
  z.object({ status: z.literal('found'), value: exchangePositionSchema }),
  notFoundSchema,
  z.object({ status: z.literal('not-tracked') }),
])

export class ExchangeQueries {
  readonly #exchange: Exchange
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #waiting: (() => void)[] = []
  #active = 0
  #asked = 0
  #failed = 0

  constructor(exchange: Exchange, limits: Limits, clock: Clock) {
    this.#exchange = exchange
    this.#limits = limits
    this.#clock = clock
  }

  get asked(): number {
    return this.#asked
  }

  get failed(): number {
    return this.#failed
  }

  get listsAllOpenOrders(): boolean {
    return this.#exchange.fetchAllOpenOrders !== undefined
  }

  order(reference: OrderReference): Promise<QueryResult<ExchangeOrder>> {
    return this.#ask(async () => orderAnswer.parse(await this.#exchange.fetchOrder(reference)))
  }

  openOrders(symbol: string | null): Promise<QueryResult<readonly ExchangeOrder[]>> {
    return this.#ask(async (): Promise<Answer<readonly ExchangeOrder[]>> => {
      const listed =
        symbol === null ? await this.#exchange.fetchAllOpenOrders?.() : await this.#exchange.fetchOpenOrders(symbol)
      return { status: 'found', value: z.array(exchangeOrderSchema).parse(listed) }
    })
  }

  fills(query: FillQuery): Promise<QueryResult<readonly ExchangeFill[]>> {
    return this.#ask(async (): Promise<Answer<readonly ExchangeFill[]>> => {
      const fills = z.array(exchangeFillSchema).parse(await this.#exchange.fetchFills(query))
      const { exchangeOrderId } = query
      const asked = exchangeOrderId === null ? fills : fills.filter((fill) => fill.exchangeOrderId === exchangeOrderId)
      return { status: 'found', value: asked }
    })
  }

  async position(
    symbol: string,
    side: PositionSide,
  ): Promise<QueryResult<ExchangePosition> | { readonly status: 'not-tracked' }> {
    const fetchPosition = this.#exchange.fetchPosition?.bind(this.#exchange)
    if (fetchPosition === undefined) return { status: 'not-tracked' }
    return await this.#ask(async () => positionAnswer.parse(await fetchPosition(symbol, side)))
  }

  lastPrice(symbol: string): Promise<QueryResult<Decimal>> {
    return this.#ask(async () => priceAnswer.parse(await this.#exchange.fetchLastPrice(symbol)))
  }

  async marketRules(symbol: string): Promise<QueryResult<MarketRules>> {
    const fetchMarketRules = this.#exchange.fetchMarketRules?.bind(this.#exchange)
    if (fetchMarketRules === undefined) return { status: 'not-found' }
    return await this.#ask(async () => rulesAnswer.parse(await fetchMarketRules(symbol)))
  }

  async #ask<R>(question: () => Promise<R>): Promise<R | { readonly status: 'failed'; readonly code: StoreErrorCode }> {
    await this.#enter()
    try {
      for (let attempt = 1; ; attempt++) {
        this.#asked += 1
        try {
          return await withTimeout(question(), this.#limits.queryTimeoutMs)
        } catch (error) {
          if (attempt === this.#limits.queryAttempts) {
            this.#failed += 1
            return { status: 'failed', code: errorCode(error) }
          }
          await this.#clock.sleep(FIRST_BACKOFF_MS * 2 ** (attempt - 1))
        }
      }
    } finally {
      this.#leave()
    }
  }

  async #enter(): Promise<void> {
    if (this.#active >= this.#limits.queryConcurrency) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#active += 1
    }
  }

  /** Hands the place on to who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#active -= 1
    else next()
  }
}

/** Settles like `promise`, or rejects with `TIMEOUT`. What was asked goes on, and its answer is dropped. */
export async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const message = `The exchange gave no answer within ${timeoutMs} ms. Reconcile again once it does, or raise queryTimeoutMs.`
      reject(new StoreError('TIMEOUT', message, { details: { timeoutMs } }))
    }, timeoutMs)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** The code of an error from the exchange; one of no known kind is an `EXCHANGE_ERROR`. */
export function errorCode(error: unknown): StoreErrorCode {
  return isStoreError(error) ? error.code : 'EXCHANGE_ERROR'
}
