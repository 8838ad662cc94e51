/**
 * Files of order book events: Binance's historical depth, a row a level
 * (`symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu`). Rows that follow each other with the same
 * ids are one event.
 */
import type { BookEventInput, BookLevel } from '../../../schema/book-event.ts'
import { csvRows } from '../formats/csv-rows.ts'
import { fileFault } from '../formats/file-fault.ts'
import type { FileRow } from '../formats/file-row.ts'
import type { SeriesSource } from '../formats/series-columns.ts'
import { strictDecimal } from '../formats/strict-number.ts'
import { textPieces } from '../formats/text-pieces.ts'
import { TimeReader, type TimeUnit } from '../formats/time-stamps.ts'

export interface ReadBooksOptions {
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
  { timeUnit, chunk = 256 }: ReadBooksOptions = {},
): AsyncGenerator<BookEventInput[]> {
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
      const level: BookLevel = [decimalOf(cells.price, row.line, 'price'), decimalOf(cells.qty, row.line, 'qty')]
      if (cells.side === 'b') open.event.bids.push(level)
      else if (cells.side === 'a') open.event.asks.push(level)
      else throw fileFault(row.line, 'neither a nor b', 'side')
    }
  }
  if (open !== undefined) yield [...events, open.event]
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
  const firstId = idOf(cells.firstupdateid, line, 'first_update_id')
  // Files of spot have no `pu`, or -1.
  const previous = cells.pu === '' || cells.pu === '-1' ? {} : { previousId: idOf(cells.pu, line, 'pu') }
  return { type: 'delta', ts, firstId, lastId, ...previous, bids: [], asks: [] }
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
