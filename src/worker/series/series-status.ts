/** Figures of all series together, from what is kept beside the blocks. */
import type { SeriesStatus } from '../../protocol/series.ts'
import type { RunQuery } from './window-reader.ts'

export async function seriesStatus(query: RunQuery): Promise<SeriesStatus> {
  const [row] = await query(
    `SELECT (SELECT count(*) FROM "_series") AS "series", (SELECT count(*) FROM "_points") AS "rowPoints",
       count(*) AS "blocks", coalesce(sum("count"), 0) AS "blockPoints" FROM "_blocks"`,
    [],
  )
  return {
    series: Number(row?.series),
    blocks: Number(row?.blocks),
    blockPoints: Number(row?.blockPoints),
    rowPoints: Number(row?.rowPoints),
  }
}
