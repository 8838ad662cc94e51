/**
 * How a restore comes to its directory: everything is put together and checked in a folder beside it, which takes its
 * name at the end. A restore that is killed leaves nothing there. What is in the way is never written over; with
 * `force` it is moved aside.
 */
import { randomBytes } from 'node:crypto'
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
  const stage = `${dir}.restoring-${name}-${process.pid}-${randomBytes(4).toString('hex')}`
  await mkdir(dirname(stage), { recursive: true })
  await mkdir(stage, { mode: DIRECTORY_MODE })
  try {
    const lock = await acquireOwnerLock(sqlcipherDriver, stage)
    try {
      const result = await fill(stage)
      await syncPath(stage)
      const movedAside = await publish(stage, dir, force)
      // The lock file stays: it is locked until the end, lest another restore clears away what is about to get its name.
      await rm(join(dir, OWNER_FILE), { force: true })
      return { result, movedAside }
    } finally {
      await lock.release()
    }
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
    await takeName(stage, dir)
    return null
  }
  if (!force) throw cameMeanwhile(dir)
  const lock = await lockIfStore(dir)
  try {
    const aside = `${dir}.replaced-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`
    await rename(dir, aside)
    await failpoint('restore:moved-aside')
    await takeName(stage, dir)
    return aside
  } finally {
    await lock?.release()
  }
}

/** Another restore may have been faster. */
async function takeName(stage: string, dir: string): Promise<void> {
  try {
    await rename(stage, dir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ENOTEMPTY' || code === 'EEXIST' ? cameMeanwhile(dir) : error
  }
  await failpoint('restore:renamed')
  await syncPath(dirname(dir))
}

function cameMeanwhile(dir: string): StoreError {
  return new StoreError('STORE_EXISTS', `${dir} has come into being meanwhile, and was left as it is.`, {
    details: { dir },
  })
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
      const lock = await acquireOwnerLock(sqlcipherDriver, path)
      try {
        // Under the lock it gets another name, so that nobody goes on in it while it is being removed.
        await rename(path, `${path}-removed`)
      } finally {
        await lock.release()
      }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'STORE_LOCKED') continue
      // Somebody else has cleared it away.
      if ((await stat(path).catch(() => undefined)) === undefined) continue
      throw error
    }
    await rm(`${path}-removed`, { recursive: true, force: true })
  }
}
