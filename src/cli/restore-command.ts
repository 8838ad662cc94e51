import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { restoreStore } from '../index.ts'
import { counting, momentOf } from './backup-command.ts'
import { findPassword } from './password.ts'
import { Progress } from './progress.ts'
import type { Session } from './session.ts'

interface RestoreCommandOptions {
  readonly from: string
  readonly id?: string
  readonly force?: boolean
}

export function addRestoreCommand(program: Command, session: () => Session): void {
  program
    .command('restore')
    .description('bring a store back from a backup into --dir, which must be empty or not there')
    .requiredOption('--from <place>', 'a folder of backups or a .tar')
    .option('--id <id>', 'which backup; default: the newest')
    .option('--force', 'move what is in --dir aside, to <dir>.replaced-<time>')
    .addHelpText(
      'after',
      `
The password is the one of the time of the backup. Nothing is at --dir before all of it has been checked.

Examples:
  holdfast restore --from /mnt/backups --dir ./state
  holdfast restore --from /mnt/usb/holdfast.tar --dir ./state --force`,
    )
    .action(async (options: RestoreCommandOptions) => await restore(session(), options))
}

async function restore(session: Session, { from, id, force }: RestoreCommandOptions): Promise<void> {
  const { terminal, options } = session
  const password = await findPassword(session, 'open')
  const progress = new Progress('bytes', terminal)
  try {
    const result = await restoreStore({
      from,
      dir: options.dir,
      force: force ?? false,
      actor: userInfo().username,
      onProgress: counting(progress),
      ...(id === undefined ? {} : { id }),
      ...(password === undefined ? {} : { password }),
    })
    progress.end()
    if (terminal.isJson) return await terminal.writeJson(result)
    if (result.movedAside !== null) await terminal.writeLine(`What was in ${result.dir} is now ${result.movedAside}.`)
    await terminal.writeLine(`Restored to ${result.dir}: ${momentOf(result)}. What was written later is not in it.`)
  } finally {
    progress.end()
    password?.fill(0)
  }
}
