/** What can be verified of a store while it is open: page MACs, structure, foreign keys, modes of the files. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckFinding } from '../protocol/methods.ts'
import type { Row } from './driver.ts'
import type { FileBackend } from './file-backend.ts'
import { DIRECTORY_MODE, FILE_MODE } from './store-files.ts'

const PERMISSION_BITS = 0o777

export async function integrityFindings(dir: string, files: readonly FileBackend[]): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = []
  for (const file of files) findings.push(...(await databaseFindings(file)))
  findings.push(...(await modeFindings(dir)))
  return findings
}

async function databaseFindings({ file, readers }: FileBackend): Promise<CheckFinding[]> {
  const subject = `${file}.db`
  const remedy = 'Stop using the store, keep its directory aside and restore a copy.'
  const pages = await readers.query('PRAGMA cipher_integrity_check', [])
  // What is behind a page that can't be decrypted can't be looked at.
  const canRead = pages.length === 0
  const structure = canRead ? await readers.query('PRAGMA integrity_check', []) : []
  const references = canRead ? await readers.query('PRAGMA foreign_key_check', []) : []
  return [
    ...pages.map((row) => ({
      severity: 'error' as const,
      subject,
      problem: `page authentication failed: ${String(row.cipher_integrity_check)}`,
      remedy,
    })),
    ...structure.filter(isProblem).map((row) => ({
      severity: 'error' as const,
      subject,
      problem: `structure is damaged: ${String(row.integrity_check)}`,
      remedy,
    })),
    ...references.map((row) => ({
      severity: 'error' as const,
      subject,
      problem: `a row of "${String(row.table)}" refers to a document missing from "${String(row.parent)}"`,
      remedy: 'Find how it was written; write the missing document or delete the row.',
    })),
  ]
}

function isProblem(row: Row): boolean {
  return row.integrity_check !== 'ok'
}

async function modeFindings(dir: string): Promise<CheckFinding[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(dir, entry.name))
  const findings: CheckFinding[] = []
  for (const path of [dir, ...paths]) {
    const wanted = path === dir ? DIRECTORY_MODE : FILE_MODE
    const mode = (await stat(path)).mode & PERMISSION_BITS
    if ((mode & ~wanted) !== 0) {
      findings.push({
        severity: 'warning',
        subject: path,
        problem: `mode is ${mode.toString(8).padStart(4, '0')}: others may read or write it`,
        remedy: `chmod ${wanted.toString(8)} ${path}`,
      })
    }
  }
  return findings
}
