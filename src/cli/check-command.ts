import type { Command } from 'commander'
import type { CheckFinding } from '../index.ts'
import { EXIT } from './exit-codes.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

export function addCheckCommand(program: Command, session: () => Session): void {
  program
    .command('check')
    .description('verify every page, the structure, the references and the modes of the files; changes nothing')
    .addHelpText('after', `\nExits with ${EXIT.checkFoundErrors} when there are errors; warnings alone are no failure.`)
    .action(async () => {
      process.exitCode = await check(session())
    })
}

async function check(session: Session): Promise<number> {
  const { terminal } = session
  const findings = await withReader(session, async (store) => await store.check())
  const errors = findings.filter(({ severity }) => severity === 'error').length
  if (terminal.isJson) await terminal.writeJson({ ok: errors === 0, findings })
  else await writeFindings(findings, terminal)
  return errors === 0 ? EXIT.ok : EXIT.checkFoundErrors
}

async function writeFindings(findings: readonly CheckFinding[], terminal: Terminal): Promise<void> {
  for (const { severity, subject, problem, remedy } of findings) {
    const label = terminal.style(severity === 'error' ? 'red' : 'yellow', `${severity}:`)
    await terminal.writeLine(`${label} ${subject}: ${problem}\n  ${remedy}`)
  }
  if (findings.length === 0) await terminal.writeLine('No problem found.')
}
