import type { Command } from 'commander'
import { StoreError } from '../index.ts'
import { keyringCopies } from './keyring-copies.ts'
import { withStore } from './open-session-store.ts'
import type { Session } from './session.ts'

export function addInitCommand(program: Command, session: () => Session): void {
  program
    .command('init')
    .description('create a store')
    .addHelpText(
      'after',
      `
The password needs 12 characters, better 20 or more. Nobody can open the store without it: keep it safe.

Examples:
  holdfast init --dir ./state
  holdfast init --dir ./state --password-file /run/secrets/holdfast`,
    )
    .action(async () => await init(session()))
}

async function init(session: Session): Promise<void> {
  const { terminal, options } = session
  // Told before a password is asked for, and by name: opening it would say whether the password is right instead.
  if ((await keyringCopies(options.dir)).present.length > 0) throw storeExists(options.dir)
  await withStore(session, { create: true, migrate: 'refuse' }, async (store) => {
    const { dir, storeId, created } = store
    if (!created) throw storeExists(dir)
    if (terminal.isJson) return await terminal.writeJson({ dir, storeId, created })
    await terminal.writeLine(`Created a store in ${dir} (${storeId}).`)
    await terminal.writeLine('Keep its password safe: nobody can open the store without it.')
  })
}

function storeExists(dir: string): StoreError {
  return new StoreError(
    'STORE_EXISTS',
    `There is a store in ${dir} already; nothing was changed. See holdfast status, or choose another --dir.`,
    { details: { dir } },
  )
}
