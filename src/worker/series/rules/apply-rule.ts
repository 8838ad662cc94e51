/**
 * One rule on one series, a step at a time. A step is one transaction: it writes what the buckets become and deletes their
 * points, so at every moment a point is there or is part of its longer bars. It is planned beside appends; where one touched
 * the same span meanwhile, it is planned anew.
 *
 * A bar that is there already is left as it is. The same holds for points that come late, behind the cutoff: where their bucket has
 * its bar, they are dropped with the next run; where it has none (there was a gap), they become one.
 */
import type {
  Points,
  SeriesAppend,
  SeriesColumn,
  SeriesKey,
  SeriesMethods,
  SeriesPoints,
  SeriesShape,
  SeriesSpan,
} from '../../../protocol/series.ts'
import { WHOLE_SPAN } from '../../../protocol/series.ts'
import { StoreError } from '../../../protocol/store-error.ts'
import { type BucketSpec, bucketStart, nextBucket, parseInterval } from '../../../schema/interval.ts'
import type { SeriesRule } from '../../../schema/series-rule.ts'
import type { SeriesStore } from '../series-store.ts'

export interface RuleOutcome {
  readonly cutoffTs: number | null
  readonly deleted: number
  readonly barsWritten: number
  readonly barsKept: number
}

/** A step covers at most so much time, some 40,000 one-minute bars, and so many points, unless one bucket has more. */
const STEP_MS = 28 * 86_400_000
const STEP_POINTS = 262_144
const MAX_STEP_BARS = 4_000_000
const OHLCV = ['open', 'high', 'low', 'close', 'volume']

export async function applyRule(
  series: SeriesStore,
  rule: SeriesRule,
  key: SeriesKey,
  nowMs: number,
  isStopped: () => boolean,
): Promise<RuleOutcome> {
  const nothing = { cutoffTs: null, deleted: 0, barsWritten: 0, barsKept: 0 }
  const targets = (rule.downsample ?? []).map(
    (interval): Target => ({ interval, bucket: parseInterval(interval) as BucketSpec }),
  )
  const coarsest = targets.at(-1)?.bucket
  const limit = await cutoffOf(series, rule, key, nowMs)
  const cutoffTs = limit === null || coarsest === undefined ? limit : bucketStart(coarsest, limit)
  if (cutoffTs === null) return nothing
  const whole = await series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to: cutoffTs })
  if (whole === null || whole.firstTs === null) return { ...nothing, cutoffTs }
  if (targets.length === 0) {
    const { deleted } = await series.seriesDelete({ key, from: WHOLE_SPAN.from, to: cutoffTs })
    return { ...nothing, cutoffTs, deleted }
  }
  let deleted = 0
  let barsWritten = 0
  let barsKept = 0
  let from: number | null = whole.firstTs
  while (from !== null && !isStopped()) {
    const to = await stepEnd(series, key, { from, to: cutoffTs }, coarsest as BucketSpec)
    const step = await replaceByBars(series, key, to, targets)
    if (step !== null) {
      deleted += step.deleted
      barsWritten += step.barsWritten
      barsKept += step.barsKept
    }
    from = (await series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to: cutoffTs }))?.firstTs ?? null
  }
  return { cutoffTs, deleted, barsWritten, barsKept }
}

interface Target {
  readonly interval: string
  readonly bucket: BucketSpec
}

/** All points before `to` become bars. Null, with nothing done, when points of that span were written meanwhile. */
async function replaceByBars(
  series: SeriesStore,
  source: SeriesKey,
  to: number,
  targets: readonly Target[],
): Promise<Omit<RuleOutcome, 'cutoffTs'> | null> {
  const span = { from: WHOLE_SPAN.from, to }
  const keys = targets.map(({ interval }): SeriesKey => ({ kind: 'bars', symbol: source.symbol, interval }))
  const watch = series.watch([source, ...keys], to)
  try {
    const deleted = (await series.seriesAggregate({ key: source, columns: [], ...span }))?.count ?? 0
    const appends: SeriesAppend[] = []
    let barsWritten = 0
    let barsKept = 0
    for (const [i, { bucket }] of targets.entries()) {
      const { append, kept } = await barsOf(series, source, span, keys[i] as SeriesKey, bucket)
      barsKept += kept
      if (append === null) continue
      barsWritten += append.points.ts.length
      appends.push(append)
    }
    const isDone = await series.exchange({ appends, removed: { key: source, ...span }, watch })
    return isDone ? { deleted, barsWritten, barsKept } : null
  } finally {
    watch.end()
  }
}

