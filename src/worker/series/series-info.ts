/** What there is to know of a series without its points. */
import type { SeriesColumn, SeriesIdentity, SeriesInfo, SeriesKind } from '../../protocol/series.ts'
import { WHOLE_SPAN } from '../../protocol/series.ts'
import { aggregateSeries } from './aggregate.ts'
import { type RunQuery, Selection } from './window-reader.ts'

/** Of a row beside its values: key and header. */
const ROW_BYTES = 16

const INFO = `
  SELECT s.*,
    (SELECT count(*) FROM "_blocks" WHERE "series" = s."id") AS "blocks",
    (SELECT ifnull(sum("count"), 0) FROM "_blocks" WHERE "series" = s."id") AS "inBlocks",
    (SELECT min("fromTs") FROM "_blocks" WHERE "series" = s."id") AS "firstBlock",
    (SELECT max("toTs") FROM "_blocks" WHERE "series" = s."id") AS "lastBlock",
    (SELECT ifnull(sum(length("data") + length("stats")), 0) FROM "_blocks" WHERE "series" = s."id") AS "blockBytes",
    (SELECT count(*) FROM "_points" WHERE "series" = s."id") AS "rows",
    (SELECT min("ts") FROM "_points" WHERE "series" = s."id") AS "firstRow",
    (SELECT max("ts") FROM "_points" WHERE "series" = s."id") AS "lastRow",
    (SELECT ifnull(sum(length("values") + ${ROW_BYTES}), 0) FROM "_points" WHERE "series" = s."id") AS "rowBytes",
    EXISTS (
      SELECT 1 FROM "_points" p WHERE p."series" = s."id" AND (
        SELECT "fromTs" FROM "_blocks" WHERE "series" = s."id" AND "toTs" >= p."ts" ORDER BY "toTs" LIMIT 1
      ) <= p."ts"
    ) AS "overlaps"
  FROM "_series" s
  WHERE (?1 IS NULL OR "kind" = ?1) AND (?2 IS NULL OR "symbol" = ?2) AND (?3 IS NULL OR "interval" = ?3)
  ORDER BY "kind", "symbol", "interval"`

export interface InfoFilter {
  readonly kind: SeriesKind | null
  readonly symbol: string | null
  readonly interval: string | null
}

export async function readInfo(query: RunQuery, { kind, symbol, interval }: InfoFilter): Promise<SeriesInfo[]> {
  const infos: SeriesInfo[] = []
  for (const row of await query(INFO, [kind, symbol, interval])) {
    const columns = JSON.parse(String(row.columns)) as SeriesColumn[]
    const record = { id: Number(row.id), symbol: String(row.symbol), identity: row.identity as SeriesIdentity, columns }
    const rows = Number(row.rows)
    let count = Number(row.inBlocks) + rows
    if (row.overlaps === 1) count = (await aggregateSeries(query, record, Selection.of(record, []), WHOLE_SPAN)).count
    infos.push({
      kind: row.kind as SeriesKind,
      symbol: record.symbol,
      interval: String(row.interval),
      identity: record.identity,
      columns,
      count,
      firstTs: extreme(Math.min, row.firstBlock, row.firstRow),
      lastTs: extreme(Math.max, row.lastBlock, row.lastRow),
      bytes: Number(row.blockBytes) + Number(row.rowBytes),
      blocks: Number(row.blocks),
      rows,
    })
  }
  return infos
}

function extreme(of: (...values: number[]) => number, ...values: readonly unknown[]): number | null {
  const numbers = values.filter((value) => typeof value === 'number')
  return numbers.length === 0 ? null : of(...numbers)
}
