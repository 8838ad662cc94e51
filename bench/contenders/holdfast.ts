/** Holdfast, from the built package as a user gets it. */
import { defineCollection, type OpenStoreOptions, openStore, z } from '../../dist/index.js'
import {
  generateBars,
  generateDocuments,
  largeDocuments,
  type OrderDocument,
  type SeriesBar,
  seriesBar,
} from '../documents.ts'
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
      loadBars: async ({ symbol, bars }) => (await store.bars.append(symbol, '1m', bars)).points,
      loadBarRows: ({ documents }) => store.barRows.load(documents),
      async aggregateBars() {
        let count = 0
        for (const { symbol, interval } of await store.bars.list()) {
          count += (await store.bars.aggregate(symbol, interval)).count
        }
        return count
      },
      close: () => store.close(),
    }
  },

  async seed(dir, secrets, content) {
    const store = await openHoldfast(dir, secrets)
    await store.docs.load(generateDocuments(content.hotDocuments))
    await store.archive.load(generateDocuments(content.archivedDocuments))
    for (const [symbol, bars] of barsBySymbol(content.bars)) await store.bars.append(symbol, '1m', bars)
    for (const large of largeDocuments(content.megabytes)) await store.archive.put(large)
    await store.flush()
    await store.close()
  },
}

function barsBySymbol(count: number): Map<string, SeriesBar[]> {
  const bySymbol = new Map<string, SeriesBar[]>()
  for (const bar of generateBars(count)) {
    const bars = bySymbol.get(bar.symbol)
    if (bars === undefined) bySymbol.set(bar.symbol, [seriesBar(bar)])
    else bars.push(seriesBar(bar))
  }
  return bySymbol
}
