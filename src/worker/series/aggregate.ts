/**
 * Counts, sums and extremes over a span. Blocks that lie inside it and under no row answer by their statistics; only the
 * others are decoded. NaN counts as no value.
 */
import type { ColumnAggregate, SeriesAggregate, SeriesSpan } from '../../protocol/series.ts'
import { type ColumnStats, readStats, statsOf } from './block.ts'
import { PointBuffer } from './point-buffer.ts'
import {
  blocksWithRows,
  decodeWindow,
  type RunQuery,
  readWindow,
  type Selection,
  type SeriesRecord,
  type Window,
} from './window-reader.ts'

const AGGREGATED_BLOCKS = 64

export async function aggregateSeries(
  query: RunQuery,
  series: SeriesRecord,
  selection: Selection,
  span: SeriesSpan,
): Promise<SeriesAggregate> {
  const totals = selection.columns.map(() => new Total())
  let count = 0
  let firstTs: number | null = null
  let lastTs: number | null = null
  const see = (points: number, first: number, last: number) => {
    count += points
    firstTs ??= first
    lastTs = last
  }
  const decode = (window: Window, within: SeriesSpan) => {
    const points = new PointBuffer(selection.columns)
    decodeWindow(series, selection, window, within, points)
    if (points.length === 0) return
    const { ts, values } = points.points()
    see(points.length, ts[0] as number, ts[points.length - 1] as number)
    for (const [column, each] of values.entries()) totals[column]?.add(statsOf(each))
  }
  let from: number | null = span.from
  while (from !== null) {
    const within: SeriesSpan = { from, to: span.to }
    const window = await readWindow(query, series.id, { ...within, maxBlocks: AGGREGATED_BLOCKS, data: 'partial' })
    for (const { block, rows } of blocksWithRows(window)) {
      if (block !== null && block.data !== null) decode({ blocks: [block], rows, until: window.until }, within)
      else if (rows.length > 0) decode({ blocks: [], rows, until: null }, within)
      if (block === null || block.data !== null) continue
      see(block.count, block.fromTs, block.toTs)
      for (const [target, column] of selection.indexes.entries()) totals[target]?.add(readStats(block.stats, column))
    }
    from = window.until
  }
  return { count, firstTs, lastTs, columns: columnsOf(selection, totals) }
}

function columnsOf(selection: Selection, totals: readonly Total[]): Record<string, ColumnAggregate> {
  const columns: Record<string, ColumnAggregate> = {}
  for (const [index, { name, type }] of selection.columns.entries()) {
    if (type !== 'text') columns[name] = (totals[index] as Total).result()
  }
  return columns
}

class Total {
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  #count = 0
  #first = Number.NaN
  #last = Number.NaN
  #sum = 0
  #lost = 0

  add({ min, max, sum, count, first, last }: ColumnStats): void {
    if (count === 0) return
    if (this.#count === 0) this.#first = first
    this.#last = last
    this.#count += count
    if (min < this.#min) this.#min = min
    if (max > this.#max) this.#max = max
    const next = this.#sum + sum
    this.#lost += Math.abs(this.#sum) >= Math.abs(sum) ? this.#sum - next + sum : sum - next + this.#sum
    this.#sum = next
  }

  result(): ColumnAggregate {
    const count = this.#count
    // Of infinities the compensation is NaN.
    const sum = Number.isFinite(this.#sum) ? this.#sum + this.#lost : this.#sum
    if (count === 0) return { count, min: null, max: null, sum, mean: null, first: null, last: null }
    return { count, min: this.#min, max: this.#max, sum, mean: sum / count, first: this.#first, last: this.#last }
  }
}
