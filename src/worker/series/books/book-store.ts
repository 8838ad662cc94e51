/**
 * Order books on top of series: snapshots of the exchange, its deltas, and checkpoints (snapshots the store makes itself) are a
 * series each. A book is rebuilt from the nearest snapshot or checkpoint at or before the moment, and the deltas behind it. A
 * checkpoint is only ever made from a chain without gaps, and every `CHECKPOINT_LEVELS` levels, so that no book is far from one.
 */
import type {
  BookAppend,
  BookCheckpointResult,
  BookEventPage,
  BookMethods,
  OrderBook,
} from '../../../protocol/books.ts'
import { MAX_TS, type SeriesAppend, type SeriesKey, type SeriesMethods, WHOLE_SPAN } from '../../../protocol/series.ts'
import { deserializeError, isStoreError, StoreError } from '../../../protocol/store-error.ts'
import type { BookEvent } from '../../../schema/book-event.ts'
import { nextUp } from '../window-reader.ts'
import { bookGap } from './book-gap.ts'
import { BookReplay } from './book-replay.ts'
import { BOOK_SHAPE, toEvents, toPoints } from './book-rows.ts'

type Delta = Extract<BookEvent, { type: 'delta' }>
type Part = 'snapshot' | 'delta' | 'checkpoint'
type BookSeries = Pick<SeriesMethods, 'seriesAppend' | 'seriesAggregate' | 'seriesRange' | 'seriesPage'>

const CHECKPOINT_LEVELS = 20_000
/** Levels of a page of deltas. */
const PAGE_LEVELS = 8_192
/** Clocks of a snapshot and of the deltas differ: deltas of so long before it are looked through, too. */
const CLOCK_SLACK_MS = 10_000
/** Deltas that wait for one before them; more mean that it is missing. */
const MAX_WAITING = 4_096
const MAX_SNAPSHOT_LEVELS = 4_000_000

