/**
 * What an append writes. Points that are there already, bit for bit, are left out: that is what makes it idempotent, and
 * asking an exchange for the last thousand bars each minute costs one row. Enough points in a row that lie between
 * blocks, as a load does, become blocks at once; all others go to the row table, where they win over a block.
 */
import { setImmediate } from 'node:timers/promises'
import type { Points } from '../../protocol/series.ts'
import { blockCuts, type EncodedBlock, encodeBlock } from './block.ts'
import { lowerBound, PointBuffer, sliceOf } from './point-buffer.ts'
import { encodeRow } from './row-values.ts'
import { pick, sortPoints } from './sort-points.ts'
import { compareTies, idColumn, type Tie, tieOfId } from './tie.ts'
import {
  decodeWindow,
  nextUp,
  type RunQuery,
  readWindow,
  Selection,
  type SeriesRecord,
  type StoredBlock,
} from './window-reader.ts'

/** Fewer cost less as rows; measured in docs/decisions/0017-series-storage.md. */
export const DIRECT_BLOCK_POINTS = 128
const OVERLAP_BLOCKS = 2

export interface NewRow {
  readonly ts: number
  readonly tie: Tie
  readonly values: Uint8Array
}

export interface AppendPlan {
  readonly blocks: readonly EncodedBlock[]
  readonly rows: readonly NewRow[]
  /** Points that are new or other than before. */
  readonly written: Points
  /** Of the series once this is written. */
  readonly lastTs: number
  /** True when everything written lies behind what was there. */
  readonly isBeyond: boolean
}

/** A kept point: where it lies, and its place among those of its time. */
interface Kept {
  readonly index: number
  /** The gap between blocks that it lies in; null for one that has to go to the row table. */
  readonly gap: number | null
  readonly ordinal: number
}

const BEYOND = Number.POSITIVE_INFINITY

/** `lastTs` is that of the series before; -Infinity for an empty one. `query` is not asked about an empty one. */
export async function planAppend(
  query: RunQuery,
  series: SeriesRecord,
  lastTs: number,
  given: Points,
): Promise<AppendPlan> {
  const points = sortPoints(series, given)
  const count = points.ts.length
  const split = lowerBound(points.ts, nextUp(lastTs))
  const kept = split === 0 ? [] : await keepNew(query, series, points, split)
  const isBeyond = kept.length === 0
  const runs: Points[] = []
  const single: Kept[] = []
  let at = 0
  while (at < kept.length) {
    const { gap } = kept[at] as Kept
    let end = at + 1
    while (end < kept.length && gap !== null && kept[end]?.gap === gap) end += 1
    const run = kept.slice(at, end)
    if (gap !== null && run.length >= DIRECT_BLOCK_POINTS) {
      runs.push(
        pick(
          points,
          run.map(({ index }) => index),
        ),
      )
    } else single.push(...run)
    at = end
  }
  if (count - split >= DIRECT_BLOCK_POINTS) runs.push(sliceOf(points, split, count))
  else single.push(...ordinals(points.ts, split, count))
  const blocks: EncodedBlock[] = []
  for (const run of runs) {
    let start = 0
    for (const end of blockCuts(run.ts)) {
      blocks.push(encodeBlock(sliceOf(run, start, end)))
      start = end
      await setImmediate()
    }
  }
  const idAt = idColumn(series)
  const rows = single.map(({ index, ordinal }) => ({
    ts: points.ts[index] as number,
    tie: tieAt(idAt, points, index, ordinal, series),
    values: encodeRow(series.columns, points, index),
  }))
  const written = split === 0 ? points : writtenOf(points, kept, split)
  return { blocks, rows, written, isBeyond, lastTs: Math.max(lastTs, points.ts[count - 1] ?? lastTs) }
}

function writtenOf(points: Points, kept: readonly Kept[], split: number): Points {
  const indexes = kept.map(({ index }) => index)
  for (let index = split; index < points.ts.length; index++) indexes.push(index)
  return pick(points, indexes)
}

