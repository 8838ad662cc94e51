/** Every file below a directory with a hash of its bytes and its mode: equal exactly when nothing has changed. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export function directoryHashes(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()
  const hashes: Record<string, string> = {}
  for (const name of ['.', ...names]) {
    const path = join(dir, name)
    const found = lstatSync(path)
    const mode = (found.mode & 0o7777).toString(8)
    const hash = found.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'directory'
    hashes[name] = `${mode} ${hash}`
  }
  return hashes
}
