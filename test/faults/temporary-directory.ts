/** A directory for one test, removed when it passes and kept, with its path printed, when it fails. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFailed, onTestFinished } from 'vitest'

export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-fault-'))
  let failed = false
  onTestFailed(() => {
    failed = true
    console.error(`Left behind for inspection: ${dir}`)
  })
  onTestFinished(() => {
    if (!failed) rmSync(dir, { recursive: true, force: true })
  })
  return dir
}
