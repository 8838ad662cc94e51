/** The `holdfast` command: its options, its commands, and how a run of it ends. */
import { Command, CommanderError, Option } from 'commander'
import { StoreError } from '../index.ts'
import { addArchiveTradesCommand } from './archive-trades-command.ts'
import { addArtifactCommand } from './artifact-command.ts'
import { addAuditCommand } from './audit-command.ts'
import { addBackupCommand } from './backup-command.ts'
import { addCacheCommand } from './cache-command.ts'
import { addCheckCommand } from './check-command.ts'
import { addCollectionsCommand } from './collections-command.ts'
import { addDeleteCommand } from './delete-command.ts'
import { describeExitCodes, EXIT } from './exit-codes.ts'
import { addExportCommand } from './export-command.ts'
import { reportFailure } from './failure-report.ts'
import { addGetCommand } from './get-command.ts'
import { addImportCommand } from './import-command.ts'
import { addInitCommand } from './init-command.ts'
import { Interruption } from './interruption.ts'
import { addKeyCommand } from './key-command.ts'
import { addListCommand } from './list-command.ts'
import { addMaintainCommand } from './maintain-command.ts'
import { addMigrateCommand } from './migrate-command.ts'
import { OutputClosed } from './output-closed.ts'
import { packageVersion } from './package-version.ts'
import { refusePasswordArgument } from './password.ts'
import { addPutCommand } from './put-command.ts'
import { addRestoreCommand } from './restore-command.ts'
import { addSeriesCommands } from './series/series-commands.ts'
import { addServeMetricsCommand } from './serve-metrics-command.ts'
import type { GlobalOptions } from './session.ts'
import { addSkillCommand } from './skill-command.ts'
import { addSqlCommand } from './sql-command.ts'
import { addStandbyCommand } from './standby-command.ts'
import { addStatusCommand } from './status-command.ts'
import { Terminal } from './terminal.ts'
import { addTopCommand } from './top-command.ts'

const HELP = `
The password comes from --password-file, from HOLDFAST_PASSWORD, from the file HOLDFAST_PASSWORD_FILE names, or is
asked for on the terminal; never from an argument. Commands that only read work beside a program that has the store
open; the others need it for themselves. With --json results are JSON on standard output, one document or one a line,
and errors and warnings are JSON objects on standard error, one a line. NO_COLOR turns colours off; HOLDFAST_DEBUG=1
adds stacks to errors.

${describeExitCodes()}`

/** Runs one command and returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const interruption = new Interruption()
  const terminal = new Terminal(wantsJson(argv))
  const program = buildProgram(terminal, interruption)
  try {
    refusePasswordArgument(argv)
    await program.parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? EXIT.ok)
  } catch (error) {
    if (interruption.isUnderWay) return await interruption.wait()
    if (error instanceof OutputClosed) return EXIT.ok
    if (error instanceof CommanderError) return endOfParsing(error, terminal)
    return reportFailure(error, terminal)
  }
}

function buildProgram(terminal: Terminal, interruption: Interruption): Command {
  const program = new Command('holdfast')
  program
    .description('an encrypted-at-rest state store for trading processes')
    .version(packageVersion(), '-V, --version')
    .addOption(new Option('--dir <dir>', 'the store directory').env('HOLDFAST_DIR').default('./state'))
    .option('--json', 'print JSON, for programs')
    .option('--password-file <file>', 'a file that holds the password')
    .option(
      '--unlock-command <command>',
      'a program that prints the key, or a JSON array of it and its arguments; sh:… for a shell',
    )
    .addHelpText('after', HELP)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  const session = () => ({ options: program.opts<GlobalOptions>(), terminal, interruption })
  addInitCommand(program, session)
  addStatusCommand(program, session)
  addCollectionsCommand(program, session)
  addGetCommand(program, session)
  addPutCommand(program, session)
  addDeleteCommand(program, session)
  addListCommand(program, session)
  addSqlCommand(program, session)
  addExportCommand(program, session)
  addImportCommand(program, session)
  addCheckCommand(program, session)
  addAuditCommand(program, session)
  addMaintainCommand(program, session)
  addMigrateCommand(program, session)
  addStandbyCommand(program, session)
  addKeyCommand(program, session)
  addServeMetricsCommand(program, session)
  addTopCommand(program, session)
  addBackupCommand(program, session)
  addRestoreCommand(program, session)
  addArchiveTradesCommand(program, session)
  addArtifactCommand(program, session)
  addSeriesCommands(program, session)
  addSkillCommand(program, session)
  addCacheCommand(program, session)
  return program
}

/** Known before the arguments are parsed, because what is wrong with them has to be told in the right form. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json')
}

function endOfParsing(error: CommanderError, terminal: Terminal): number {
  if (error.exitCode === 0) return EXIT.ok
  // Help was asked for by giving no command; it is on standard error already.
  if (error.code === 'commander.help') return EXIT.usage
  // What follows the equals sign of an option nobody knows may be a secret with a misspelt name.
  const message = error.message
    .replace(/^error: /, '')
    .replace(/(--?[\w-]+)=[^']*/, '$1')
    .replaceAll('\n', ' ')
  return reportFailure(
    new StoreError(
      'INVALID_ARGUMENT',
      `${capitalized(message)}${/[.?)]$/.test(message) ? '' : '.'} See holdfast --help.`,
    ),
    terminal,
  )
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
