/** What can be verified of the yearly trade files, and of what `state.db` says they hold. */
import type { CheckFinding } from '../../protocol/check-finding.ts'
import { isStoreError } from '../../protocol/store-error.ts'
import type { Row } from '../driver.ts'
import { storeDatabases } from '../store-files.ts'
import type { TradeArchive } from '../trade-archive/trade-archive.ts'
import { type CheckedDatabase, contentFindings, logFindings } from './database-findings.ts'

const REMEDY = 'Put back a copy of it that is as new as the store, from a backup.'

export interface CheckedYears {
  readonly dir: string
  readonly tradeArchive: TradeArchive
  /** Asks `state.db`. */
  readonly queryState: (sql: string) => Promise<Row[]>
}

export async function yearlyFindings({ dir, tradeArchive, queryState }: CheckedYears): Promise<CheckFinding[]> {
  // First of all: what moves meanwhile makes a file newer than this, never older.
  const counted = await queryState('SELECT "year", "move" FROM main."_yearlyFiles" ORDER BY "year"')
  const files = new Map((await storeDatabases(dir)).map((file) => [file.name as string, file]))
  const findings: CheckFinding[] = []
  for (const { year, move } of counted) {
    const name = `trades-${Number(year)}`
    const file = files.get(name)
    if (file === undefined) {
      const problem = 'this file, which holds trades that were archived, is missing'
      findings.push(finding('DATABASE_MISSING', `archive/${name}.db`, problem))
      continue
    }
    const readers = tradeArchive.readersOf(file)
    const subject = file.relativePath
    const checked = { subject, path: file.path, query: (sql: string) => readers.query(sql, []) }
    try {
      findings.push(...(await logFindings(dir, checked)), ...(await fileFindings(checked, Number(move))))
    } catch (error) {
      if (!isStoreError(error) || (error.code !== 'STORE_CORRUPT' && error.code !== 'NOT_A_STORE')) throw error
      findings.push(finding('PAGE_DAMAGED', subject, "does not open under this store's key: damaged, or foreign"))
    } finally {
      await readers.close()
    }
  }
  return findings
}

async function fileFindings(checked: CheckedDatabase, countedMove: number): Promise<CheckFinding[]> {
  const findings = await contentFindings(checked)
  if (findings.some(({ code }) => code === 'PAGE_DAMAGED' || code === 'STRUCTURE_DAMAGED')) return findings
  const [row] = await checked.query('SELECT coalesce(max("_move"), 0) AS "move" FROM "trades"')
  if (Number(row?.move) >= countedMove) return findings
  const problem = 'this file is older than the store: trades are missing that the store has moved into it'
  return [...findings, finding('DATABASE_OUTDATED', checked.subject, problem)]
}

function finding(code: CheckFinding['code'], subject: string, problem: string): CheckFinding {
  return { code, severity: 'error', subject, problem, remedy: REMEDY, repairable: false }
}
