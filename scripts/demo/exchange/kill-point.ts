/**
 * The moments at which the bot is killed: the exchange has carried out its request, and the answer will never arrive.
 * `entry`: it has bought, and has not written that down. `cancel`: its stop is gone, and the new one not yet sent.
 * `stop`: the new stop is in the market, and is hit while the bot is dead.
 */
import type { CreateOrderRequest, ExchangeOrder, OrderReference } from '../holdfast.ts'
import { MARKETS } from '../market/market.ts'
import { seededRandom } from '../seeded-random.ts'
import type { MatchingEngine } from './matching-engine.ts'

const KINDS = ['entry', 'cancel', 'stop'] as const
export type KillKind = (typeof KINDS)[number]

export interface KillPoint {
  readonly kind: KillKind
  readonly symbol: string
  /** The first request of its kind from this bar on. */
  readonly fromBar: number
}

/** Fewer bars would not show much of a market going on without its bot. */
const LEAST_BARS_ALONE = 3

/** Seeded points, spread over the run with some room at its end. */
export function planKills(count: number, seed: number, barsOf: ReadonlyMap<string, number>): KillPoint[] {
  const random = seededRandom(`kills:${seed}`)
  const [main, other] = MARKETS
  return Array.from({ length: count }, (_, index) => {
    const kind = KINDS[index % KINDS.length] as KillKind
    const { symbol } = kind === 'entry' ? other : main
    const share = ((index + 0.2 + 0.6 * random.next()) / count) * 0.85
    return { kind, symbol, fromBar: Math.floor(share * (barsOf.get(symbol) ?? 0)) }
  })
}

/** True when this request, which has just been carried out, is where the bot has to die. */
export function isKillPoint(
  point: KillPoint,
  method: string,
  request: OrderReference | CreateOrderRequest,
  engine: MatchingEngine,
): boolean {
  if (request.symbol !== point.symbol || engine.currentBar(request) < point.fromBar) return false
  if (point.kind === 'cancel') return method === 'cancelOrder'
  if (method !== 'createOrder') return false
  const { side, type, stopPrice } = request as CreateOrderRequest
  if (point.kind === 'entry') return side === 'buy'
  if (type !== 'stop') return false
  return (engine.barsUntilTriggered(request.symbol, `${stopPrice}`) ?? 0) >= LEAST_BARS_ALONE
}

/** Names the order for what happens to it afterwards. */
export function referenceOf({ symbol, clientOrderId, exchangeOrderId }: ExchangeOrder): OrderReference {
  return { symbol, clientOrderId: clientOrderId ?? null, exchangeOrderId, type: null, createdAtMs: null }
}
