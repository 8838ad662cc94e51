import { type Command, Option } from 'commander'
import { followArchive, type StandbyStatus } from '../index.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'
import { wholeNumber } from './whole-number.ts'

interface StandbyCommandOptions {
  readonly from: string
  readonly pollMs: number
  readonly once?: boolean
}

const SHOW_EVERY_MS = 1_000
const ONCE_TIMEOUT_MS = 24 * 3_600_000

export function addStandbyCommand(program: Command, session: () => Session): void {
  program
    .command('standby')
    .description('follow an archive into --dir, without any key, until interrupted; opening the directory promotes it')
    .requiredOption('--from <archive>', 'the archive: archive.dir of the store that is followed')
    .addOption(new Option('--poll-ms <ms>', 'how often to look').argParser(wholeNumber).default(1_000))
    .option('--once', 'end when it has everything the archive holds')
    .action(async (options: StandbyCommandOptions) => await follow(session(), options))
}

async function follow({ options, terminal, interruption }: Session, given: StandbyCommandOptions): Promise<void> {
  const standby = await followArchive({ from: given.from, dir: options.dir, pollMs: given.pollMs })
  const forget = interruption.beforeEnd(() => standby.close())
  try {
    if (given.once === true) {
      await show(await standby.caughtUp(ONCE_TIMEOUT_MS), terminal)
      return
    }
    let shown = ''
    for (;;) {
      const status = await standby.status()
      const text = JSON.stringify(status)
      if (text !== shown) await show(status, terminal)
      shown = text
      await new Promise((resume) => setTimeout(resume, SHOW_EVERY_MS))
    }
  } finally {
    await standby.close()
    forget()
  }
}

async function show(status: StandbyStatus, terminal: Terminal): Promise<void> {
  if (terminal.isJson) {
    await terminal.writeJson(status)
    return
  }
  const { isReady, isCaughtUp, segments, sequence, timeMs, lastError } = status
  if (lastError !== null) terminal.warn(lastError.message)
  const how = isCaughtUp ? 'caught up' : isReady ? 'following' : 'copying the base'
  const at = timeMs === null ? '' : `, as of ${new Date(timeMs).toISOString()}, sequence ${sequence ?? 'unknown'}`
  await terminal.writeLine(`${how}: ${segments} segments${at}`)
}
