/**
 * What a newcomer sees first: `npm run demo`. A paper-trading bot is killed in the middle of its work, three times, at
 * the worst of moments, and ends exactly where one ends that was left alone.
 */
import { DEMO_PASSWORD } from './bot/demo-store.ts'
import { readOptions, USAGE } from './options.ts'
import { memoryLines } from './render/memory-view.ts'
import { ProgressView } from './render/progress-view.ts'
import { seconds } from './render/quantities.ts'
import { checksTable, figuresTable, killsTable, searchNote } from './render/result-tables.ts'
import { Screen } from './render/screen.ts'
import type { DemoResult } from './run/demo-result.ts'
import { runDemo } from './run/run-demo.ts'

const FAILED = 1
const WRONG_USAGE = 2

/** Returns the exit code. `dataDir` is where the recorded market data is. */
export async function main(args: readonly string[], dataDir: string): Promise<number> {
  let options: ReturnType<typeof readOptions>
  try {
    options = readOptions(args)
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`)
    return WRONG_USAGE
  }
  if (options === null) {
    process.stdout.write(USAGE)
    return 0
  }
  const screen = new Screen(options.isJson ? process.stderr : process.stdout)
  introduce(screen)
  try {
    const result = await runDemo(options, dataDir, new ProgressView(screen).listener())
    show(result, screen)
    if (options.isJson) process.stdout.write(`${JSON.stringify(result)}\n`)
    return result.isPassed ? 0 : FAILED
  } catch (error) {
    screen.draw([])
    screen.print(`\n${screen.style('red', 'The demo could not be finished.')} ${messageOf(error)}`)
    return FAILED
  }
}

function introduce(screen: Screen): void {
  screen.print(`
${screen.style('bold', 'Holdfast')}: state that survives its process, and is never on the disk in clear

Two paper-trading bots work through the same recorded market, each against a
simulated exchange in a process of its own. One is left alone. The other is
killed with SIGKILL when the exchange has carried out a request and the answer
is not in yet. In the end both have to hold exactly the same.
`)
}

function show(result: DemoResult, screen: Screen): void {
  screen.print(`\n${figuresTable(result, screen)}`)
  screen.print('¹ As last reported: up to 0.1 s of a killed process is not counted.\n')
  if (result.kills.length > 0) screen.print(`${killsTable(result, screen)}\n`)
  screen.print(`${memoryLines(result.memory, screen).join('\n')}\n`)
  screen.print(checksTable(result, screen))
  screen.print(searchNote(result))
  const failed = result.checks.filter((check) => !check.isPassed)
  screen.print(
    failed.length === 0
      ? `\n${screen.style('green', `All checks passed, in ${seconds(result.seconds)}.`)}`
      : `\n${screen.style('red', `Failed: ${failed.map((check) => check.title).join('; ')}.`)}`,
  )
  screen.print(`
The store stays in ${result.dir}. Its password is no secret. Have a look:

  export HOLDFAST_PASSWORD=${DEMO_PASSWORD}
  alias holdfast='npx tsx src/cli/main.ts'
  holdfast status --dir ${result.dir}
  holdfast list trades --limit 5 --dir ${result.dir}
  holdfast bars resample BTC-PERP 1m 4h --plot --dir ${result.dir}
  holdfast artifact list --dir ${result.dir}
  holdfast sql 'select state, count(*) n from orders group by 1' --dir ${result.dir}
`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
