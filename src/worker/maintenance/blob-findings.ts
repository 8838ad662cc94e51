/** Sealed files against the rows that name them: what is missing, what is damaged, what is there for nobody. */
import { basename } from 'node:path'
import type { BlobCheck, CheckFinding } from '../../protocol/check-finding.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'

const NAMED_VERSIONS = 3

export async function blobFindings(artifacts: ArtifactStore, how: BlobCheck): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = []
  for (const { file, problem, versions } of await artifacts.damagedFiles(how)) {
    const named = versions.slice(0, NAMED_VERSIONS).map(({ name, version }) => `${name} version ${version}`)
    const others = versions.length - named.length
    const of = `${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`
    findings.push({
      code: problem === 'missing' ? 'BLOB_MISSING' : 'BLOB_DAMAGED',
      severity: 'error',
      subject: file,
      problem: `a chunk of ${of || 'a put that was broken off'} is ${problem}`,
      remedy: `Copy ${basename(file)} from a backup to its place; or run holdfast artifact verify, and put the same content again. Check the disk.`,
      repairable: false,
    })
  }
  for (const file of await artifacts.unreferencedFiles()) {
    findings.push({
      code: 'BLOB_UNREFERENCED',
      severity: 'warning',
      subject: file,
      problem: 'no artifact has this file; a crash or a put that was broken off left it, and nobody can open it',
      remedy: 'holdfast artifact gc removes it, and so does the next maintenance.',
      repairable: false,
    })
  }
  return findings
}
