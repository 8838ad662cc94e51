/**
 * How a restore comes to its directory: everything is put together and checked in a folder beside it, which takes its
 * name at the end. A restore that is killed leaves nothing there. What is in the way is never written over; with
 * `force` it is moved aside.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncPath } from '../../crypto/sync-path.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { failpoint } from '../failpoint.ts'
import { acquireOwnerLock, type OwnerLock } from '../owner-lock.ts'
import { sqlcipherDriver } from '../sqlcipher-driver.ts'
import { DIRECTORY_MODE, LOCK_FILE, OWNER_FILE } from '../store-files.ts'

export interface StagedRestore {
  readonly dir: string
  readonly force: boolean
  /** Of what is restored; part of the name of the folder. */
  readonly name: string
}

/**
 * `fill` gets a new folder under a lock, which becomes `dir` if it resolves and goes if it does not.
 *
 * @throws StoreError `STORE_EXISTS`, `STORE_LOCKED`; call `assertMayRestore` before anything is read
 */
export async function restoreStaged<T>(
  { dir, force, name }: StagedRestore,
  fill: (stage: string) => Promise<T>,
): Promise<{ readonly result: T; readonly movedAside: string | null }> {
  await removeUnfinished(dir)
  const stage = `${dir}.restoring-${name}-${process.pid}`
  await mkdir(dirname(stage), { recursive: true })
  await mkdir(stage, { mode: DIRECTORY_MODE })
  try {
    const lock = await acquireOwnerLock(sqlcipherDriver, stage)
    let result: T
    try {
      result = await fill(stage)
    } finally {
      await lock.release()
    }
    for (const file of [LOCK_FILE, OWNER_FILE]) await rm(join(stage, file), { force: true })
    await syncPath(stage)
    return { result, movedAside: await publish(stage, dir, force) }
  } catch (error) {
    await rm(stage, { recursive: true, force: true }).catch(() => undefined)
    throw error
  }
}

/** Told before anything is read: an empty directory is as good as none. */
export async function assertMayRestore(dir: string, force: boolean): Promise<void> {
  if (force || (await isFree(dir))) return
  throw new StoreError(
    'STORE_EXISTS',
    `${dir} is not empty; nothing was changed. Restore to another directory, or use force (--force), which moves what is there aside.`,
    { details: { dir } },
  )
}

async function isFree(dir: string): Promise<boolean> {
  const found = await stat(dir).catch(() => undefined)
  return found === undefined || (found.isDirectory() && (await readdir(dir)).length === 0)
}

/** Gives the restored store its name. Between moving one aside and this, a crash leaves both under other names. */
async function publish(stage: string, dir: string, force: boolean): Promise<string | null> {
  if (await isFree(dir)) {
    await rename(stage, dir)
    await failpoint('restore:renamed')
    await syncPath(dirname(dir))
    return null
  }
  if (!force) throw new StoreError('STORE_EXISTS', `${dir} has come into being meanwhile; nothing was changed.`)
  const lock = await lockIfStore(dir)
  try {
    const aside = `${dir}.replaced-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`
    await rename(dir, aside)
    await failpoint('restore:moved-aside')
    await rename(stage, dir)
    await failpoint('restore:renamed')
    await syncPath(dirname(dir))
    return aside
  } finally {
    await lock?.release()
  }
}

/** A store in use is not moved away from under its owner. */
async function lockIfStore(dir: string): Promise<OwnerLock | undefined> {
  const names = (await stat(dir)).isDirectory() ? await readdir(dir) : []
  return names.includes(LOCK_FILE) ? await acquireOwnerLock(sqlcipherDriver, dir) : undefined
}

/** What restores that were killed have left beside `dir`; one that is at work holds a lock. */
async function removeUnfinished(dir: string): Promise<void> {
  const parent = dirname(dir)
  const names = await readdir(parent).catch(() => [])
  for (const name of names.filter((each) => each.startsWith(`${basename(dir)}.restoring-`))) {
    const path = join(parent, name)
    try {
      await (await acquireOwnerLock(sqlcipherDriver, path)).release()
    } catch (error) {
      if (error instanceof StoreError && error.code === 'STORE_LOCKED') continue
      throw error
    }
    await rm(path, { recursive: true, force: true })
  }
}
