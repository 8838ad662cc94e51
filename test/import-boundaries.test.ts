/** The rooms of the house (DESIGN.md): who may import whom. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const SRC = resolve(import.meta.dirname, '../src')

interface Import {
  /** Inside src: the path from there. Otherwise the package, or `node:` for any of Node's own. */
  readonly target: string
  readonly isReExport: boolean
  /** Gone once compiled. */
  readonly isTypeOnly: boolean
}

/** What each room may import beside itself: rooms, single files of others, packages. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  schema: ['zod', 'protocol/store-error.ts'],
  protocol: ['schema'],
  client: ['schema', 'protocol', 'zod', 'comlink', 'node:'],
  worker: ['schema', 'protocol', 'crypto', 'zod', 'comlink', '@journeyapps/sqlcipher', 'node:'],
  crypto: ['node:', 'argon2', 'zod', 'protocol/store-error.ts'],
  cli: ['index.ts', 'node:', 'zod', 'commander', 'cli-table3'],
  'index.ts': ['client', 'schema', 'protocol', 'zod'],
}

/** Exceptions, each with its reason. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  // Comlink's adapter for Node's ports is wrapped in this one place.
  'protocol/node-endpoint.ts': ['comlink', 'node:'],
  // The type of the port that blocking requests are answered on.
  'protocol/worker-boot.ts': ['node:'],
  // Optional, and loaded by nobody else.
  'client/tracing.ts': ['@opentelemetry/api'],
  // Optional, and loaded when Arrow is first asked for.
  'client/series/formats/apache-arrow.ts': ['apache-arrow'],
  'client/series/formats/arrow-series.ts': ['apache-arrow'],
  // Optional, and loaded when Parquet is first asked for.
  'client/series/formats/hyparquet.ts': ['hyparquet', 'hyparquet-writer', 'hyparquet-compressors'],
  'client/series/formats/read-parquet.ts': ['hyparquet'],
  // Starts the TypeScript sources; not part of the package.
  'worker/start-from-source.mjs': ['tsx'],
  // An optional package, loaded when the first bucket is opened.
  'worker/backup/s3-bucket.ts': ['@aws-sdk/client-s3'],
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.m?[jt]s$/.test(path))
  .sort()
const importsOf = new Map(files.map((file) => [file, parseImports(file)]))

function parseImports(file: string): Import[] {
  const path = join(SRC, file)
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, kind: { isReExport?: boolean; isTypeOnly?: boolean }) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    found.push({ target: targetOf(path, specifier.text), isReExport: false, isTypeOnly: false, ...kind })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, { isTypeOnly: importsTypesOnly(node.importClause) })
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, { isReExport: true, isTypeOnly: node.isTypeOnly })
    else if (ts.isCallExpression(node) && isLoad(node.expression)) add(node.arguments[0], {})
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, { isTypeOnly: true })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function importsTypesOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const { name, namedBindings } = clause
  return (
    name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((element) => element.isTypeOnly)
  )
}

function isLoad(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
}

function targetOf(importer: string, specifier: string): string {
  if (specifier.startsWith('.')) return relative(SRC, resolve(dirname(importer), specifier))
  if (specifier.startsWith('node:')) return 'node:'
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] as string)
}

function roomOf(file: string): string {
  return file.split('/')[0] as string
}

function isAllowed(file: string, target: string): boolean {
  const allowed = [roomOf(file), ...(ROOMS[roomOf(file)] ?? []), ...(EXCEPTIONS[file] ?? [])]
  return allowed.some((each) => target === each || target.startsWith(`${each}/`))
}

describe('every module imports only what its room may', () => {
  test('every file under src stands in a known room', () => {
    expect(files.filter((file) => ROOMS[roomOf(file)] === undefined)).toEqual([])
  })

  test.each(files)('%s', (file) => {
    const strangers = (importsOf.get(file) as Import[]).map(({ target }) => target)
    expect(strangers.filter((target) => !isAllowed(file, target))).toEqual([])
  })

  test.each(['client', 'worker'])('nothing in %s reaches into the other side of the thread boundary', (room) => {
    const forbidden = room === 'client' ? ['worker', 'crypto', '@journeyapps', 'argon2'] : ['client', 'index.ts', 'cli']
    const offenders = files
      .filter((file) => roomOf(file) === room)
      .flatMap((file) => (importsOf.get(file) as Import[]).map(({ target }) => `${file} → ${target}`))
      .filter((line) => forbidden.some((each) => line.split(' → ')[1]?.startsWith(each)))
    expect(offenders).toEqual([])
  })
})

test('a bare Node module is imported with its node: prefix', () => {
  const builtIns = new Set([
    'fs',
    'path',
    'os',
    'crypto',
    'url',
    'util',
    'events',
    'worker_threads',
    'process',
    'timers',
  ])
  const bare = files.filter((file) => (importsOf.get(file) as Import[]).some(({ target }) => builtIns.has(target)))
  expect(bare).toEqual([])
})

test('relative imports name a file that exists, with its extension', () => {
  const known = new Set(files)
  const missing = files.flatMap((file) =>
    (importsOf.get(file) as Import[])
      .filter(({ target }) => ROOMS[roomOf(target)] !== undefined && !known.has(target))
      .map(({ target }) => `${file} → ${target}`),
  )
  expect(missing).toEqual([])
})

test('no module needs itself, through others, when it is loaded', () => {
  const done = new Set<string>()
  const cycles: string[] = []
  const walk = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) cycles.push([...path.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const { target, isTypeOnly } of importsOf.get(file) ?? []) if (!isTypeOnly) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of files) walk(file, [])
  expect(cycles).toEqual([])
})

test('only what the package exports gives out what other modules define', () => {
  const entries = new Set(packageEntries())
  const barrels = files.filter(
    (file) => !entries.has(file) && (importsOf.get(file) as Import[]).some(({ isReExport }) => isReExport),
  )
  expect(barrels).toEqual([])
})

test.each(packageEntries())('%s names each thing it exports', (entry) => {
  expect(readFileSync(join(SRC, entry), 'utf8')).not.toMatch(/export\s+\*/)
})

/** The sources behind `exports` in package.json. */
function packageEntries(): string[] {
  const manifest = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8')) as {
    exports: Record<string, string | { default: string }>
  }
  return Object.values(manifest.exports)
    .flatMap((target) => (typeof target === 'string' ? [] : [target.default]))
    .map((target) => target.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts'))
}

test("what the worker loads imports zod as a namespace, so that the bundle leaves out what it doesn't use", () => {
  const wholesale = files
    .filter((file) => ['schema', 'protocol', 'crypto', 'worker'].includes(roomOf(file)))
    .filter((file) => /^import (?!type|\* as z ).*from 'zod'/m.test(readFileSync(join(SRC, file), 'utf8')))
  expect(wholesale).toEqual([])
})

test('the worker is named by its URL alone, in one place', () => {
  const mentions = files.filter(
    (file) => roomOf(file) === 'client' && /['"`][^'"`]*\/worker\//.test(readFileSync(join(SRC, file), 'utf8')),
  )
  expect(mentions).toEqual(['client/worker-entry-url.ts'])
})
