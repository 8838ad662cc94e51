import type { Command } from 'commander'
import type { MaintenanceResult } from '../index.ts'
import { byteSize } from './byte-size.ts'
import { counted } from './counted.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'

interface MaintainCommandOptions {
  readonly fullVacuum?: boolean
}

export function addMaintainCommand(program: Command, session: () => Session): void {
  program
    .command('maintain')
    .description(
      'apply rules of series and compact them, give free space back, renew statistics, empty the log, record the sizes of the day',
    )
    .option('--full-vacuum', 'rewrite files that have free space, for stores from before incremental vacuum')
    .addHelpText('after', '\nA program that has the store open does this by itself when nothing else goes on.')
    .action(async (options: MaintainCommandOptions) => await maintain(session(), options))
}

async function maintain(session: Session, { fullVacuum = false }: MaintainCommandOptions): Promise<void> {
  const { terminal } = session
  const result = await withOwner(session, async (store) => await store.maintain({ fullVacuum }))
  if (terminal.isJson) {
    await terminal.writeJson(result)
    return
  }
  for (const line of describe(result)) await terminal.writeLine(line)
}

function describe({ files, artifacts, series }: MaintenanceResult): string[] {
  const databases = Object.entries(files).flatMap(([name, { freedBytes, freeBytes, needsFullVacuum, analyzed }]) => [
    `${name}.db: ${byteSize(freedBytes)} given back, ${byteSize(freeBytes)} still free in it; ${counted(analyzed.length, 'table')} analyzed`,
    ...(needsFullVacuum ? [`${name}.db is from before incremental vacuum: holdfast maintain --full-vacuum`] : []),
  ])
  return [
    ...databases,
    ...(series.blocksWritten === 0
      ? []
      : [`series: ${counted(series.rowsMerged, 'row')} merged, ${counted(series.blocksWritten, 'block')} written`]),
    ...(series.damaged === 0 ? [] : [`series: ${series.damaged} damaged, and left as they are: holdfast check`]),
    ...(artifacts.files === 0 ? [] : [`blobs: ${byteSize(artifacts.freedBytes)} freed, of puts that were broken off`]),
  ]
}
