import { userInfo } from 'node:os'
import type { Command } from 'commander'
import type { ArchiveTradesResult, KeptReason } from '../index.ts'
import { counted } from './counted.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

interface ArchiveTradesCommandOptions {
  readonly before: string
  readonly dryRun?: boolean
}

const REASONS: Readonly<Record<KeptReason, string>> = {
  laterTrade: 'another trade of the position is open or was closed later',
  openPosition: 'the position is held, or a held one has its stop among the orders',
  openOrder: 'an order of the position is not final',
  referenced: 'a collection or table of yours refers to it',
  alreadyArchived: 'its key, or one of its orders or fills, was archived before',
  tooManyYears: 'its year would need one more file than can be read together',
  changed: 'it was written to meanwhile; run this again',
}

export function addArchiveTradesCommand(program: Command, session: () => Session): void {
  program
    .command('archive-trades')
    .description('move closed trades, with their orders and fills, into a store file for each year')
    .requiredOption('--before <date>', 'trades closed before this: 2026-01-01 (UTC), or 2026-01-01T00:00:00Z')
    .option('--dry-run', 'only tell what would move')
    .addHelpText(
      'after',
      '\nNeeds the store for itself; a program that has it open calls store.archiveTrades() instead. Reads find what has\nmoved with includeArchived (list --include-archived). When it is interrupted, run it again: nothing is lost or doubled.',
    )
    .action(async (options: ArchiveTradesCommandOptions) => await archiveTrades(session(), options))
}

async function archiveTrades(session: Session, { before, dryRun = false }: ArchiveTradesCommandOptions): Promise<void> {
  const { terminal } = session
  const result = await withOwner(
    session,
    async (store) => await store.archiveTrades({ before, dryRun, actor: userInfo().username }),
  )
  if (terminal.isJson) await terminal.writeJson(result)
  else await writeResult(result, terminal)
}

async function writeResult({ dryRun, years, trades, kept }: ArchiveTradesResult, terminal: Terminal): Promise<void> {
  if (trades === 0) await terminal.writeLine('There is nothing to archive.')
  else await terminal.writeLine(dryRun ? 'Would move:' : 'Moved:')
  for (const { file, ...year } of years) {
    const parts = [counted(year.trades, 'trade'), counted(year.orders, 'order'), counted(year.fills, 'fill')]
    await terminal.writeLine(`  ${parts.join(', ')} to ${file}`)
  }
  const reasons = Object.entries(kept) as [KeptReason, number][]
  if (reasons.length > 0) await terminal.writeLine('Closed before, but needed where they are:')
  for (const [reason, count] of reasons) {
    await terminal.writeLine(`  ${counted(count, 'trade')}: ${REASONS[reason]}`)
  }
}
