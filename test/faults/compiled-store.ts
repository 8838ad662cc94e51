/** The store as its package ships it, and the programs of this folder, compiled: a fault run starts hundreds of them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compiledPrograms } from '../../scripts/compiled-programs.ts'

const programsDir = fileURLToPath(new URL('programs', import.meta.url))
const programs = readdirSync(programsDir).filter((name) => name.endsWith('.ts'))

const compiledDir = await compiledPrograms({
  name: 'holdfast-faults',
  programs: {
    index: fileURLToPath(new URL('../../src/index.ts', import.meta.url)),
    ...Object.fromEntries(programs.map((name) => [name.slice(0, -3), join(programsDir, name)])),
  },
})

/** The compiled program of this folder, such as `writer`. */
export function programPath(name: string): string {
  return join(compiledDir, `${name}.js`)
}

const compiled = (await import(
  pathToFileURL(join(compiledDir, 'index.js')).href
)) as typeof import('../../src/index.ts')

export const { openStore, openKeyring, isStoreError, restoreArchive, followArchive } = compiled
export const { listBackups, restoreStore, verifyBackup } = compiled
