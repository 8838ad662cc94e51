import { userInfo } from 'node:os'
import { type Command, Option } from 'commander'
import {
  type BackupProgressListener,
  type BackupSummary,
  listBackups,
  pruneBackups,
  type RetentionRule,
  readPasswordFile,
  StoreError,
  verifyBackup,
} from '../index.ts'
import { byteSize } from './byte-size.ts'
import { counted } from './counted.ts'
import { EXIT } from './exit-codes.ts'
import { withReader } from './open-session-store.ts'
import { Progress } from './progress.ts'
import type { Session } from './session.ts'
import { wholeNumber } from './whole-number.ts'

interface KeepOptions {
  readonly keepLast?: number
  readonly keepDaily?: number
  readonly keepWeekly?: number
  readonly keepMonthly?: number
}

interface BackupCommandOptions extends KeepOptions {
  readonly to?: string
  readonly verify?: 'quick' | 'full'
}

interface FromOptions {
  readonly from: string
  readonly id?: string
}

export function addBackupCommand(program: Command, session: () => Session): void {
  const backup = withKeepOptions(
    program
      .command('backup')
      .description('back up to a folder (only what has changed) or a new .tar, beside a running owner')
      .option('--to <place>', 'a folder, or a file that ends in .tar')
      .addOption(new Option('--verify <how>', 'quick or full; default: full up to 64 MiB').choices(['quick', 'full'])),
  )
    .addHelpText(
      'after',
      `
Examples:
  holdfast backup --to /mnt/backups --keep-daily 7 --keep-weekly 4 --keep-monthly 12
  holdfast backup --to /mnt/usb/holdfast.tar
  holdfast backup list --from /mnt/backups
  holdfast backup verify --from /mnt/backups
  holdfast restore --from /mnt/backups --dir ./restored`,
    )
    .action(async (options: BackupCommandOptions) => await makeBackup(session(), options))
  backup
    .command('list')
    .description('list the backups in a place; needs no password')
    .requiredOption('--from <place>', 'a folder or a .tar')
    .action(async (options: FromOptions) => {
      process.exitCode = await list(session(), options)
    })
  backup
    .command('verify')
    .description('read every byte of a backup; with a password in the environment or a file also prove whose it is')
    .requiredOption('--from <place>', 'a folder or a .tar')
    .option('--id <id>', 'default: the newest')
    .action(async (options: FromOptions) => await verify(session(), options))
  withKeepOptions(
    backup
      .command('prune')
      .description('let go of the backups that the --keep options do not keep; the newest always stays')
      .requiredOption('--from <folder>', 'a folder of backups'),
  ).action(async ({ from }: { readonly from: string }, command: Command) => {
    // `backup` has the same options and takes them first.
    await prune(session(), from, command.optsWithGlobals<KeepOptions>())
  })
}

function withKeepOptions(command: Command): Command {
  return command
    .option('--keep-last <n>', 'keep the newest n', wholeNumber)
    .option('--keep-daily <n>', 'keep the newest of each of the last n days', wholeNumber)
    .option('--keep-weekly <n>', 'keep the newest of each of the last n weeks', wholeNumber)
    .option('--keep-monthly <n>', 'keep the newest of each of the last n months', wholeNumber)
}

/** Undefined when none of the options is given: then everything is kept. */
function retentionOf({ keepLast, keepDaily, keepWeekly, keepMonthly }: KeepOptions): RetentionRule | undefined {
  const rule = { last: keepLast, daily: keepDaily, weekly: keepWeekly, monthly: keepMonthly }
  const given = Object.entries(rule).filter(([, count]) => count !== undefined)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as RetentionRule)
}

