/** A collection of the bot's own: bars, in the file for market data, which has a writer of its own. */
import { z } from 'zod'
import { defineCollection } from '../holdfast.ts'

export const bars = defineCollection({
  name: 'bars',
  key: 'id',
  schema: z.object({
    id: z.string(),
    symbol: z.string(),
    index: z.int().nonnegative(),
    openTime: z.int().nonnegative(),
    open: z.string(),
    high: z.string(),
    low: z.string(),
    close: z.string(),
    volume: z.string(),
  }),
  indexes: ['symbol', 'index'],
  file: 'market',
})
