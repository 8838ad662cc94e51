/**
 * The store as its package ships it, compiled, together with the programs of this folder. A fault run starts hundreds
 * of processes, and one that compiles its sources first takes three times as long.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const projectDir = fileURLToPath(new URL('../../', import.meta.url))
const cacheDir = join(projectDir, 'node_modules/.cache/holdfast-faults')
const programsDir = join(projectDir, 'test/faults/programs')
const HOUR_MS = 3_600_000

/** Compiled files by their path. A client looks for its worker and its migrations beside itself, as in the package. */
async function compile(): Promise<Map<string, Uint8Array>> {
  const programs = readdirSync(programsDir).filter((name) => name.endsWith('.ts'))
  const { outputFiles } = await build({
    entryPoints: {
      'dist/client/index': join(projectDir, 'src/index.ts'),
      'dist/worker/entry': join(projectDir, 'src/worker/entry.ts'),
      ...Object.fromEntries(programs.map((name) => [`dist/client/${name.slice(0, -3)}`, join(programsDir, name)])),
    },
    outdir: cacheDir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['@journeyapps/sqlcipher', 'argon2', 'comlink'],
    logLevel: 'warning',
    write: false,
  })
  return new Map(outputFiles.map(({ path, contents }) => [relative(cacheDir, path), contents]))
}

/** Other test processes may be doing the same. */
async function publish(): Promise<string> {
  const files = await compile()
  const hash = createHash('sha256')
  for (const [path, contents] of files) hash.update(path).update(contents)
  const target = join(cacheDir, hash.digest('hex').slice(0, 16))
  if (existsSync(target)) return target
  const staging = `${target}.${process.pid}`
  for (const [path, contents] of files) {
    mkdirSync(dirname(join(staging, path)), { recursive: true })
    writeFileSync(join(staging, path), contents)
  }
  writeFileSync(join(staging, 'package.json'), '{ "type": "module" }')
  cpSync(join(projectDir, 'migrations'), join(staging, 'migrations'), { recursive: true })
  discardOld()
  try {
    renameSync(staging, target)
  } catch (error) {
    rmSync(staging, { recursive: true, force: true })
    if (!existsSync(target)) throw error
  }
  return target
}

function discardOld(): void {
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name)
    if (Date.now() - statSync(path).mtimeMs > 12 * HOUR_MS) rmSync(path, { recursive: true, force: true })
  }
}

const clientDir = join(await publish(), 'dist/client')

/** The compiled program of this folder, such as `writer`. */
export function programPath(name: string): string {
  return join(clientDir, `${name}.js`)
}

const compiled = (await import(pathToFileURL(join(clientDir, 'index.js')).href)) as typeof import('../../src/index.ts')

export const { openStore, isStoreError } = compiled