export class BookStore implements BookMethods {
  readonly #series: BookSeries
  readonly #levelsSince = new Map<string, number>()
  #background: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(series: BookSeries) {
    this.#series = series
  }

  async bookAppend({ appends }: { readonly appends: readonly BookAppend[] }): Promise<void> {
    const bySymbol = new Map<string, BookEvent[]>()
    for (const { symbol, events } of appends) bySymbol.set(symbol, [...(bySymbol.get(symbol) ?? []), ...events])
    const points: SeriesAppend[] = []
    for (const [symbol, events] of bySymbol) {
      for (const part of ['snapshot', 'delta'] as const) {
        const own = events.filter(({ type }) => type === part)
        if (own.length > 0) points.push({ key: keyOf(symbol, part), shape: BOOK_SHAPE, points: toPoints(own) })
      }
    }
    await this.#append(points)
    for (const { key, points: added } of points) this.#count(key.symbol, added.ts.length)
  }

  async bookAt({
    symbol,
    ts,
    depth,
  }: {
    readonly symbol: string
    readonly ts: number
    readonly depth: number | null
  }): Promise<OrderBook> {
    const replay = await this.#replay(symbol, ts)
    if (replay === undefined) {
      throw new StoreError(
        'NOT_FOUND',
        `There is no snapshot of the order book ${symbol} at or before ${timeText(ts)}. Append one, or ask for a later moment.`,
        { details: { symbol, ts } },
      )
    }
    return { symbol, ts, eventTs: replay.eventTs, lastId: replay.lastId, ...replay.levels(depth) }
  }

  async bookEvents({
    symbol,
    from,
    to,
    chunk,
  }: {
    readonly symbol: string
    readonly from: number
    readonly to: number
    readonly chunk: number
  }): Promise<BookEventPage> {
    const parts = ['delta', 'snapshot'] as const
    const pages = await Promise.all(
      parts.map(
        async (part) => await this.#series.seriesPage({ key: keyOf(symbol, part), columns: null, from, to, chunk }),
      ),
    )
    const next = Math.min(...pages.map((page) => page?.next ?? Number.POSITIVE_INFINITY))
    const events = pages
      .flatMap((page, i) => (page === null ? [] : toEvents(page, parts[i] as 'delta' | 'snapshot')))
      .filter((event) => event.ts < next)
      .sort((a, b) => a.ts - b.ts || a.lastId - b.lastId)
    return { events, next: Number.isFinite(next) ? next : null }
  }

  async bookCheckpoint({ symbol }: { readonly symbol: string }): Promise<BookCheckpointResult> {
    const replay = await this.#replay(symbol, MAX_TS).catch((error) => {
      if (isStoreError(error) && error.code === 'BOOK_GAP') return undefined
      throw error
    })
    if (replay === undefined) return { lastId: null }
    const { lastId, eventTs } = replay
    const { bids, asks } = replay.levels(null)
    const points = toPoints([{ type: 'snapshot', ts: eventTs, lastId, bids, asks }])
    await this.#append([{ key: keyOf(symbol, 'checkpoint'), shape: BOOK_SHAPE, points }])
    return { lastId }
  }

  /** Waits for checkpoints under way; before the series close. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#background
  }

  async #append(appends: readonly SeriesAppend[]): Promise<void> {
    for (const result of await this.#series.seriesAppend({ appends })) {
      if ('error' in result) throw deserializeError(result.error)
    }
  }

  /** A process that starts does not know how many levels came since the last checkpoint, so its first one comes early. */
  #count(symbol: string, levels: number): void {
    const since = (this.#levelsSince.get(symbol) ?? CHECKPOINT_LEVELS / 2) + levels
    if (since < CHECKPOINT_LEVELS) {
      this.#levelsSince.set(symbol, since)
      return
    }
    this.#levelsSince.set(symbol, 0)
    // A checkpoint is only for speed: one that fails is made up for by the next.
    this.#background = this.#background
      .then(() => (this.#isClosed ? undefined : this.bookCheckpoint({ symbol })))
      .catch(() => undefined)
  }

  async #replay(symbol: string, ts: number): Promise<BookReplay | undefined> {
    const end = nextUp(ts)
    const start = await this.#nearestSnapshot(symbol, end)
    if (start === undefined) return undefined
    const replay = new BookReplay(start)
    let waiting: Delta[] = []
    let from: number | null = start.ts - CLOCK_SLACK_MS
    while (from !== null) {
      const page = await this.#series.seriesPage({
        key: keyOf(symbol, 'delta'),
        columns: null,
        from,
        to: end,
        chunk: PAGE_LEVELS,
      })
      if (page === null) break
      waiting = applied(replay, start, [...waiting, ...(toEvents(page, 'delta') as Delta[])])
      if (waiting.length > MAX_WAITING) break
      from = page.next
    }
    const [first] = waiting
    if (first !== undefined) {
      const nextId = first.firstId ?? first.lastId
      throw bookGap({ symbol, lastId: replay.lastId, nextId, gapTs: first.ts })
    }
    return replay
  }

  /** The last snapshot or checkpoint before `end`. */
  async #nearestSnapshot(symbol: string, end: number): Promise<BookEvent | undefined> {
    let nearest: BookEvent | undefined
    for (const part of ['snapshot', 'checkpoint'] as const) {
      const key = keyOf(symbol, part)
      const before = await this.#series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to: end })
      if (before === null || before.lastTs === null) continue
      const points = await this.#series.seriesRange({
        key,
        columns: null,
        from: before.lastTs,
        to: nextUp(before.lastTs),
        limit: MAX_SNAPSHOT_LEVELS,
        maxPoints: MAX_SNAPSHOT_LEVELS,
      })
      const last = points === null ? undefined : toEvents(points, 'snapshot').at(-1)
      if (last !== undefined && (nearest === undefined || isNewer(last, nearest))) nearest = last
    }
    return nearest
  }
}

/** By time, and only then by id: an exchange that restarts may number from 1 again. */
function isNewer(a: BookEvent, b: BookEvent): boolean {
  return a.ts > b.ts || (a.ts === b.ts && a.lastId > b.lastId)
}

/** Applies what continues the book, in the order of ids; returns the deltas that wait for one before them. */
function applied(replay: BookReplay, start: BookEvent, deltas: Delta[]): Delta[] {
  const waiting: Delta[] = []
  let firstTs = Number.NEGATIVE_INFINITY
  for (const delta of deltas.sort((a, b) => a.lastId - b.lastId)) {
    const outcome = replay.apply(delta)
    if (outcome === 'applied' && firstTs === Number.NEGATIVE_INFINITY) firstTs = delta.ts
    if (outcome === 'gap' || isNumberedAnew(delta, start)) waiting.push(delta)
  }
  // Ids rise with time: those of before the snapshot that lie above what followed it are of a numbering that has ended.
  return waiting.filter(({ ts }) => ts >= start.ts || ts >= firstTs)
}

/** Long behind the snapshot, and numbered below it, though something changed: a snapshot between them is missing. */
function isNumberedAnew({ ts, lastId, bids, asks }: Delta, start: BookEvent): boolean {
  return lastId < start.lastId && ts > start.ts + CLOCK_SLACK_MS && bids.length + asks.length > 0
}

function keyOf(symbol: string, part: Part): SeriesKey {
  return { kind: 'books', symbol, interval: part }
}

function timeText(ts: number): string {
  const date = new Date(ts)
  return Number.isNaN(date.getTime()) ? String(ts) : date.toISOString()
}
