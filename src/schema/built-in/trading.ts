/** The trading core: what a bot holds, what it asked for, what it got, and what came of it. */
import * as z from 'zod'
import { decimal, timestampMs } from '../decimal.ts'
import { defineCollection } from '../define-collection.ts'

const id = z.string().min(1).max(256)
const symbol = z.string().min(1).max(128)
const metadata = z.record(z.string(), z.json())

/** States in which an order may still change at the exchange; such orders are hot. */
export const OPEN_ORDER_STATES = ['intent', 'open', 'partially_filled'] as const
/** States that are final. */
export const TERMINAL_ORDER_STATES = ['filled', 'canceled', 'rejected', 'expired'] as const

/** Collections whose documents can move into yearly files: closed trades with their orders and fills. */
export const ARCHIVED_COLLECTIONS = ['trades', 'orders', 'fills'] as const

/** A position that is held now. `highestPrice` and `currentStop` drive the trailing stop; `stopOrderId` names its order. */
export const positions = defineCollection({
  name: 'positions',
  key: 'id',
  schema: z.object({
    id,
    symbol,
    side: z.enum(['long', 'short']),
    quantity: decimal,
    entryPrice: decimal,
    /** The best price since entry of a long position. */
    highestPrice: decimal.nullish(),
    /** The best price since entry of a short position. */
    lowestPrice: decimal.nullish(),
    currentStop: decimal.nullish(),
    stopOrderId: id.nullish(),
    openedAt: timestampMs.optional(),
    updatedAt: timestampMs.optional(),
    strategy: z.string().max(256).optional(),
    metadata: metadata.optional(),
  }),
  indexes: ['symbol'],
  hot: true,
})

/**
 * An order. `intent` is durable before the exchange hears of it; `clientOrderId` is sent with it, so that after a
 * restart the exchange can be asked whether it arrived.
 */
export const orders = defineCollection({
  name: 'orders',
  key: 'id',
  schema: z.object({
    id,
    clientOrderId: id.optional(),
    exchangeOrderId: id.nullish(),
    symbol,
    side: z.enum(['buy', 'sell']),
    type: z.enum(['market', 'limit', 'stop', 'stop_limit', 'take_profit', 'trailing_stop']).optional(),
    purpose: z.enum(['entry', 'exit', 'stop']).optional(),
    state: z.enum([...OPEN_ORDER_STATES, ...TERMINAL_ORDER_STATES]),
    quantity: decimal,
    price: decimal.nullish(),
    stopPrice: decimal.nullish(),
    filledQuantity: decimal.nullish(),
    averagePrice: decimal.nullish(),
    reduceOnly: z.boolean().optional(),
    positionId: id.nullish(),
    createdAt: timestampMs.optional(),
    updatedAt: timestampMs.optional(),
    metadata: metadata.optional(),
  }),
  indexes: ['state', 'symbol', 'positionId', 'clientOrderId'],
  unique: ['clientOrderId'],
  hot: { field: 'state', in: OPEN_ORDER_STATES },
})

/** One execution of an order. */
export const fills = defineCollection({
  name: 'fills',
  key: 'id',
  schema: z.object({
    id,
    orderId: id,
    symbol: symbol.optional(),
    side: z.enum(['buy', 'sell']).optional(),
    price: decimal,
    quantity: decimal,
    fee: decimal.nullish(),
    feeCurrency: z.string().max(32).nullish(),
    liquidity: z.enum(['maker', 'taker']).nullish(),
    filledAt: timestampMs,
    metadata: metadata.optional(),
  }),
  indexes: ['orderId', 'symbol', 'filledAt'],
  references: { orderId: 'orders' },
})

/** A round trip: entry, exit and what it earned. */
export const trades = defineCollection({
  name: 'trades',
  key: 'id',
  schema: z.object({
    id,
    symbol,
    side: z.enum(['long', 'short']).optional(),
    quantity: decimal.optional(),
    entryPrice: decimal,
    exitPrice: decimal.nullish(),
    pnl: decimal.nullish(),
    pnlPercent: decimal.nullish(),
    fees: decimal.nullish(),
    openedAt: timestampMs,
    closedAt: timestampMs.nullish(),
    exitReason: z.string().max(256).nullish(),
    positionId: id.nullish(),
    strategy: z.string().max(256).optional(),
    metadata: metadata.optional(),
  }),
  indexes: ['symbol', 'strategy', 'openedAt', 'closedAt'],
})