/** Points before it have to go; null when none has to. */
async function cutoffOf(
  series: SeriesMethods,
  { keep, maxRows }: SeriesRule,
  key: SeriesKey,
  nowMs: number,
): Promise<number | null> {
  const kept = keep === undefined ? undefined : parseInterval(keep)
  const byAge = kept?.unit === 'ms' ? nowMs - kept.size : Number.NEGATIVE_INFINITY
  let byRows = Number.NEGATIVE_INFINITY
  if (maxRows !== undefined) {
    const newest = await series.seriesLast({ key, count: maxRows, columns: [] })
    if (newest !== null && newest.ts.length === maxRows) byRows = newest.ts[0] as number
  }
  const cutoff = Math.max(byAge, byRows)
  return cutoff === Number.NEGATIVE_INFINITY ? null : cutoff
}

/** Behind so many whole buckets as make a step of bounded time and points; one bucket at least. */
async function stepEnd(
  series: SeriesMethods,
  key: SeriesKey,
  { from, to }: SeriesSpan,
  coarsest: BucketSpec,
): Promise<number> {
  const first = nextBucket(coarsest, bucketStart(coarsest, from))
  let stepMs = STEP_MS
  for (;;) {
    const end = Math.min(to, Math.max(first, bucketStart(coarsest, from + stepMs)))
    if (end <= first) return end
    const found = await series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to: end })
    if (found === null || found.count <= STEP_POINTS) return end
    stepMs /= 4
  }
}

/** The bars that are not there yet. */
async function barsOf(
  series: SeriesMethods,
  source: SeriesKey,
  span: SeriesSpan,
  target: SeriesKey,
  bucket: BucketSpec,
): Promise<{ readonly append: SeriesAppend | null; readonly kept: number }> {
  const bars = await series.seriesResample({ key: source, bucket, ...span, maxPoints: MAX_STEP_BARS })
  if (bars === null || bars.ts.length === 0) return { append: null, kept: 0 }
  const lastTs = bars.ts.at(-1) as number
  const there = await series.seriesRange({
    key: target,
    columns: [],
    from: bars.ts[0] as number,
    to: lastTs + 1,
    limit: MAX_STEP_BARS,
    maxPoints: MAX_STEP_BARS,
  })
  const taken = new Set(there?.ts)
  const missing = Uint32Array.from([...bars.ts.keys()].filter((i) => !taken.has(bars.ts[i] as number)))
  const kept = bars.ts.length - missing.length
  if (missing.length === 0) return { append: null, kept }
  const shape = await shapeOf(series, source, target)
  return { append: { key: target, shape, points: chosenPoints(bars, shape.columns, missing) }, kept }
}

/** The columns that the longer bars have already; else those of bars, with `vwap` where the source knows prices that well. */
async function shapeOf(series: SeriesMethods, source: SeriesKey, target: SeriesKey): Promise<SeriesShape> {
  const there = await series.seriesInfo({ key: target })
  if (there !== null) return { columns: there.columns, identity: there.identity }
  const from = await series.seriesInfo({ key: source })
  const hasPrices = source.kind === 'ticks' || from?.columns.some(({ name }) => name === 'vwap') === true
  const names = hasPrices ? [...OHLCV, 'vwap'] : OHLCV
  return { columns: names.map((name) => ({ name, type: 'number' })), identity: 'ts' }
}

function chosenPoints(bars: SeriesPoints, columns: readonly SeriesColumn[], rows: Uint32Array): Points {
  const values = columns.map(({ name, type }) => {
    if (type !== 'number') {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'Bars that keep decimal digits are not made by a rule. Remove downsample.',
      )
    }
    const column = bars.values[bars.columns.findIndex((each) => each.name === name)]
    return Float64Array.from(rows, (row) => (column === undefined ? Number.NaN : (column[row] as number)))
  })
  return { ts: Float64Array.from(rows, (row) => bars.ts[row] as number), values }
}
