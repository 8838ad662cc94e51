import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function listFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

export function folderBytes(dir: string): number {
  return listFiles(dir).reduce((sum, path) => sum + statSync(path).size, 0)
}
