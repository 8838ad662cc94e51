/** Whether every block and row of every series is what was written: for `check`, which reads everything. */
import { setImmediate } from 'node:timers/promises'
import type { CheckFinding } from '../../protocol/check-finding.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { FileBackend } from '../file-backend.ts'
import { encodeBlock } from './block.ts'
import { PointBuffer } from './point-buffer.ts'
import { recordOf } from './series-catalog.ts'
import { comparePoints, idColumn } from './tie.ts'
import {
  decodeRows,
  decodeWindow,
  nextUp,
  type RunQuery,
  Selection,
  type SeriesRecord,
  type StoredBlock,
  type StoredRow,
} from './window-reader.ts'

const CHECKED_ROWS = 4_096
const WHOLE = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
const MAX_FINDINGS = 100

export async function seriesFindings(market: FileBackend): Promise<CheckFinding[]> {
  const query: RunQuery = (sql, parameters) => market.readers.query(sql, parameters)
  const findings: CheckFinding[] = []
  for (const row of await query(
    'SELECT "id", "kind", "symbol", "interval", "identity", "columns" FROM "_series"',
    [],
  )) {
    const series = recordOf(row)
    const name = [row.kind, series.symbol, row.interval].filter((part) => part !== '').join(' ')
    for await (const problem of problemsOf(query, series)) {
      if (findings.length < MAX_FINDINGS) findings.push(finding(name, problem))
    }
  }
  return findings
}

async function* problemsOf(query: RunQuery, series: SeriesRecord): AsyncGenerator<string> {
  let lastTs = Number.NEGATIVE_INFINITY
  for (;;) {
    const [row] = await query('SELECT * FROM "_blocks" WHERE "series" = ? AND "toTs" > ? ORDER BY "toTs" LIMIT 1', [
      series.id,
      lastTs,
    ])
    if (row === undefined) break
    const block = row as unknown as StoredBlock
    const where = `from ${block.fromTs} to ${block.toTs}`
    const problem = problemOfBlock(series, block)
    if (problem !== undefined) yield `the block ${where} ${problem}`
    if (block.fromTs <= lastTs) yield `the block ${where} overlaps the one before`
    lastTs = block.toTs
    await setImmediate()
  }
  let from = -Number.MAX_VALUE
  for (;;) {
    const rows = await query(
      'SELECT "ts", "values" FROM "_points" WHERE "series" = ? AND "ts" >= ? ORDER BY "ts", "tie" LIMIT ?',
      [series.id, from, CHECKED_ROWS],
    )
    for (const row of rows as unknown as StoredRow[]) {
      if (!isReadable(() => decodeRows(series, Selection.all(series), [row])))
        yield `the row at ${row.ts} can't be read`
    }
    if (rows.length < CHECKED_ROWS) return
    from = nextUp(Number(rows.at(-1)?.ts))
    await setImmediate()
  }
}

function problemOfBlock(series: SeriesRecord, block: StoredBlock): string | undefined {
  const into = new PointBuffer(series.columns)
  const window = { blocks: [block], rows: [], until: null }
  if (!isReadable(() => decodeWindow(series, Selection.all(series), window, WHOLE, into))) return "can't be decoded"
  const points = into.points()
  const idAt = idColumn(series)
  for (let index = 1; index < into.length; index++) {
    const order = comparePoints(idAt, points, index - 1, points, index)
    if (order > 0 || (order === 0 && series.identity !== 'order')) return 'is not in order'
  }
  const { stats, maxStep } = encodeBlock(points)
  const isAsSaid = maxStep === block.maxStep && Buffer.compare(stats, block.stats) === 0
  return isAsSaid ? undefined : 'has other values than its statistics say'
}

function isReadable(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (error instanceof StoreError && error.code === 'STORE_CORRUPT') return false
    throw error
  }
}

function finding(subject: string, problem: string): CheckFinding {
  return {
    code: 'SERIES_DAMAGED',
    severity: 'error',
    subject: `series ${subject}`,
    problem: `In the series ${subject}, ${problem}.`,
    remedy: 'Restore a backup, or delete that span of the series and load it again.',
    repairable: false,
  }
}
