/** `holdfast bars`, `ticks`, `quotes`, `books` and `series`. */
import type { Command } from 'commander'
import type { SeriesInfo, Store } from '../../index.ts'
import { counted } from '../counted.ts'
import { withOwner, withReader } from '../open-session-store.ts'
import type { Session } from '../session.ts'
import { addBarsGaps, addBarsResample } from './bars-commands.ts'
import { addBooksCommand } from './books-command.ts'
import { addExportSeries } from './export-series.ts'
import { addImportSeries } from './import-series.ts'
import { BARS, QUOTES, type SeriesKindCommands, TICKS, VALUES } from './series-kind.ts'
import { printSeriesList } from './series-listing.ts'
import { addSeriesRules } from './series-rules-command.ts'
import { addShowSeries } from './show-series.ts'

export function addSeriesCommands(program: Command, session: () => Session): void {
  for (const kind of [BARS, TICKS, QUOTES, VALUES]) {
    const command = program.command(kind.name).description(kind.description)
    addList(command, kind, session)
    addShowSeries(command, kind, session)
    addImportSeries(command, kind, session)
    addExportSeries(command, kind, session)
    if (kind === BARS) {
      addBarsResample(command, session)
      addBarsGaps(command, session)
    }
    if (kind === VALUES) {
      addCompact(command, session)
      addSeriesRules(command, session)
    }
  }
  addBooksCommand(program, session)
}

function addList(parent: Command, kind: SeriesKindCommands, session: () => Session): void {
  parent
    .command('list')
    .description(kind === VALUES ? 'every series of the store, of all kinds' : `which ${kind.name} there are`)
    .action(async () => {
      const { terminal } = session()
      const infos = await withReader(session(), (store) => infosOf(store, kind))
      await printSeriesList(terminal, infos)
    })
}

async function infosOf(store: Store, kind: SeriesKindCommands): Promise<readonly SeriesInfo[]> {
  const infos = await store.series.list()
  return kind === VALUES ? infos : infos.filter((info) => info.kind === kind.name)
}

function addCompact(parent: Command, session: () => Session): void {
  parent
    .command('compact')
    .description('merge recent points and corrections of all series into full blocks now')
    .action(async () => {
      const { terminal } = session()
      const result = await withOwner(session(), (store) => store.series.compact())
      if (terminal.isJson) await terminal.writeJson(result)
      else
        await terminal.writeLine(
          `${counted(result.blocksWritten, 'block')} written, ${counted(result.rowsMerged, 'row')} merged`,
        )
    })
}