function* ordinals(ts: Float64Array, start: number, end: number): Iterable<Kept> {
  let ordinal = 0
  for (let index = start; index < end; index++) {
    ordinal = index > start && ts[index] === ts[index - 1] ? ordinal + 1 : 0
    yield { index, gap: BEYOND, ordinal }
  }
}

function tieAt(idAt: number, points: Points, index: number, ordinal: number, { identity }: SeriesRecord): Tie {
  if (identity === 'ts') return 0
  return identity === 'order' ? ordinal : tieOfId((points.values[idAt] as readonly string[])[index] as string)
}

/** Of the points `[0, split)`, which lie where points may be already, those that are not there. */
async function keepNew(query: RunQuery, series: SeriesRecord, points: Points, split: number): Promise<Kept[]> {
  const kept: Kept[] = []
  const selection = Selection.all(series)
  const to = nextUp(points.ts[split - 1] as number)
  let blocksPassed = 0
  let at = 0
  while (at < split) {
    const span = { from: points.ts[at] as number, to }
    const window = await readWindow(query, series.id, { ...span, maxBlocks: OVERLAP_BLOCKS, data: 'all' })
    const existing = new PointBuffer(series.columns)
    decodeWindow(series, selection, window, span, existing)
    const end = window.until === null ? split : lowerBound(points.ts, window.until, split)
    const isThere = finder(series, points, existing.points())
    for (; at < end; at++) {
      const found = isThere(at)
      if (found === 'same') continue
      const gap = found.isKnownTime ? null : gapOf(window.blocks, points.ts[at] as number)
      kept.push({ index: at, gap: gap === null ? null : gap + blocksPassed, ordinal: found.ordinal })
    }
    blocksPassed += window.blocks.length + 1
  }
  return kept
}

/** Which gap between the blocks holds the time; null when it lies inside a block. */
function gapOf(blocks: readonly StoredBlock[], ts: number): number | null {
  let gap = 0
  for (const { fromTs, toTs } of blocks) {
    if (ts < fromTs) return gap
    if (ts <= toTs) return null
    gap += 1
  }
  return gap
}

type Found = 'same' | { readonly isKnownTime: boolean; readonly ordinal: number }

/** To be asked for ascending indexes. */
function finder(series: SeriesRecord, points: Points, existing: Points): (index: number) => Found {
  const isSame = sameValues(points, existing)
  const idAt = idColumn(series)
  let start = 0
  let end = 0
  let runTs = Number.NaN
  let used: Set<number> = new Set()
  let added = 0
  return (index) => {
    const ts = points.ts[index] as number
    if (ts !== runTs) {
      runTs = ts
      start = end + lowerBound(existing.ts.subarray(end), ts)
      end = start
      while (end < existing.ts.length && existing.ts[end] === ts) end += 1
      used = new Set()
      added = 0
    }
    for (let other = start; other < end; other++) {
      if (series.identity === 'order' && used.has(other)) continue
      if (idAt >= 0 && !isSameId(idAt, points, index, existing, other)) continue
      if (!isSame(index, other)) continue
      used.add(other)
      return 'same'
    }
    added += 1
    return { isKnownTime: end > start, ordinal: end - start + added - 1 }
  }
}

function isSameId(idAt: number, a: Points, i: number, b: Points, j: number): boolean {
  const left = (a.values[idAt] as readonly string[])[i] as string
  const right = (b.values[idAt] as readonly string[])[j] as string
  return left === right || compareTies(tieOfId(left), tieOfId(right)) === 0
}

/** Bit for bit, so that a correction from 0 to -0 is one. */
function sameValues(a: Points, b: Points): (i: number, j: number) => boolean {
  const columns = a.values.map((values, column) => {
    const others = b.values[column]
    if (!(values instanceof Float64Array) || !(others instanceof Float64Array)) {
      return (i: number, j: number) => values[i] === others?.[j]
    }
    const left = wordsOf(values)
    const right = wordsOf(others)
    return (i: number, j: number) => left[i * 2] === right[j * 2] && left[i * 2 + 1] === right[j * 2 + 1]
  })
  return (i, j) => columns.every((isSame) => isSame(i, j))
}

function wordsOf(values: Float64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
}
