/**
 * Rotates a key unattended, for cron: `npx tsx scripts/rotate-key.ts password|data DIR`. The present password comes from
 * HOLDFAST_PASSWORD, the new one (for `password`) from HOLDFAST_NEW_PASSWORD; `data` is the owner's, so the store must
 * not be open elsewhere. Exit codes are those of `holdfast`: 0 done and verified, 2 wrong usage, 5 password missing, wrong
 * or weak, 6 in use, 7 damaged, 12 disk full, 1 anything else; with any but 0 the store opens as before.
 */
import { exitCodeOf } from '../src/cli/exit-codes.ts'
import { isStoreError, openKeyring, openStore, StoreError } from '../src/index.ts'

async function rotate([what, dir]: readonly string[]): Promise<void> {
  if (dir === undefined || (what !== 'password' && what !== 'data')) {
    throw new StoreError('INVALID_ARGUMENT', 'Usage: rotate-key.ts password|data DIR')
  }
  if (what === 'password') {
    const next = process.env.HOLDFAST_NEW_PASSWORD
    delete process.env.HOLDFAST_NEW_PASSWORD
    if (!next) throw new StoreError('PASSWORD_MISSING', 'Set HOLDFAST_NEW_PASSWORD to the new password.')
    await openKeyring({ dir }).rotatePassword(next, { actor: 'rotate-key' })
    return
  }
  const store = await openStore({ dir, create: false, migrate: 'refuse' })
  try {
    await store.rotateDataKey({ actor: 'rotate-key' })
  } finally {
    await store.close()
  }
}

try {
  await rotate(process.argv.slice(2))
  console.log('Rotated and verified.')
} catch (error) {
  const known = isStoreError(error) ? error : new StoreError('INTERNAL', 'Rotating failed.', { cause: error })
  console.error(`${known.message} (${known.code})`)
  process.exitCode = exitCodeOf(known.code)
}
