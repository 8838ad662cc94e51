/**
 * Opens the store of a command. Reading commands look beside a running owner; writing ones are the owner for as long as
 * they take, and never migrate by the way: that is what `holdfast migrate` is for.
 */
import { type OpenStoreOptions, openStore, type Store } from '../index.ts'
import { findPassword } from './password.ts'
import type { Session } from './session.ts'
import { parseUnlockCommand } from './unlock-command-option.ts'

export async function withReader<T>(session: Session, use: (store: Store) => Promise<T>): Promise<T> {
  return await withStore(session, { readOnly: true, create: false }, use)
}

export async function withOwner<T>(session: Session, use: (store: Store) => Promise<T>): Promise<T> {
  return await withStore(session, { create: false, migrate: 'refuse' }, use)
}

/** Opens, uses and closes the store, whatever happens, an interruption included. */
export async function withStore<T>(
  session: Session,
  options: Omit<OpenStoreOptions, 'dir' | 'password' | 'collections'>,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await open(session, options)
  const forget = session.interruption.beforeEnd(() => (options.readOnly === true ? undefined : store.close()))
  if (store.restoredKeyringCopies.length > 0) {
    session.terminal.warn(
      `These copies of the keyring were missing or damaged and have been restored: ${store.restoredKeyringCopies.join(', ')}. Check the disk.`,
    )
  }
  let result: T
  try {
    result = await use(store)
  } catch (error) {
    await store.close().catch(() => undefined)
    forget()
    throw error
  }
  await store.close()
  forget()
  return result
}

async function open(session: Session, options: Omit<OpenStoreOptions, 'dir' | 'password'>): Promise<Store> {
  const { dir, unlockCommand } = session.options
  if (unlockCommand !== undefined)
    return await openStore({ ...options, dir, unlockCommand: parseUnlockCommand(unlockCommand) })
  const creates = options.create === true
  const password = await findPassword(session, creates ? 'create' : 'open')
  try {
    return await openStore({
      ...options,
      dir,
      ...(password === undefined ? {} : { password }),
    })
  } finally {
    password?.fill(0)
  }
}
