/**
 * Opens the store of a command. Reading commands look beside a running owner; writing ones are the owner for as long as
 * they take, and never migrate by the way: that is what `holdfast migrate` is for.
 */
import { isStoreError, type OpenStoreOptions, openStore, type Store } from '../index.ts'
import { findPassword } from './password.ts'
import type { Session } from './session.ts'
import { parseUnlockCommand } from './unlock-command-option.ts'

const READER: StoreOptions = { readOnly: true, create: false }
const READER_ATTEMPTS = 20
const READER_WAIT_MS = 250
const AGAIN_FOR_MS = 60_000
const AGAIN_WAIT_MS = 500

type StoreOptions = Omit<OpenStoreOptions, 'dir' | 'password' | 'unlockCommand' | 'collections'>
type Credentials = Pick<OpenStoreOptions, 'password' | 'unlockCommand'>

export async function withReader<T>(session: Session, use: (store: Store) => Promise<T>): Promise<T> {
  return await withStore(session, READER, use)
}

/** As `withReader`, again with a store that is opened anew while `isPassing` says so, for a minute at most. */
export async function withReaderAgain<T>(
  session: Session,
  use: (store: Store) => Promise<T>,
  isPassing: (result: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + AGAIN_FOR_MS
  return await withCredentials(session, 'open', async (credentials) => {
    for (;;) {
      const result = await withOpened(session, READER, () => open(session, READER, credentials), use)
      if (!isPassing(result) || performance.now() > deadline) return result
      await new Promise((resolve) => setTimeout(resolve, AGAIN_WAIT_MS))
    }
  })
}

export async function withOwner<T>(session: Session, use: (store: Store) => Promise<T>): Promise<T> {
  return await withStore(session, { create: false, migrate: 'refuse' }, use)
}

/** Opens, uses and closes the store, whatever happens, an interruption included. */
export async function withStore<T>(
  session: Session,
  options: StoreOptions,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const purpose = options.create === true ? 'create' : 'open'
  const opening = () => withCredentials(session, purpose, (credentials) => open(session, options, credentials))
  return await withOpened(session, options, opening, use)
}

async function withOpened<T>(
  session: Session,
  options: StoreOptions,
  opening: () => Promise<Store>,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await opening()
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

async function open({ options: { dir } }: Session, options: StoreOptions, credentials: Credentials): Promise<Store> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openStore({ ...options, ...credentials, dir })
    } catch (error) {
      // Its owner is about to give it another data key.
      const isPassing = options.readOnly === true && isStoreError(error) && error.code === 'BUSY_OPERATION'
      if (!isPassing || attempt === READER_ATTEMPTS) throw error
      await new Promise((resolve) => setTimeout(resolve, READER_WAIT_MS))
    }
  }
}

/** Asked for once, however often the store is opened with them. */
async function withCredentials<T>(
  session: Session,
  purpose: 'open' | 'create',
  use: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const { unlockCommand } = session.options
  if (unlockCommand !== undefined) return await use({ unlockCommand: parseUnlockCommand(unlockCommand) })
  const password = (await findPassword(session, purpose)) ?? takePasswordVariable()
  try {
    return await use(password === undefined ? {} : { password })
  } finally {
    password?.fill(0)
  }
}

/** `openStore` takes it out of the environment, too, and would not find it there a second time. */
function takePasswordVariable(): Uint8Array | undefined {
  const given = process.env.HOLDFAST_PASSWORD
  if (!given) return undefined
  delete process.env.HOLDFAST_PASSWORD
  return new TextEncoder().encode(given)
}
