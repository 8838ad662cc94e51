/** What can be verified of one database file while it is open: its log, page MACs, structure, indexes, foreign keys. */
import type { CheckFinding } from '../../protocol/check-finding.ts'
import { isStoreError } from '../../protocol/store-error.ts'
import type { Row } from '../driver.ts'
import { readOwner } from '../owner-lock.ts'
import { assertWalUndamaged } from '../wal-damage.ts'

const RESTORE = 'Stop using the store, keep its directory aside and restore a copy.'
/** A log is read while somebody may write it: what looks damaged has to look so again after this. */
const SECOND_LOOK_MS = 250

export interface CheckedDatabase {
  /** What findings call it: its path from the store directory. */
  readonly subject: string
  readonly path: string
  readonly query: (sql: string) => Promise<Row[]>
}

/** What its pages hold. */
export async function contentFindings({ subject, query }: CheckedDatabase): Promise<CheckFinding[]> {
  const pages = await damagedPages(query)
  if (pages.length > 0) {
    // What is behind a page that can't be decrypted can't be looked at.
    return pages.map((text) => finding('PAGE_DAMAGED', subject, `page authentication failed: ${text}`))
  }
  return [
    ...(await structureFindings(subject, query)),
    ...(await query('PRAGMA foreign_key_check')).map((row) =>
      finding(
        'REFERENCE_BROKEN',
        subject,
        `a row of "${String(row.table)}" refers to a document missing from "${String(row.parent)}"`,
        'Find how it was written; write the missing document or delete the row.',
      ),
    ),
  ]
}

/**
 * The pages are read past SQLite's locks, so one that a checkpoint is writing at that moment may be read half old and
 * half new. Damage stays: it is there the second time, too.
 */
async function damagedPages(query: CheckedDatabase['query']): Promise<string[]> {
  const look = async () =>
    (await query('PRAGMA cipher_integrity_check')).map((row) => String(row.cipher_integrity_check))
  const first = await look()
  if (first.length === 0) return []
  const second = new Set(await look())
  return first.filter((text) => second.has(text))
}

export async function logFindings(
  dir: string,
  { subject, path }: Pick<CheckedDatabase, 'subject' | 'path'>,
): Promise<CheckFinding[]> {
  // With this durability commits may reach the disk out of order: a torn end can't be told from damage.
  if ((await readOwner(dir))?.durability === 'normal') return []
  const log = `${path}-wal`
  if (!(await isLogDamaged(log))) return []
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS))
  if (!(await isLogDamaged(log))) return []
  return [
    finding(
      'LOG_DAMAGED',
      `${subject}-wal`,
      'the log is damaged in the middle: durable writes stand behind the damage and can not be read',
      'Keep the directory aside and restore a copy; or move the log aside and go on with the state before it.',
    ),
  ]
}

async function isLogDamaged(path: string): Promise<boolean> {
  try {
    await assertWalUndamaged(path)
    return false
  } catch (error) {
    if (isStoreError(error) && error.code === 'STORE_CORRUPT') return true
    throw error
  }
}

/** The three things `integrity_check` says of an index (https://sqlite.org/pragma.html#pragma_integrity_check). */
const INDEX_PROBLEM = /^(?:row \d+ missing from index|wrong # of entries in index|non-unique entry in index) (.+)$/
/** What FTS5's own check adds to it (https://sqlite.org/fts5.html#the_integrity_check_command). */
const SEARCH_PROBLEM =
  /^(?:fts5: checksum mismatch for table "(.+)"|(?:malformed|unable to validate the) inverted index for FTS\d table main\.([^:]+).*)$/

/**
 * `integrity_check` stops after 100 problems, so those of an index may hide worse; `quick_check` does not compare indexes
 * row by row. When all that both say is about indexes, the tables are whole, and what differs is made anew from them.
 */
async function structureFindings(subject: string, query: CheckedDatabase['query']): Promise<CheckFinding[]> {
  const problems = textsOf(await query('PRAGMA integrity_check'), 'integrity_check')
  if (problems.length === 0) return []
  const indexes = new Set<string>()
  const searches = new Set<string>()
  const others: string[] = []
  for (const problem of problems) {
    const index = INDEX_PROBLEM.exec(problem)?.[1]
    const search = SEARCH_PROBLEM.exec(problem)
    if (index !== undefined) indexes.add(index)
    else if (search !== null) searches.add((search[1] ?? search[2]) as string)
    else others.push(problem)
  }
  const quick = textsOf(await query('PRAGMA quick_check'), 'quick_check')
  const repairable =
    others.length === 0 && quick.every((problem) => INDEX_PROBLEM.test(problem) || SEARCH_PROBLEM.test(problem))
  const remedy = repairable ? 'holdfast check --repair builds it anew from its table.' : RESTORE
  return [
    ...others.map((problem) => finding('STRUCTURE_DAMAGED', subject, `structure is damaged: ${problem}`)),
    ...[...indexes].map((name) => ({
      ...finding('INDEX_DAMAGED', `${subject}: ${name}`, 'an index does not hold what its table does', remedy),
      repairable,
    })),
    ...[...searches].map((name) => ({
      ...finding('SEARCH_INDEX_DAMAGED', `${subject}: ${name}`, 'a full-text index does not hold its texts', remedy),
      repairable,
    })),
  ]
}

function textsOf(rows: readonly Row[], column: string): string[] {
  return rows.map((row) => String(row[column])).filter((text) => text !== 'ok')
}

function finding(code: CheckFinding['code'], subject: string, problem: string, remedy = RESTORE): CheckFinding {
  return { code, severity: 'error', subject, problem, remedy, repairable: false }
}
