import type { Command } from 'commander'
import { isStoreError, type OpenStoreOptions, StoreError } from '../index.ts'
import { withStore } from './open-session-store.ts'
import type { Session } from './session.ts'

interface MigrateOptions {
  readonly dryRun?: boolean
  readonly migrations?: string
}

export function addMigrateCommand(program: Command, session: () => Session): void {
  program
    .command('migrate')
    .description('bring a store to the version of this program; a verified copy is made first')
    .option('--dry-run', 'try the pending migrations, roll them back, and list them')
    .option('--migrations <dir>', 'a folder with migrations of your own, applied after the built-in ones')
    .action(async (options: MigrateOptions) => await migrate(session(), options))
}

async function migrate(session: Session, { dryRun, migrations }: MigrateOptions): Promise<void> {
  const { terminal } = session
  const folder: Pick<OpenStoreOptions, 'migrations'> = migrations === undefined ? {} : { migrations }
  const names = dryRun === true ? await rehearse(session, folder) : await apply(session, folder)
  if (terminal.isJson) return await terminal.writeJson(dryRun === true ? { pending: names } : { applied: names })
  if (names.length === 0) return await terminal.writeLine('There is nothing to migrate.')
  await terminal.writeLine(dryRun === true ? 'Would be applied:' : 'Applied:')
  for (const name of names) await terminal.writeLine(`  ${name}`)
}

async function apply(session: Session, folder: Pick<OpenStoreOptions, 'migrations'>): Promise<readonly string[]> {
  return await withStore(
    session,
    { ...folder, create: false, migrate: 'apply' },
    async (store) => store.appliedMigrations,
  )
}

async function rehearse(session: Session, folder: Pick<OpenStoreOptions, 'migrations'>): Promise<readonly string[]> {
  try {
    return await withStore(session, { ...folder, create: false, migrate: 'rehearse' }, async () => [])
  } catch (error) {
    if (!isStoreError(error) || error.code !== 'MIGRATION_PENDING') throw error
    const { pending } = error.details
    if (Array.isArray(pending)) return pending as readonly string[]
    throw new StoreError('INTERNAL', 'The store did not say which migrations are pending. Please report it.', {
      cause: error,
    })
  }
}
