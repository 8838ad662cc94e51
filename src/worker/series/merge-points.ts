/** Lays rows over points of a block: a row that is the same point takes its place, others come in between. */
import type { Points, SeriesIdentity } from '../../protocol/series.ts'
import type { PointBuffer } from './point-buffer.ts'
import { comparePoints } from './tie.ts'

/** Both are sorted. Of points told apart by their order, those of `over` come behind those of one time. */
export function mergePoints(
  identity: SeriesIdentity,
  idAt: number,
  under: Points,
  over: Points,
  into: PointBuffer,
): void {
  const underCount = under.ts.length
  const overCount = over.ts.length
  into.reserve(underCount + overCount)
  let i = 0
  let j = 0
  while (i < underCount && j < overCount) {
    const order = comparePoints(idAt, under, i, over, j)
    if (order < 0 || (order === 0 && identity === 'order')) {
      into.appendOne(under, i)
      i += 1
    } else {
      into.appendOne(over, j)
      j += 1
      if (order === 0) i += 1
    }
  }
  into.append(under, i, underCount)
  into.append(over, j, overCount)
}
