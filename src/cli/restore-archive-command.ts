import { type Command, Option } from 'commander'
import { restoreArchive, StoreError } from '../index.ts'
import { EXIT } from './exit-codes.ts'
import { findPassword } from './password.ts'
import type { Session } from './session.ts'
import { wholeNumber } from './whole-number.ts'

interface RestoreCommandOptions {
  readonly from: string
  readonly at?: string
  readonly sequence?: number
}

export function addRestoreArchiveCommand(program: Command, session: () => Session): void {
  program
    .command('restore-archive')
    .description('bring back any moment from an archive into --dir, which must be new or empty')
    .requiredOption('--from <archive>', 'the archive: archive.dir of the store')
    .option('--at <time>', 'the last commit at this time or before: 2026-11-21T10:15:00Z')
    .addOption(
      new Option('--sequence <number>', 'the last commit of this batch').argParser(wholeNumber).conflicts('at'),
    )
    .addHelpText('after', `\nExits with ${EXIT.corrupt} when it could not go as far as asked; it says why.`)
    .action(async (options: RestoreCommandOptions) => {
      process.exitCode = await restore(session(), options)
    })
}

async function restore(session: Session, { from, at, sequence }: RestoreCommandOptions): Promise<number> {
  const { terminal, options } = session
  const time = at === undefined ? undefined : timeOf(at)
  const password = await findPassword(session, 'open')
  try {
    const restored = await restoreArchive({ from, dir: options.dir, password, at: time, sequence })
    if (terminal.isJson) {
      await terminal.writeJson({ dir: options.dir, ...restored })
    } else {
      const moment = new Date(restored.timeMs).toISOString()
      await terminal.writeLine(
        `Restored ${options.dir} as of ${moment}, sequence ${restored.sequence ?? 'unknown'}. The archive reaches to ${new Date(restored.archivedUntilMs).toISOString()}.`,
      )
      for (const problem of restored.problems) terminal.warn(problem)
    }
    return restored.isComplete ? EXIT.ok : EXIT.corrupt
  } finally {
    password?.fill(0)
  }
}

/** A time without a zone would mean another moment on another machine. */
function timeOf(text: string): Date {
  const time = new Date(text)
  if (/(?:Z|[+-]\d\d:?\d\d)$/.test(text) && !Number.isNaN(time.getTime())) return time
  throw new StoreError('INVALID_ARGUMENT', '--at takes a time with its zone, such as 2026-11-21T10:15:00Z.')
}
