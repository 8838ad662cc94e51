/** Opens a store in this process whose worker meets a fault: the failpoint is in its environment when it starts. */
import type { OpenStoreOptions, Store } from '../../src/index.ts'
import { ownCollections } from './collections.ts'
import { openStore } from './compiled-store.ts'
import { KDF, PASSWORD } from './store-settings.ts'

type Options = Omit<OpenStoreOptions, 'collections'>

export type TestStore = Store<typeof ownCollections>

export async function openTestStore(dir: string, options: Partial<Options> = {}): Promise<TestStore> {
  return await openStore({ dir, password: PASSWORD, kdf: KDF, collections: ownCollections, ...options })
}

/** The first worker has the failpoint; those that replace it have not, unless the caller arms it again. */
export async function openWithFailpoint(
  dir: string,
  failpoint: string,
  options: Partial<Options> = {},
): Promise<TestStore> {
  process.env.HOLDFAST_FAILPOINT = failpoint
  try {
    return await openTestStore(dir, options)
  } finally {
    delete process.env.HOLDFAST_FAILPOINT
  }
}
