/** Where bars are missing. Blocks whose points lie close enough are passed over by what is written beside them. */
import type { SeriesGap, SeriesSpan } from '../../protocol/series.ts'
import { type BucketSpec, bucketStart, nextBucket } from '../../schema/interval.ts'
import { PointBuffer } from './point-buffer.ts'
import {
  blocksWithRows,
  decodeWindow,
  nextUp,
  type RunQuery,
  readWindow,
  readWindows,
  Selection,
  type SeriesRecord,
  type Window,
} from './window-reader.ts'

const LOOKED_AT_BLOCKS = 64
/** Days of the shortest month: no shorter step leaves out a month. */
const SHORTEST_MONTH_MS = 28 * 86_400_000

/** At most `maxGaps`, the first ones. */
export async function findGaps(
  query: RunQuery,
  series: SeriesRecord,
  bucket: BucketSpec,
  span: SeriesSpan,
  maxGaps: number,
): Promise<SeriesGap[]> {
  const gaps: SeriesGap[] = []
  const none = Selection.of(series, [])
  const evenStep = bucket.unit === 'ms' ? bucket.size : SHORTEST_MONTH_MS
  let last: number | null = null
  const step = (ts: number) => {
    if (last !== null && ts > expectedAfter(bucket, last)) {
      gaps.push({ after: last, before: ts, missing: missingBetween(bucket, last, ts) })
    }
    last = ts
  }
  const walk = (window: Window, within: SeriesSpan) => {
    const points = new PointBuffer(none.columns)
    decodeWindow(series, none, window, within, points)
    for (let index = 0; index < points.length; index++) step(points.ts[index] as number)
  }
  const walkAll = async (within: SeriesSpan) => {
    for await (const window of readWindows(query, series.id, within)) walk(window, within)
  }
  let from: number | null = span.from
  while (from !== null && gaps.length < maxGaps) {
    const within: SeriesSpan = { from, to: span.to }
    const window = await readWindow(query, series.id, { ...within, maxBlocks: LOOKED_AT_BLOCKS, data: 'partial' })
    for (const { block, rows } of blocksWithRows(window)) {
      if (block !== null && block.data !== null) walk({ blocks: [block], rows, until: window.until }, within)
      else walk({ blocks: [], rows, until: null }, within)
      if (block === null || block.data !== null) continue
      if (block.maxStep > evenStep) await walkAll({ from: block.fromTs, to: nextUp(block.toTs) })
      else {
        step(block.fromTs)
        last = block.toTs
      }
    }
    from = window.until
  }
  return gaps.slice(0, maxGaps)
}

function expectedAfter(bucket: BucketSpec, ts: number): number {
  return bucket.unit === 'ms' ? ts + bucket.size : nextBucket(bucket, bucketStart(bucket, ts))
}

function missingBetween(bucket: BucketSpec, after: number, before: number): number {
  if (bucket.unit === 'ms') return Math.ceil((before - after) / bucket.size) - 1
  let missing = 0
  let at = nextBucket(bucket, bucketStart(bucket, after))
  while (at < bucketStart(bucket, before)) {
    missing += 1
    at = nextBucket(bucket, at)
  }
  return missing
}
