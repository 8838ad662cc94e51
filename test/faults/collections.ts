/** User-defined collections of the fault runs: one in the state file, one in the market file. */
import { z } from 'zod'
import { timestampMs } from '../../src/schema/decimal.ts'
import { defineCollection } from '../../src/schema/define-collection.ts'

export const watchlist = defineCollection({
  name: 'watchlist',
  key: 'symbol',
  schema: z.object({ symbol: z.string(), tag: z.string(), note: z.string().optional() }),
  indexes: ['tag'],
  hot: true,
})

export const ticks = defineCollection({
  name: 'ticks',
  key: 'id',
  schema: z.object({ id: z.string(), symbol: z.string(), at: timestampMs, price: z.string() }),
  indexes: ['symbol', 'at'],
  file: 'market',
})

export const ownCollections = { watchlist, tickRows: ticks }
