/**
 * One rule on one series. What a bucket becomes is durable before its points are deleted, and a bar that is there already is left as
 * it is. So a run can be broken off anywhere and run again: it makes the same bars or finds them made. The same holds for
 * points that come late, behind the cutoff: where their bucket has its bar, they are dropped with the next run; where it has none
 * (there was a gap), they become one.
 */
import type {
  Points,
  SeriesColumn,
  SeriesKey,
  SeriesMethods,
  SeriesPoints,
  SeriesShape,
} from '../../../protocol/series.ts'
import { WHOLE_SPAN } from '../../../protocol/series.ts'
import { deserializeError, StoreError } from '../../../protocol/store-error.ts'
import { type BucketSpec, bucketStart, nextBucket, parseInterval } from '../../../schema/interval.ts'
import type { SeriesRule } from '../../../schema/series-rule.ts'
import { failpoint } from '../../failpoint.ts'

export interface RuleOutcome {
  readonly cutoffTs: number | null
  readonly deleted: number
  readonly barsWritten: number
  readonly barsKept: number
}

/** A step covers at least so much time: some 40,000 points of one-minute bars. */
const STEP_MS = 28 * 86_400_000
const MAX_STEP_BARS = 4_000_000
const OHLCV = ['open', 'high', 'low', 'close', 'volume']

export async function applyRule(
  series: SeriesMethods,
  rule: SeriesRule,
  key: SeriesKey,
  nowMs: number,
  isStopped: () => boolean,
): Promise<RuleOutcome> {
  const nothing = { cutoffTs: null, deleted: 0, barsWritten: 0, barsKept: 0 }
  const targets = (rule.downsample ?? []).map((interval) => ({
    interval,
    bucket: parseInterval(interval) as BucketSpec,
  }))
  const coarsest = targets.at(-1)?.bucket
  const limit = await cutoffOf(series, rule, key, nowMs)
  const cutoffTs = limit === null || coarsest === undefined ? limit : bucketStart(coarsest, limit)
  if (cutoffTs === null) return nothing
  const whole = await series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to: cutoffTs })
  if (whole === null || whole.firstTs === null) return { ...nothing, cutoffTs }
  let deleted = 0
  let barsWritten = 0
  let barsKept = 0
  let from = whole.firstTs
  while (from < cutoffTs && !isStopped()) {
    const to = Math.min(cutoffTs, stepEnd(from, coarsest))
    let count = await countIn(series, key, to)
    for (;;) {
      let kept = 0
      for (const { interval, bucket } of targets) {
        const made = await downsample(series, key, { from, to }, { kind: 'bars', symbol: key.symbol, interval }, bucket)
        barsWritten += made.written
        kept += made.kept
      }
      // History that is being loaded at this moment: its buckets become bars, too, before they are deleted.
      const countNow = targets.length === 0 ? count : await countIn(series, key, to)
      if (countNow === count) {
        barsKept += kept
        break
      }
      count = countNow
      from = WHOLE_SPAN.from
    }
    await failpoint('series-rules:downsampled')
    deleted += (await series.seriesDelete({ key, from: WHOLE_SPAN.from, to })).deleted
    const rest = await series.seriesAggregate({ key, columns: [], from: to, to: cutoffTs })
    from = rest?.firstTs ?? cutoffTs
  }
  return { cutoffTs, deleted, barsWritten, barsKept }
}

async function countIn(series: SeriesMethods, key: SeriesKey, to: number): Promise<number> {
  return (await series.seriesAggregate({ key, columns: [], from: WHOLE_SPAN.from, to }))?.count ?? 0
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

function stepEnd(from: number, coarsest: BucketSpec | undefined): number {
  if (coarsest === undefined) return Number.POSITIVE_INFINITY
  const end = bucketStart(coarsest, from + STEP_MS)
  return end > from ? end : nextBucket(coarsest, bucketStart(coarsest, from))
}

async function downsample(
  series: SeriesMethods,
  source: SeriesKey,
  span: { readonly from: number; readonly to: number },
  target: SeriesKey,
  bucket: BucketSpec,
): Promise<{ written: number; kept: number }> {
  const bars = await series.seriesResample({ key: source, bucket, ...span, maxPoints: MAX_STEP_BARS })
  if (bars === null || bars.ts.length === 0) return { written: 0, kept: 0 }
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
  if (missing.length === 0) return { written: 0, kept: bars.ts.length }
  const shape = await shapeOf(series, source, target)
  const points = chosenPoints(bars, shape.columns, missing)
  const [result] = await series.seriesAppend({ appends: [{ key: target, shape, points }] })
  if (result !== undefined && 'error' in result) throw deserializeError(result.error)
  return { written: missing.length, kept: bars.ts.length - missing.length }
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
