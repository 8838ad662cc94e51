/**
 * Files of order book events: Binance's historical depth, a row a level
 * (`symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu`), where rows that follow each other with the same
 * ids are one event; or events as JSON, in an array or one after the other.
 */
import { type BookEventInput, type BookLevel, bookEventSchema } from '../../../schema/book-event.ts'
import { csvRows } from '../formats/csv-rows.ts'
import { fileFault } from '../formats/file-fault.ts'
import type { FileRow } from '../formats/file-row.ts'
import { RowSplitter } from '../formats/json-rows.ts'
import type { SeriesSource } from '../formats/series-columns.ts'
import { strictDecimal } from '../formats/strict-number.ts'
import { textPieces } from '../formats/text-pieces.ts'
import { TimeReader, type TimeUnit } from '../formats/time-stamps.ts'

export interface ReadBooksOptions {
  /** Default: `binance`. */
  readonly format?: 'binance' | 'json'
  /** Unit of the time stamps; without it their digits must name it. */
  readonly timeUnit?: TimeUnit
  /** Events of a chunk. Default: 256. */
  readonly chunk?: number
}

const COLUMNS = ['timestamp', 'firstupdateid', 'lastupdateid', 'side', 'updatetype', 'price', 'qty', 'pu'] as const
const ID = /^[0-9]{1,16}$/
const SNAPSHOT_TYPES = new Set(['snap', 'snapshot'])
const DELTA_TYPES = new Set(['set', 'delta', 'update'])

type Cells = Readonly<Record<(typeof COLUMNS)[number], string>>

/**
 * @example
 * for await (const events of readBooks(createReadStream('BTCUSDT_T_DEPTH_2022-11-02.csv'))) {
 *   await store.books.append('BTC/USDT', events)
 * }
 * @throws StoreError `INVALID_DOCUMENT` with `details.line`
 */
export async function* readBooks(
  source: SeriesSource,
  { format = 'binance', timeUnit, chunk = 256 }: ReadBooksOptions = {},
): AsyncGenerator<BookEventInput[]> {
  if (format === 'json') return yield* jsonEvents(source, chunk)
  const times = new TimeReader({ timeUnit })
  let events: BookEventInput[] = []
  let open: { readonly key: string; readonly event: BookEventInput } | undefined
  let places: readonly number[] | undefined
  for await (const { names, rows } of csvRows(textPieces(source))) {
    places ??= placesOf(names)
    for (const row of rows) {
      const cells = cellsOf(row, places)
      const key = [cells.timestamp, cells.firstupdateid, cells.lastupdateid, cells.updatetype, cells.pu].join()
      if (open?.key !== key) {
        if (open !== undefined) events.push(open.event)
        open = { key, event: eventOf(cells, times.read(cells.timestamp, row.line), row.line) }
        if (events.length >= chunk) {
          yield events
          events = []
        }
      }
      // An event without levels.
      if (cells.side === '' && cells.price === '') continue
      const level: BookLevel = [decimalOf(cells.price, row.line, 'price'), decimalOf(cells.qty, row.line, 'qty')]
      if (cells.side === 'b') open.event.bids.push(level)
      else if (cells.side === 'a') open.event.asks.push(level)
      else throw fileFault(row.line, 'neither a nor b', 'side')
    }
  }
  if (open !== undefined) yield [...events, open.event]
}

async function* jsonEvents(source: SeriesSource, chunk: number): AsyncGenerator<BookEventInput[]> {
  const splitter = new RowSplitter()
  let events: BookEventInput[] = []
  for await (const piece of textPieces(source)) {
    for (const { line, text } of splitter.push(piece)) {
      const parsed = bookEventSchema.safeParse(jsonOf(text))
      if (!parsed.success)
        throw fileFault(line, 'not an event of an order book', parsed.error.issues[0]?.path.join('.'))
      events.push(parsed.data)
      if (events.length < chunk) continue
      yield events
      events = []
    }
  }
  splitter.end()
  if (events.length > 0) yield events
}

/** What is no JSON is no event either. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function placesOf(names: readonly string[] | undefined): number[] {
  if (names === undefined) throw fileFault(1, 'the first line must name the columns')
  const normal = names.map((name) => name.toLowerCase().replaceAll(/[ _]/g, ''))
  return COLUMNS.map((column) => {
    const at = normal.indexOf(column)
    if (at === -1) throw fileFault(1, `there is no column ${column}`)
    return at
  })
}

function cellsOf({ cells, line }: FileRow, places: readonly number[]): Cells {
  if (cells.length <= Math.max(...places)) throw fileFault(line, 'the row has too few fields')
  return Object.fromEntries(COLUMNS.map((column, i) => [column, (cells[places[i] as number] ?? '').trim()])) as Cells
}

function eventOf(cells: Cells, ts: number, line: number): BookEventInput {
  const lastId = idOf(cells.lastupdateid, line, 'last_update_id')
  if (SNAPSHOT_TYPES.has(cells.updatetype)) return { type: 'snapshot', ts, lastId, bids: [], asks: [] }
  if (!DELTA_TYPES.has(cells.updatetype)) throw fileFault(line, 'neither snap nor set', 'update_type')
  // Files of spot have no `pu`, or -1; other exchanges name only what an event follows.
  const previous = cells.pu === '' || cells.pu === '-1' ? {} : { previousId: idOf(cells.pu, line, 'pu') }
  const isChained = cells.firstupdateid === '' && previous.previousId !== undefined
  const first = isChained ? {} : { firstId: idOf(cells.firstupdateid, line, 'first_update_id') }
  return { type: 'delta', ts, ...first, lastId, ...previous, bids: [], asks: [] }
}

function idOf(text: string, line: number, column: string): number {
  const id = ID.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(id)) throw fileFault(line, 'not an update id', column)
  return id
}

function decimalOf(text: string, line: number, column: string): string {
  const decimal = strictDecimal(text)
  if (decimal === undefined || decimal.startsWith('-')) throw fileFault(line, 'not a decimal', column)
  return decimal
}
