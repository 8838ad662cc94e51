/**
 * Large results, page by page. A page is one JSON text; its number of rows follows the size of the documents, so that
 * parsing one never holds the event loop for longer than a millisecond or two.
 */
import type { Page, PageCursor, PageRequest } from '../protocol/methods.ts'
import type { QueryWire } from '../schema/query.ts'
import type { Document } from './document-query.ts'

const FIRST_PAGE_ROWS = 100
const MAX_PAGE_ROWS = 5_000
const PAGE_BYTES = 128 * 1024

export type PageSource = (request: PageRequest) => Promise<Page>

export async function* streamPages(source: PageSource, collection: string, query: QueryWire): AsyncIterable<Document> {
  const pages = pageRequests(collection, query)
  let request = pages.first()
  while (request !== undefined) {
    const page = await source(request)
    yield* JSON.parse(page.json) as Document[]
    request = pages.next(page)
  }
}

/** Which page to ask for next, for the streaming and the blocking reader alike. */
export function pageRequests(collection: string, query: QueryWire) {
  const total = query.limit ?? Number.POSITIVE_INFINITY
  let rows = FIRST_PAGE_ROWS
  let seen = 0
  const request = (cursor: PageCursor | null): PageRequest | undefined => {
    const maxRows = Math.min(rows, total - seen)
    return maxRows <= 0 ? undefined : { collection, query, cursor, maxRows }
  }
  return {
    first: () => request(null),
    next(page: Page): PageRequest | undefined {
      seen += page.count
      if (page.cursor === null) return undefined
      const bytesPerRow = Math.max(1, page.json.length / page.count)
      rows = Math.max(1, Math.min(MAX_PAGE_ROWS, Math.floor(PAGE_BYTES / bytesPerRow)))
      return request(page.cursor)
    },
  }
}
