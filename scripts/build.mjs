/**
 * Builds the package into dist/. The client is compiled file by file. The worker becomes one bundled file with what it
 * uses of zod, because each open starts a worker: resolving forty modules and all of zod there took some 100 ms.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

rmSync('dist', { recursive: true, force: true })
execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })

for (const room of ['worker', 'crypto']) rmSync(`dist/${room}`, { recursive: true, force: true })
/** zod's root names the messages of fifty languages, a third of the bundle; its own default is English. */
const onlyEnglish = {
  name: 'only-english',
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js"',
    }))
  },
}

await build({
  entryPoints: ['src/worker/entry.ts'],
  outfile: 'dist/worker/entry.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['@aws-sdk/client-s3', '@journeyapps/sqlcipher', 'argon2', 'comlink'],
  // Names stay, for whoever reads a stack.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'eof',
  plugins: [onlyEnglish],
  logLevel: 'warning',
})
chmodSync('dist/cli/main.js', 0o755)
