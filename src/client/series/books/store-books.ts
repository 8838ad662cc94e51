/** `store.books`: order books as exchanges send them, and the book of any moment. */
import { z } from 'zod'
import type { BookCheckpointResult, OrderBook } from '../../../protocol/books.ts'
import { StoreError } from '../../../protocol/store-error.ts'
import { type BookEvent, type BookEventInput, bookEventSchema } from '../../../schema/book-event.ts'
import type { StoreCore } from '../../store-core.ts'
import { BookAppendQueue, type BookQueueStats } from './book-append-queue.ts'

export interface BookAtOptions {
  /** Levels of each side. Default: all. */
  readonly depth?: number
}

export interface BookSpan {
  /** Unix milliseconds; inclusive. Default: the first event. */
  readonly from?: number
  /** Exclusive. Default: behind the last event. */
  readonly to?: number
}

export interface BookScanOptions extends BookSpan {
  /** Levels after which a chunk ends. Default: 8,192. */
  readonly chunk?: number
}

/** Order books of a store. */
export interface StoreBooks {
  /**
   * Snapshots and deltas of one symbol. Resolves when they are durable. Events that are there already change nothing, so
   * a feed may send again what it is not sure of, and late events find their place by time and id.
   *
   * @throws StoreError `INVALID_ARGUMENT`, `QUEUE_FULL`, `READ_ONLY`, `DISK_FULL`
   * @example
   * await store.books.append('BTC/USDT', binanceSnapshot(await rest.depth(), Date.now()))
   * await store.books.append('BTC/USDT', binanceDelta(message))
   */
  append(symbol: string, events: BookEventInput | readonly BookEventInput[]): Promise<void>
  /**
   * The book as it was at `ts` (Unix milliseconds), from the nearest snapshot at or before and the deltas behind it.
   *
   * @throws StoreError `BOOK_GAP` when deltas are missing in between (`details`: `lastId`, `nextId`, `gapTs`); `NOT_FOUND` when
   * there is no snapshot at or before
   * @example
   * const { bids, asks } = await store.books.at('BTC/USDT', Date.now(), { depth: 5 })
   */
  at(symbol: string, ts: number, options?: BookAtOptions): Promise<OrderBook>
  /**
   * The events of a span as they were appended, ordered by time. For spans that may be large use `scan`.
   *
   * @throws StoreError `RESULT_TOO_LARGE` beyond 1,000,000 levels
   */
  range(symbol: string, span?: BookSpan): Promise<BookEvent[]>
  /** The same in chunks, at constant memory. */
  scan(symbol: string, options?: BookScanOptions): AsyncGenerator<BookEvent[]>
  /**
   * Stores the present book as a checkpoint, from which `at` begins. The store does so by itself every 20,000 levels; a gap is no
   * error here but leaves `lastId` null.
   */
  checkpoint(symbol: string): Promise<BookCheckpointResult>
}

const MAX_RANGE_LEVELS = 1_000_000
const DEFAULT_CHUNK = 8_192
const WHOLE = 8.64e15

const symbolSchema = z.string().min(1).max(256)
const timeSchema = z.number().min(-WHOLE).max(WHOLE)
const eventsSchema = z.array(bookEventSchema)
const depthSchema = z.int().positive().optional()
const spanSchema = z.object({
  from: timeSchema.default(-WHOLE),
  to: z
    .number()
    .max(WHOLE + 1)
    .default(WHOLE + 1),
  chunk: z.int().positive().max(MAX_RANGE_LEVELS).default(DEFAULT_CHUNK),
})

export class BooksOfStore implements StoreBooks {
  readonly #core: StoreCore
  readonly #queue: BookAppendQueue

  constructor(core: StoreCore) {
    this.#core = core
    // Appending again changes nothing, so a worker that died is simply asked once more.
    this.#queue = new BookAppendQueue((appends) => core.supervisor.read('bookAppend', { appends }))
  }

  get stats(): BookQueueStats {
    return this.#queue.stats
  }

  async append(symbol: string, events: BookEventInput | readonly BookEventInput[]): Promise<void> {
    const checkedSymbol = checked(symbolSchema, symbol, 'symbol')
    const checkedEvents = checked(eventsSchema, Array.isArray(events) ? events : [events], 'events')
    this.#core.assertOpen()
    if (this.#core.isReadOnly)
      throw new StoreError('READ_ONLY', 'A store opened with readOnly: true takes no order books.')
    if (checkedEvents.length > 0) await this.#queue.push({ symbol: checkedSymbol, events: checkedEvents })
  }

  async at(symbol: string, ts: number, { depth }: BookAtOptions = {}): Promise<OrderBook> {
    const request = {
      symbol: checked(symbolSchema, symbol, 'symbol'),
      ts: checked(timeSchema, ts, 'ts'),
      depth: checked(depthSchema, depth, 'depth') ?? null,
    }
    this.#core.assertOpen()
    return await this.#core.supervisor.read('bookAt', request)
  }

  async range(symbol: string, span: BookSpan = {}): Promise<BookEvent[]> {
    const events: BookEvent[] = []
    let levels = 0
    for await (const chunk of this.scan(symbol, span)) {
      for (const event of chunk) {
        levels += event.bids.length + event.asks.length
        events.push(event)
      }
      if (levels > MAX_RANGE_LEVELS) {
        throw new StoreError('RESULT_TOO_LARGE', `The span holds more than ${MAX_RANGE_LEVELS} levels. Use scan.`, {
          details: { symbol },
        })
      }
    }
    return events
  }

  async *scan(symbol: string, options: BookScanOptions = {}): AsyncGenerator<BookEvent[]> {
    const name = checked(symbolSchema, symbol, 'symbol')
    const { from, to, chunk } = checked(spanSchema, options, 'span')
    let next: number | null = from
    while (next !== null) {
      this.#core.assertOpen()
      const page: Awaited<ReturnType<typeof this.page>> = await this.page(name, next, to, chunk)
      if (page.events.length > 0) yield [...page.events]
      next = page.next
    }
  }

  async checkpoint(symbol: string): Promise<BookCheckpointResult> {
    const name = checked(symbolSchema, symbol, 'symbol')
    this.#core.assertOpen()
    return await this.#core.supervisor.read('bookCheckpoint', { symbol: name })
  }

  /** Once everything accepted is written; before the worker ends. */
  async settled(): Promise<void> {
    await this.#queue.settled()
  }

  private async page(symbol: string, from: number, to: number, chunk: number) {
    return await this.#core.supervisor.read('bookEvents', { symbol, from, to, chunk })
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues
    .slice(0, 10)
    .map((issue) => `${[what, ...issue.path.map(String)].join('.')}: ${issue.message}`)
  throw new StoreError('INVALID_ARGUMENT', `Order books can't take this: ${problems.join('; ')}.`, {
    details: { problems },
  })
}
