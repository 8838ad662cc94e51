import { setTimeout as delay } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { Store } from '../index.ts'
import { durationMs } from './duration.ts'
import { LiveScreen } from './live-screen.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { topFrame } from './top-frame.ts'
import { topScreen } from './top-screen.ts'

const DEFAULT_INTERVAL_MS = 2_000
const MIN_INTERVAL_MS = 100

interface TopCommandOptions {
  readonly once?: boolean
  readonly interval?: number
  readonly metrics?: URL
}

export function addTopCommand(program: Command, session: () => Session): void {
  program
    .command('top')
    .description('watch a store beside its owner: sizes, log, growth, owner, audit trail, backup; q ends it')
    .option('--once', 'one frame; so it is where the output is no terminal')
    .option('--interval <duration>', 'from one frame to the next (default: 2s)', intervalMs)
    .option(
      '--metrics <url>',
      'where the owner serves its metrics, for what it alone knows: queue, rates, archive',
      httpUrl,
    )
    .addHelpText('after', '\nWith --json each frame is a line of JSON, one after the other unless --once is given.')
    .action(async (options: TopCommandOptions) => await top(session(), options))
}

async function top(session: Session, options: TopCommandOptions): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    if (terminal.isJson) await writeFrames(session, store, options)
    else if (options.once === true || !terminal.isTerminal) await writeOnce(session, store, options)
    else await watch(session, store, options)
  })
}

async function writeFrames({ terminal }: Session, store: Store, options: TopCommandOptions): Promise<void> {
  let frame = await topFrame(store, options.metrics)
  await terminal.writeJson(frame)
  while (options.once !== true) {
    await delay(options.interval ?? DEFAULT_INTERVAL_MS)
    frame = await topFrame(store, options.metrics, frame)
    await terminal.writeJson(frame)
  }
}

async function writeOnce({ terminal }: Session, store: Store, { metrics }: TopCommandOptions): Promise<void> {
  const columns = terminal.width ?? Number.POSITIVE_INFINITY
  const lines = topScreen(await topFrame(store, metrics), { columns, rows: Number.POSITIVE_INFINITY }, (style, text) =>
    terminal.style(style, text),
  )
  await terminal.writeLine(lines.join('\n'))
}

async function watch({ terminal, interruption }: Session, store: Store, options: TopCommandOptions): Promise<void> {
  const screen = new LiveScreen()
  const forget = interruption.beforeEnd(() => screen.close())
  let frame = await topFrame(store, options.metrics)
  screen.open()
  try {
    for (;;) {
      screen.draw(topScreen(frame, screen.window, (style, text) => terminal.style(style, text)))
      const event = await screen.next(options.interval ?? DEFAULT_INTERVAL_MS)
      if (event === 'quit') return
      if (event === 'timeout') frame = await topFrame(store, options.metrics, frame)
    }
  } finally {
    screen.close()
    forget()
  }
}

function intervalMs(text: string): number {
  const ms = durationMs(text)
  if (ms >= MIN_INTERVAL_MS) return ms
  throw new InvalidArgumentError('Give 0.1s at least.')
}

/** The path is that of `serveMetrics` unless another one is given. */
function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError('Give a URL such as http://127.0.0.1:9477.')
  }
  if (url.pathname === '/') url.pathname = '/metrics'
  return url
}
