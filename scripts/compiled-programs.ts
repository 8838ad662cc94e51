/**
 * The store as its package ships it, compiled, together with programs that use it. Where many processes are started, one
 * that compiles its sources first takes several times as long, and so does each worker it starts.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const projectDir = fileURLToPath(new URL('../', import.meta.url))
/** Native, or not to be had as one file. */
const EXTERNAL = ['@journeyapps/sqlcipher', 'argon2', 'comlink', 'cli-table3']
const HOUR_MS = 3_600_000

export interface ProgramSources {
  /** Of its cache below `node_modules/.cache`. */
  readonly name: string
  /** Entry points by the name of the program. */
  readonly programs: Readonly<Record<string, string>>
}

/**
 * Returns the folder the compiled programs are in, as `<name>.js`. Beside them are the worker and the migrations, where
 * a client looks for them, as in the package. What has not changed is not written again.
 */
export /** What has to be there, by its path, migrations included. */
async function compiledPrograms({ name, programs }: ProgramSources): Promise<string> {
  const cacheDir = join(projectDir, 'node_modules/.cache', name)
  const files = await compile(programs, cacheDir)
  const hash = createHash('sha256')
  for (const [path, contents] of files) hash.update(path).update(contents)
  const target = join(cacheDir, hash.digest('hex').slice(0, 16))
  if (!existsSync(target)) publish(files, target)
  return join(target, 'dist/client')
}

/** What has to be there, by its path, migrations included. */
async function compile(programs: ProgramSources['programs'], outdir: string): Promise<Map<string, Uint8Array>> {
  const entryPoints: Record<string, string> = { 'dist/worker/entry': join(projectDir, 'src/worker/entry.ts') }
  for (const [name, path] of Object.entries(programs)) entryPoints[`dist/client/${name}`] = path
  const { outputFiles } = await build({
    entryPoints,
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: EXTERNAL,
    logLevel: 'warning',
    write: false,
  })
  const files = new Map(outputFiles.map(({ path, contents }) => [relative(outdir, path), contents]))
  for (const migration of readdirSync(join(projectDir, 'migrations'), { recursive: true, encoding: 'utf8' })) {
    const path = join('migrations', migration)
    if (path.endsWith('.sql')) files.set(path, readFileSync(join(projectDir, path)))
  }
  return files
}

/** Other processes may be doing the same. */
function publish(files: ReadonlyMap<string, Uint8Array>, target: string): void {
  const staging = `${target}.${process.pid}`
  for (const [path, contents] of files) {
    mkdirSync(dirname(join(staging, path)), { recursive: true })
    writeFileSync(join(staging, path), contents)
  }
  writeFileSync(join(staging, 'package.json'), '{ "type": "module" }')
  discardOld(dirname(target))
  try {
    renameSync(staging, target)
  } catch (error) {
    rmSync(staging, { recursive: true, force: true })
    if (!existsSync(target)) throw error
  }
}

function discardOld(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name)
    if (Date.now() - statSync(path).mtimeMs > 12 * HOUR_MS) rmSync(path, { recursive: true, force: true })
  }
}
