import type { Command } from 'commander'
import { existingEntry } from './get-command.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'
import { storedCollection } from './stored-collection.ts'
import { wholeNumber } from './whole-number.ts'

interface DeleteOptions {
  readonly ifVersion?: number
}

export function addDeleteCommand(program: Command, session: () => Session): void {
  program
    .command('delete')
    .description('delete a document')
    .argument('<collection>')
    .argument('<key>')
    .option('--if-version <n>', 'fail unless the stored document has this version', wholeNumber)
    .action(async (collection: string, key: string, options: DeleteOptions) => {
      await deleteDocument(session(), collection, key, options)
    })
}

async function deleteDocument(
  session: Session,
  collection: string,
  key: string,
  { ifVersion }: DeleteOptions,
): Promise<void> {
  const { terminal } = session
  await withOwner(session, async (store) => {
    await existingEntry(store, collection, key)
    await storedCollection(store, collection).delete(key, ifVersion === undefined ? {} : { ifVersion })
    if (terminal.isJson) await terminal.writeJson({ collection, key, deleted: true })
    else await terminal.writeLine(`Deleted ${collection}/${key}.`)
  })
}
