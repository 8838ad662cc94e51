import { userInfo } from 'node:os'
import { type Command, Option } from 'commander'
import type { CheckFinding } from '../index.ts'
import { durationMs } from './duration.ts'
import { EXIT } from './exit-codes.ts'
import { withOwner, withReaderAgain } from './open-session-store.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

interface CheckCommandOptions {
  readonly repair?: boolean
  readonly maxAge?: number
}

export function addCheckCommand(program: Command, session: () => Session): void {
  program
    .command('check')
    .description('verify pages, structure, references, log, keyring copies, modes and room; changes nothing by itself')
    .option('--repair', 'rebuild what can be derived (indexes, a keyring copy, modes), as the owner of the store')
    .addOption(
      new Option('--max-age <duration>', 'a key older than this, such as 90d, is an error')
        .argParser(durationMs)
        .conflicts('repair'),
    )
    .addHelpText(
      'after',
      `\nExits with ${EXIT.checkFoundErrors} when there are errors, with ${EXIT.locked} when nothing could be checked because its owner rotates the data\nkey; other warnings alone are no failure.`,
    )
    .action(async ({ repair, maxAge }: CheckCommandOptions) => {
      process.exitCode = repair === true ? await repairStore(session()) : await check(session(), maxAge)
    })
}

async function check(session: Session, maxKeyAgeMs: number | undefined): Promise<number> {
  const { terminal } = session
  const options = maxKeyAgeMs === undefined ? {} : { maxKeyAgeMs }
  const findings = await withReaderAgain(
    session,
    async (store) => await store.check(options),
    // A store that is opened after the rotation can be checked; a long one is reported as what it is.
    isUnchecked,
  )
  if (terminal.isJson) await terminal.writeJson({ ok: exitCodeOf(findings) === EXIT.ok, findings })
  else {
    await writeFindings(findings, terminal)
    if (findings.length === 0) await terminal.writeLine('No problem found.')
  }
  return exitCodeOf(findings)
}

async function repairStore(session: Session): Promise<number> {
  const { terminal } = session
  const { restored, result } = await withOwner(session, async (store) => ({
    restored: store.restoredKeyringCopies,
    result: await store.repair({ actor: userInfo().username }),
  }))
  const { repaired, remaining, refused } = result
  if (terminal.isJson) {
    await terminal.writeJson({
      ok: exitCodeOf(remaining) === EXIT.ok,
      repaired,
      restoredKeyringCopies: restored,
      refused,
      findings: remaining,
    })
    return exitCodeOf(remaining)
  }
  for (const { subject, problem } of repaired) {
    await terminal.writeLine(`${terminal.style('green', 'repaired:')} ${subject}: ${problem}`)
  }
  await writeFindings(remaining, terminal)
  if (refused) {
    await terminal.writeLine('Nothing was repaired: what is damaged here can not be derived from the rest.')
  } else if (repaired.length + remaining.length === 0) {
    await terminal.writeLine(restored.length > 0 ? 'No other problem found.' : 'No problem found.')
  }
  return exitCodeOf(remaining)
}

function hasErrors(findings: readonly CheckFinding[]): boolean {
  return findings.some(({ severity }) => severity === 'error')
}

function isUnchecked(findings: readonly CheckFinding[]): boolean {
  return findings.some(({ code }) => code === 'ROTATION_UNDER_WAY')
}

function exitCodeOf(findings: readonly CheckFinding[]): number {
  if (hasErrors(findings)) return EXIT.checkFoundErrors
  return isUnchecked(findings) ? EXIT.locked : EXIT.ok
}

async function writeFindings(findings: readonly CheckFinding[], terminal: Terminal): Promise<void> {
  for (const { code, severity, subject, problem, remedy } of findings) {
    const label = terminal.style(severity === 'error' ? 'red' : 'yellow', `${severity}:`)
    await terminal.writeLine(`${label} ${subject}: ${problem} ${terminal.style('dim', `(${code})`)}\n  ${remedy}`)
  }
}
