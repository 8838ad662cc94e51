import { type OrderDocument, orderDocuments } from '../documents.ts'
import type { Sizes } from '../sizes.ts'

/**
 * Gives the document of the next put: the ids of the ring in order, again and again, with other values each time round
 * (SQLite notices when a row would not change, and then writes and syncs nothing). They are made beforehand, since
 * making them is not the store's work.
 */
export function documentRing(sizes: Sizes): () => OrderDocument {
  const documents = [...orderDocuments(sizes.ringDocuments, 1), ...orderDocuments(sizes.ringDocuments, 2)]
  let puts = 0
  return () => documents[puts++ % documents.length] as OrderDocument
}
