import type { Command } from 'commander'
import { type Store, StoreError } from '../index.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { storedCollection } from './stored-collection.ts'
import { jsonText } from './visible-text.ts'

interface GetOptions {
  readonly entry?: boolean
}

export function addGetCommand(program: Command, session: () => Session): void {
  program
    .command('get')
    .description('print a document as JSON')
    .argument('<collection>')
    .argument('<key>')
    .option('--entry', 'with its version and times: { document, version, createdAt, updatedAt }')
    .addHelpText(
      'after',
      `
Sealed fields are never printed.

Examples:
  holdfast get positions BTC-1
  holdfast get orders o-17 --entry --json | jq .version`,
    )
    .action(async (collection: string, key: string, options: GetOptions) => {
      await get(session(), collection, key, options)
    })
}

async function get(session: Session, collection: string, key: string, { entry }: GetOptions): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const found = await existingEntry(store, collection, key)
    await terminal.writeLine(jsonText(entry === true ? found : found.document, terminal.isJson ? undefined : 2))
  })
}

/** @throws StoreError `NOT_FOUND`, `UNKNOWN_COLLECTION` */
export async function existingEntry(store: Store, collection: string, key: string) {
  const found = await storedCollection(store, collection).entry(key)
  if (found !== undefined) return found
  throw new StoreError(
    'NOT_FOUND',
    `"${collection}" has no document with this key. Look for it: holdfast list ${collection}.`,
    {
      details: { collection, key },
    },
  )
}
