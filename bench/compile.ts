/**
 * Turns the harness into plain JavaScript for the measured processes. Under tsx they would carry a loader, whose thread
 * competes for the cores and which every worker they start would load again: some 100 ms in each time to open.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { REAL_BARS_FILE } from './real-bars.ts'

/** Returns the path of the compiled `measured-process.js`. */
export function compile(benchDir: string, runDir: string): string {
  const outputDir = join(runDir, 'bench')
  copyPackage(dirname(benchDir), runDir)
  for (const name of readdirSync(benchDir, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('node_modules') || name.startsWith('.')) continue
    const { outputText } = ts.transpileModule(readFileSync(join(benchDir, name), 'utf8'), {
      fileName: name,
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    })
    const path = join(outputDir, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, outputText)
  }
  return join(outputDir, 'measured-process.js')
}

/**
 * What of the project is published, put where `../../dist` leads to from a contender. A copy, so that a build meanwhile
 * can't change what is being measured.
 */
function copyPackage(projectDir: string, runDir: string): void {
  for (const name of ['package.json', 'dist', 'migrations', REAL_BARS_FILE]) {
    const path = join(projectDir, name)
    if (existsSync(path)) cpSync(path, join(runDir, name), { recursive: true })
  }
}
