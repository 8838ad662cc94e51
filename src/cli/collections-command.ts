import type { Command } from 'commander'
import { collectionSpecs } from './collection-specs.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'

export function addCollectionsCommand(program: Command, session: () => Session): void {
  program
    .command('collections')
    .description('the collections of a store: their keys, indexes and references')
    .action(async () => await collections(session()))
}

async function collections(session: Session): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const specs = [...(await collectionSpecs(store)).values()]
    if (terminal.isJson) return await terminal.writeJson(specs)
    const { text } = renderTable({
      columns: ['collection', 'key', 'indexed', 'refers to', 'sealed', 'file'],
      rows: specs.map(({ name, key, indexes, references, sealed, file }) =>
        [name, key, indexes.join(', '), Object.values(references).join(', '), sealed.join(', '), `${file}.db`].map(
          (text) => tableCell(text),
        ),
      ),
      width: terminal.width,
      styleHead: (head) => terminal.style('bold', head),
    })
    await terminal.writeLine(text)
  })
}
