import { userInfo } from 'node:os'
import { type Command, Option } from 'commander'
import { type RestoredMoment, type RestoreResult, restoreArchive, restoreStore, StoreError } from '../index.ts'
import { counting, momentOf } from './backup-command.ts'
import { counted } from './counted.ts'
import { EXIT } from './exit-codes.ts'
import { instantMs } from './instant.ts'
import { findPassword } from './password.ts'
import { Progress } from './progress.ts'
import type { Session } from './session.ts'
import { wholeNumber } from './whole-number.ts'

interface RestoreCommandOptions {
  readonly from: string
  readonly id?: string
  readonly at?: number
  readonly sequence?: number
  readonly force?: boolean
}

export function addRestoreCommand(program: Command, session: () => Session): void {
  program
    .command('restore')
    .description('bring a store back from a backup or an archive into --dir, which must be empty or not there')
    .requiredOption('--from <place>', 'a folder of backups, a .tar, or an archive')
    .addOption(new Option('--id <id>', 'which backup; default: the newest').conflicts(['at', 'sequence']))
    .addOption(
      new Option('--at <time>', 'of an archive: the last commit at this time or before')
        .argParser(instantMs)
        .conflicts('sequence'),
    )
    .addOption(new Option('--sequence <number>', 'of an archive: the last commit of this batch').argParser(wholeNumber))
    .option('--force', 'move what is in --dir aside, to <dir>.replaced-<time>')
    .addHelpText(
      'after',
      `
The password is the one of the time of the backup. Nothing is at --dir before all of it has been checked. A place that
has no backups but an archive gives the latest moment there is. Exits with ${EXIT.corrupt} when an archive is damaged before the
moment that was asked for: what comes before is restored then, and what is wrong is told; and when a yearly file of archived
trades is missing, which are in backups only.

Examples:
  holdfast restore --from /mnt/backups --dir ./state
  holdfast restore --from /mnt/usb/holdfast.tar --dir ./state --force
  holdfast restore --from /mnt/archive --dir ./restored --at 2026-11-21T10:15:00Z`,
    )
    .action(async (options: RestoreCommandOptions) => {
      process.exitCode = await restore(session(), options)
    })
}

async function restore(session: Session, given: RestoreCommandOptions): Promise<number> {
  const { terminal, options } = session
  const { from, id, at, sequence, force = false } = given
  const password = await findPassword(session, 'open')
  const progress = new Progress('bytes', terminal)
  const common = { from, dir: options.dir, force, actor: userInfo().username, ...(password && { password }) }
  const fromArchive = async () => await showMoment(session, await restoreArchive({ ...common, at, sequence }))
  try {
    if (at !== undefined || sequence !== undefined) return await fromArchive()
    let result: RestoreResult
    try {
      result = await restoreStore({ ...common, onProgress: counting(progress), ...(id === undefined ? {} : { id }) })
    } catch (error) {
      if (id !== undefined || !isNotFound(error)) throw error
      return await fromArchive().catch((failure: unknown) => {
        throw isNotFound(failure) ? error : failure
      })
    }
    progress.end()
    if (terminal.isJson) await terminal.writeJson(result)
    else {
      await tellMovedAside(session, result)
      await terminal.writeLine(`Restored to ${result.dir}: ${momentOf(result)}. What was written later is not in it.`)
    }
    return EXIT.ok
  } finally {
    progress.end()
    password?.fill(0)
  }
}

async function showMoment(session: Session, restored: RestoredMoment): Promise<number> {
  const { terminal } = session
  const { dir, sequence, timeMs, archivedUntilMs, problems, artifactsWithoutContent } = restored
  if (terminal.isJson) await terminal.writeJson(restored)
  else {
    await tellMovedAside(session, restored)
    await terminal.writeLine(
      `Restored to ${dir}: the store as of ${new Date(timeMs).toISOString()}, sequence ${sequence ?? 'unknown'}. The archive reaches to ${new Date(archivedUntilMs).toISOString()}.`,
    )
  }
  if (artifactsWithoutContent.length > 0) {
    terminal.warn(
      `${counted(artifactsWithoutContent.length, 'artifact')} can't be read whole until the missing files in blobs/ are copied from a backup. holdfast artifact verify lists them.`,
    )
  }
  for (const problem of problems) terminal.warn(problem)
  return problems.length === 0 ? EXIT.ok : EXIT.corrupt
}

async function tellMovedAside(
  { terminal }: Session,
  { dir, movedAside }: RestoredMoment | RestoreResult,
): Promise<void> {
  if (movedAside !== null) await terminal.writeLine(`What was in ${dir} is now ${movedAside}.`)
}

function isNotFound(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'BACKUP_NOT_FOUND'
}
