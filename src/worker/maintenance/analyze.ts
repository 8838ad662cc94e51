/**
 * Statistics for the query planner, where `PRAGMA optimize` finds them missing or out of date
 * (https://sqlite.org/pragma.html#pragma_optimize). Analyzing a table holds the writer for some milliseconds up to
 * seconds, so each is a step of its own, and one that a commit has to wait for is interrupted: nothing is lost by it.
 */
import type { Committer } from '../committer.ts'
import { type Connection, DriverError, queryOnce } from '../driver.ts'

/** Look at all tables, tell and don't do. */
const WHAT_TO_ANALYZE = 'PRAGMA optimize(0x10003)'
const ANALYZE = /^ANALYZE "main"\."((?:[^"]|"")+)"$/
const SAMPLED_ROWS = 400

/** The tables that were analyzed. */
export async function analyzeInSteps(committer: Committer, isStopped: () => boolean): Promise<string[]> {
  const analyzed: string[] = []
  const rows = await committer.maintain((connection) => queryOnce(connection, WHAT_TO_ANALYZE))
  for (const row of rows) {
    const sql = String(Object.values(row)[0])
    const table = ANALYZE.exec(sql)?.[1]
    if (table === undefined) continue
    if (isStopped()) break
    if (await analyzeUnlessWaitedFor(committer, sql)) analyzed.push(table.replaceAll('""', '"'))
  }
  return analyzed
}

async function analyzeUnlessWaitedFor(committer: Committer, sql: string): Promise<boolean> {
  let used: Connection | undefined
  let isWaitedFor = false
  const giveWay = () => {
    isWaitedFor = true
    used?.interrupt()
  }
  return await committer.maintain(async (connection) => {
    if (isWaitedFor) return false
    used = connection
    try {
      await connection.exec(`PRAGMA analysis_limit = ${SAMPLED_ROWS}; ${sql}`)
      return true
    } catch (error) {
      if (error instanceof DriverError && error.code === 'INTERRUPT') return false
      throw error
    }
  }, giveWay)
}
