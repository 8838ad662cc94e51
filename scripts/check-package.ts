/**
 * Packs the package as it would be published, checks what is in it, installs it into an empty project and uses it there:
 * as an ES module, through `require()`, through its types, and by its command.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const project = mkdtempSync(join(tmpdir(), 'holdfast-package-'))
const PASSWORD = 'package check, not a secret'

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`package check failed: ${what}`)
  console.log(`ok  ${what}`)
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

try {
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], root),
  ) as Packed[]
  if (packed === undefined) throw new Error('npm pack made nothing')
  const paths = packed.files.map((file) => file.path)
  const allowed = /^(dist\/.+\.(js|d\.ts)|migrations\/.+\.sql|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/
  const strangers = paths.filter((path) => !allowed.test(path))
  check(strangers.length === 0, `only built files are packed (${paths.length})${strangers.map((path) => ` ${path}`)}`)
  for (const path of ['dist/index.js', 'dist/index.d.ts', 'dist/worker/entry.js', 'dist/cli/main.js', 'LICENSE']) {
    check(paths.includes(path), `${path} is packed`)
  }

  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`)
  run('npm', ['install', '--no-audit', '--no-fund', join(project, packed.filename), ...tools], project)

  const use = `
const store = await openStore({ dir: process.argv[2], password: '${PASSWORD}' })
await store.kv.set('answer', { is: 42 })
await store.close()
const again = await openStore({ dir: process.argv[2], password: '${PASSWORD}' })
console.log(JSON.stringify(again.kv.value('answer')))
await again.close()
`
  writeFileSync(join(project, 'use.mjs'), `import { openStore } from 'holdfast'\n${use}`)
  check(run('node', ['use.mjs', 'state-esm'], project).trim() === '{"is":42}', 'works as an ES module')
  writeFileSync(join(project, 'use.cjs'), `const { openStore } = require('holdfast')\nvoid (async () => {${use}})()`)
  check(
    run('node', ['--no-warnings', 'use.cjs', 'state-cjs'], project).trim() === '{"is":42}',
    'works through require()',
  )

  writeFileSync(
    join(project, 'types.ts'),
    `import { defineCollection, openStore, z } from 'holdfast'
const watchlist = defineCollection({
  name: 'watchlist', key: 'symbol', schema: z.object({ symbol: z.string(), tag: z.string() }), indexes: ['tag'], hot: true,
})
const store = await openStore({ dir: './state', collections: { watchlist } })
const tag: string | undefined = store.watchlist.get('BTC')?.tag
const price: string | number | undefined = store.positions.get('BTC-1')?.entryPrice
// @ts-expect-error a position has no such field
store.positions.get('BTC-1')?.nothing
export { price, tag }
`,
  )
  const strict = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck', 'types.ts']
  run(join(project, 'node_modules/.bin/tsc'), strict, project)
  check(true, 'its types check in a strict project')

  const command = join(project, 'node_modules/.bin/holdfast')
  const status = run(command, ['status', '--json', '--dir', 'state-esm'], project, { HOLDFAST_PASSWORD: PASSWORD })
  check(typeof (JSON.parse(status) as { storeId?: unknown }).storeId === 'string', 'its command works')
} finally {
  rmSync(project, { recursive: true, force: true })
}
