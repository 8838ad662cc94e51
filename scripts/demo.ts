/**
 * `npm run demo`: compiles the demo and runs it. It starts eight processes and as many workers, one after the other and
 * some of them at once; each of them compiling its sources anew took most of the time.
 */
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compiledPrograms } from './compiled-programs.ts'

const source = (path: string) => fileURLToPath(new URL(`demo/${path}`, import.meta.url))

const compiledDir = await compiledPrograms({
  name: 'holdfast-demo',
  programs: {
    main: source('main.ts'),
    'bot-process': source('bot/bot-process.ts'),
    'exchange-process': source('exchange/exchange-process.ts'),
    'idle-process': source('run/idle-process.ts'),
  },
})
const { main } = (await import(pathToFileURL(join(compiledDir, 'main.js')).href)) as typeof import('./demo/main.ts')
process.exitCode = await main(process.argv.slice(2), source('data'))
