/**
 * Reads a folder of numbered SQL files: `0001_collections.sql`, `0002_indexes.sql`, … without gaps. Synchronously: nothing
 * else is at work in the worker while it opens, and each of a dozen small files took a millisecond in hand-overs.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../protocol/store-error.ts'
import { statementKeywords } from './sql-statements.ts'

export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file, line ends normalised. */
  readonly checksum: string
}

const FILE_PATTERN = /^(\d{4})_([a-z0-9][a-z0-9_-]*)\.sql$/

/**
 * Statements that would break out of the transaction a migration runs in, or reach beyond the database. EXPLAIN among
 * them: a PRAGMA takes effect when it is compiled, also behind EXPLAIN (https://sqlite.org/pragma.html).
 */
const FORBIDDEN = new Set([
  'BEGIN',
  'COMMIT',
  'END',
  'ROLLBACK',
  'SAVEPOINT',
  'RELEASE',
  'ATTACH',
  'DETACH',
  'VACUUM',
  'PRAGMA',
  'EXPLAIN',
])

/** @throws StoreError `MIGRATION_INVALID` for a missing folder, a bad name, a gap, a duplicate or a forbidden statement. */
export async function readMigrations(dir: string): Promise<Migration[]> {
  const names = listSqlFiles(dir)
  const migrations: Migration[] = []
  for (const [index, file] of names.entries()) {
    const match = FILE_PATTERN.exec(file)
    if (match === null) throw invalid(file, 'must be named like 0001_what_it_does.sql')
    const number = Number(match[1])
    if (number !== index + 1)
      throw invalid(file, `should have number ${index + 1}: numbers start at 0001 and have no gaps`)
    const sql = readFileSync(join(dir, file), 'utf8').replaceAll('\r\n', '\n')
    const forbidden = statementKeywords(sql).find((keyword) => FORBIDDEN.has(keyword))
    if (forbidden !== undefined)
      throw invalid(file, `contains ${forbidden}, but a migration runs inside one transaction`)
    migrations.push({ number, name: file.slice(0, -4), sql, checksum: createHash('sha256').update(sql).digest('hex') })
  }
  return migrations
}

function listSqlFiles(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((file) => file.endsWith('.sql'))
      .sort()
  } catch (cause) {
    throw new StoreError('MIGRATION_INVALID', `The migrations folder ${dir} can't be read. Check the path.`, {
      details: { dir },
      cause,
    })
  }
}

function invalid(file: string, reason: string): StoreError {
  return new StoreError('MIGRATION_INVALID', `Migration ${file} ${reason}.`, { details: { file } })
}
