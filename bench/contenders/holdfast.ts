/** Holdfast, from the built package as a user gets it. */
import { defineCollection, type OpenStoreOptions, openStore, z } from '../../dist/index.js'
import { type Bar, generateBars, generateDocuments, type OrderDocument } from '../documents.ts'
import type { Contender, Secrets } from './contender.ts'

const orderSchema = z.object({
  id: z.string(),
  positionId: z.string(),
  clientOrderId: z.string(),
  symbol: z.string(),
  side: z.enum(['buy', 'sell']),
  state: z.enum(['open', 'filled', 'cancelled']),
  price: z.string(),
  quantity: z.string(),
  filledQuantity: z.string(),
  stopPrice: z.string(),
  strategy: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
})

const barSchema = z.object({
  id: z.string(),
  symbol: z.string(),
  time: z.number(),
  open: z.number(),
  high: z.number(),
  low: z.number(),
  close: z.number(),
  volume: z.number(),
})

const collections = {
  docs: defineCollection({ name: 'docs', key: 'id', schema: orderSchema, hot: true }),
  archive: defineCollection({ name: 'archive', key: 'id', schema: orderSchema }),
  // No index beside the key, which orders bars by symbol and time, as the peers' primary key does.
  barRows: defineCollection({ name: 'bars', key: 'id', schema: barSchema, file: 'market' }),
}

const AGGREGATE = `SELECT symbol, count(*) AS n, min(low) AS low, max(high) AS high, avg(close) AS mean,
    sum(volume) AS volume FROM bars GROUP BY symbol`

/** For what only Holdfast does as well. */
export const openHoldfast = (dir: string, secrets: Secrets, options: Pick<OpenStoreOptions, 'archive'> = {}) =>
  openStore({ ...options, dir, password: secrets.password, collections })

export const contender: Contender = {
  async open(dir, secrets) {
    const store = await openHoldfast(dir, secrets)
    return {
      put: (document) => store.docs.put(document),
      putArchived: (document) => store.archive.put(document),
      get: (id) => store.docs.get(id) as OrderDocument | undefined,
      loadBars: (bars: readonly Bar[]) => store.barRows.load(bars),
      async aggregateBars() {
        const rows = (await store.sql(AGGREGATE, [], { file: 'market' })) as readonly { n: number }[]
        return rows.reduce((sum, row) => sum + row.n, 0)
      },
      close: () => store.close(),
    }
  },

  async seed(dir, secrets, content) {
    const store = await openHoldfast(dir, secrets)
    await store.docs.load(generateDocuments(content.hotDocuments))
    await store.archive.load(generateDocuments(content.archivedDocuments))
    await store.barRows.load(generateBars(content.bars))
    await store.flush()
    await store.close()
  },
}
