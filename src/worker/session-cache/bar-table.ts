/** Bars from several appends as one table: ascending in time, each time once, the last one written wins. */
import type { CachedColumns } from '../../protocol/session-cache.ts'

export const NO_BARS: CachedColumns = Object.freeze({ names: [], ts: new Float64Array(), values: [] })

/** Columns that a batch lacks are NaN in its bars. */
export function mergeBars(batches: readonly CachedColumns[]): CachedColumns {
  const [only] = batches
  if (only === undefined) return NO_BARS
  if (batches.length === 1 && isAscending(only.ts)) return only
  const names = [...new Set(batches.flatMap((batch) => batch.names))]
  const total = batches.reduce((sum, { ts }) => sum + ts.length, 0)
  const ts = new Float64Array(total)
  const values = names.map(() => new Float64Array(total).fill(Number.NaN))
  let rows = 0
  for (const batch of batches) {
    ts.set(batch.ts, rows)
    for (const [column, name] of names.entries()) {
      const given = batch.values[batch.names.indexOf(name)]
      if (given !== undefined) values[column]?.set(given, rows)
    }
    rows += batch.ts.length
  }
  const order = lastOfEachTime(ts)
  return { names, ts: picked(ts, order), values: values.map((column) => picked(column, order)) }
}

function isAscending(ts: Float64Array): boolean {
  for (let index = 1; index < ts.length; index++) if ((ts[index] as number) <= (ts[index - 1] as number)) return false
  return true
}

/** Positions in order of time. Bars mostly come in this order, or once more at the end. */
function lastOfEachTime(ts: Float64Array): Uint32Array {
  const order = new Uint32Array(ts.length)
  let count = 0
  for (let index = 0; index < ts.length; index++) {
    const last = count === 0 ? Number.NEGATIVE_INFINITY : (ts[order[count - 1] as number] as number)
    const time = ts[index] as number
    if (time < last) return sortedOrder(ts)
    if (time > last) count += 1
    order[count - 1] = index
  }
  return order.subarray(0, count)
}

function sortedOrder(ts: Float64Array): Uint32Array {
  const positions = Uint32Array.from(ts, (_, index) => index)
  positions.sort((a, b) => (ts[a] as number) - (ts[b] as number) || a - b)
  let count = 0
  for (const [index, position] of positions.entries()) {
    const next = positions[index + 1]
    if (next !== undefined && ts[next] === ts[position]) continue
    positions[count] = position
    count += 1
  }
  return positions.subarray(0, count)
}

function picked(values: Float64Array, order: Uint32Array): Float64Array {
  const result = new Float64Array(order.length)
  for (let index = 0; index < order.length; index++) result[index] = values[order[index] as number] as number
  return result
}

/** Bars of [from, to), and of those the last `limit`. */
export function sliceBars(
  bars: CachedColumns,
  { from, to, limit }: { readonly from?: number | null; readonly to?: number | null; readonly limit?: number | null },
): CachedColumns {
  const { ts } = bars
  const end = to === null || to === undefined ? ts.length : firstAtOrAfter(ts, to)
  const begin = from === null || from === undefined ? 0 : firstAtOrAfter(ts, from)
  const first = limit === null || limit === undefined ? begin : Math.max(begin, end - limit)
  if (first === 0 && end === ts.length) return bars
  const cut = (column: Float64Array) => column.slice(first, Math.max(first, end))
  return { names: bars.names, ts: cut(ts), values: bars.values.map(cut) }
}

function firstAtOrAfter(ts: Float64Array, time: number): number {
  let low = 0
  let high = ts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ts[middle] as number) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** The newest bars that are to be kept. Age counts from the newest one: clocks jump, and a replay is of long ago. */
export function keepNewest(
  bars: CachedColumns,
  { maxAgeMs, maxRows }: { readonly maxAgeMs: number; readonly maxRows: number },
): CachedColumns {
  const newest = bars.ts.at(-1)
  if (newest === undefined) return bars
  return sliceBars(bars, { from: newest - maxAgeMs, limit: maxRows })
}
