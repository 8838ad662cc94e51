/**
 * A backup copies the files that its snapshot of the database names, and takes its time. It may run in another process
 * than the owner, who could delete an artifact meanwhile. So it leaves a note in the store directory before it takes its
 * snapshot, and whoever removes files looks for notes when their rows are gone: a snapshot that still has the rows is
 * older than that, and its note older still. Files that are spared are without a row, and the next collection of garbage
 * removes them.
 */
import { randomUUID } from 'node:crypto'
import { open, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from '../process-alive.ts'
import { FILE_MODE } from '../store-files.ts'

const NOTE = /^\.blobs-held-(\d+)-[0-9a-f-]{36}$/
const RENEWAL_MS = 60_000
/** A note this old is of a process that died; its number may be another's by now. */
const EXPIRY_MS = 15 * 60_000

/** Runs `work` while no file is removed. */
export async function withBlobsHeld<T>(dir: string, work: () => Promise<T>): Promise<T> {
  const path = join(dir, `.blobs-held-${process.pid}-${randomUUID()}`)
  const written = await leaveNote(path)
  const renewal = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, RENEWAL_MS)
  renewal.unref()
  try {
    return await work()
  } finally {
    clearInterval(renewal)
    if (written) await rm(path, { force: true })
  }
}

/** Where nothing can be written, nothing can be removed either. */
async function leaveNote(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', FILE_MODE)).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') return false
    throw error
  }
}

/** True while a backup may still need files whose rows are gone. Notes of processes that died are removed. */
export async function areBlobsHeld(dir: string): Promise<boolean> {
  let held = false
  for (const name of await readdir(dir)) {
    const pid = NOTE.exec(name)?.[1]
    if (pid === undefined) continue
    const path = join(dir, name)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0)
    if (isAlive(Number(pid)) && Math.abs(age) < EXPIRY_MS) held = true
    else await rm(path, { force: true })
  }
  return held
}