async function makeBackup(session: Session, { to, verify: how, ...keep }: BackupCommandOptions): Promise<void> {
  const { terminal } = session
  if (to === undefined) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'Say where to: holdfast backup --to <folder or .tar>. See holdfast backup --help.',
    )
  }
  const retention = retentionOf(keep)
  const progress = new Progress('bytes', terminal)
  const result = await withReader(session, (store) =>
    store.backup(to, {
      actor: userInfo().username,
      onProgress: counting(progress),
      ...(how === undefined ? {} : { verify: how }),
      ...(retention === undefined ? {} : { retention }),
    }),
  ).finally(() => progress.end())
  if (result.missing.length > 0) {
    terminal.warn(
      `${counted(result.missing.length, 'chunk')} of artifacts could not be backed up, being lost. See holdfast artifact verify.`,
    )
  }
  if (terminal.isJson) return await terminal.writeJson(result)
  await terminal.writeLine(`Backup ${result.id} in ${result.location}: ${momentOf(result)}.`)
  await terminal.writeLine(
    `${byteSize(result.writtenBytes)} of ${byteSize(result.bytes)} written in ${Math.round(result.durationMs)} ms, verified (${result.verified}).`,
  )
  if (result.pruned.length > 0) await terminal.writeLine(`Let go: ${result.pruned.join(', ')}.`)
}

async function list({ terminal }: Session, { from }: FromOptions): Promise<number> {
  const { backups, damaged } = await listBackups(from)
  if (terminal.isJson) await terminal.writeJson({ backups, damaged })
  else {
    for (const backup of backups)
      await terminal.writeLine(`${backup.id}  ${byteSize(backup.bytes)}  ${momentOf(backup)}`)
    if (backups.length === 0) await terminal.writeLine(`No backup in ${from}.`)
  }
  for (const file of damaged) terminal.warn(`${file} is damaged or of a newer version.`)
  return damaged.length === 0 ? EXIT.ok : EXIT.corrupt
}

async function verify(session: Session, { from, id }: FromOptions): Promise<void> {
  const { terminal } = session
  const progress = new Progress('bytes', terminal)
  const password = await passwordAtHand(session)
  const result = await verifyBackup({
    from,
    onProgress: counting(progress),
    ...(id === undefined ? {} : { id }),
    ...(password ? { password } : {}),
  }).finally(() => {
    progress.end()
    password?.fill(0)
  })
  if (terminal.isJson) return await terminal.writeJson(result)
  const authenticity = result.isAuthenticated ? 'and made by this store' : 'not authenticated (no password given)'
  await terminal.writeLine(`Backup ${result.id} is whole, ${authenticity}: ${momentOf(result)}.`)
}

/** Nobody is asked for one: without it the hashes are checked all the same. */
async function passwordAtHand({ options }: Session): Promise<Uint8Array | undefined> {
  if (options.passwordFile !== undefined) return readPasswordFile(options.passwordFile, '--password-file')
  const given = process.env.HOLDFAST_PASSWORD
  if (given) return new TextEncoder().encode(given)
  const file = process.env.HOLDFAST_PASSWORD_FILE
  return file ? readPasswordFile(file, 'HOLDFAST_PASSWORD_FILE') : undefined
}

async function prune({ terminal }: Session, from: string, keep: KeepOptions): Promise<void> {
  const retention = retentionOf(keep)
  if (retention === undefined) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'Say what to keep: --keep-last, --keep-daily, --keep-weekly, --keep-monthly.',
    )
  }
  const result = await pruneBackups({ from, retention })
  if (terminal.isJson) return await terminal.writeJson(result)
  await terminal.writeLine(
    `${result.removed.length} let go, ${result.kept.length} kept, ${byteSize(result.freedBytes)} freed.`,
  )
}

export function momentOf({ createdAt, sequences }: BackupSummary): string {
  return `the store as of ${createdAt}, sequence ${sequences.state} (market ${sequences.market})`
}

export function counting(progress: Progress): BackupProgressListener {
  let shown = 0
  return ({ doneBytes }) => {
    progress.add(doneBytes - shown)
    shown = doneBytes
  }
}
