/**
 * Events of order books as a file: what `readBooks` takes in. CSV is the layout of Binance's historical depth, a row a level; an
 * event without levels keeps a row without side, since its ids are part of the chain.
 */
import { StoreError } from '../../../protocol/store-error.ts'
import type { BookEvent, BookLevel } from '../../../schema/book-event.ts'
import { eventLoopTurn } from '../formats/event-loop-turn.ts'

export const BOOK_WRITE_FORMATS = ['csv', 'json', 'jsonl'] as const

export type BookWriteFormat = (typeof BOOK_WRITE_FORMATS)[number]

export interface WriteBooksOptions {
  readonly format: BookWriteFormat
  /** For CSV, which has a column for it. Default: none. */
  readonly symbol?: string
}

const HEAD = 'symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu\n'

/**
 * @example
 * await pipeline(writeBooks(store.books.scan('BTC/USDT'), { format: 'jsonl' }), createWriteStream('depth.jsonl'))
 * @throws StoreError `INVALID_ARGUMENT` for a format that is none
 */
export async function* writeBooks(
  chunks: AsyncIterable<readonly BookEvent[]> | Iterable<readonly BookEvent[]>,
  { format, symbol = '' }: WriteBooksOptions,
): AsyncGenerator<string> {
  if (!BOOK_WRITE_FORMATS.includes(format)) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      `The formats of order books are ${BOOK_WRITE_FORMATS.join(', ')}. Name one of them.`,
    )
  }
  const name = /[",\r\n]/.test(symbol) ? `"${symbol.replaceAll('"', '""')}"` : symbol
  yield format === 'csv' ? HEAD : format === 'json' ? '[\n' : ''
  let between = ''
  for await (const events of chunks) {
    for (const event of events) {
      if (format === 'csv') yield csvRows(event, name)
      else if (format === 'jsonl') yield `${JSON.stringify(event)}\n`
      else {
        yield between + JSON.stringify(event)
        between = ',\n'
      }
    }
    await eventLoopTurn()
  }
  if (format === 'json') yield between === '' ? ']\n' : '\n]\n'
}

function csvRows(event: BookEvent, symbol: string): string {
  const { type, ts, lastId, bids, asks } = event
  const firstId = type === 'snapshot' ? lastId : (event.firstId ?? '')
  const previousId = type === 'snapshot' ? -1 : (event.previousId ?? -1)
  const row = (side: string, [price, amount]: readonly [string, string]) =>
    `${symbol},${ts},${firstId},${lastId},${side},${type === 'snapshot' ? 'snap' : 'set'},${price},${amount},${previousId}\n`
  if (bids.length + asks.length === 0) return row('', ['', ''])
  const rows = (side: string, levels: readonly BookLevel[]) => levels.map((level) => row(side, level)).join('')
  return rows('b', bids) + rows('a', asks)
}
