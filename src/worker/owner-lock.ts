/**
 * One owner at a time, held by the operating system: SQLite's exclusive lock on an empty database file is an fcntl
 * lock, which the kernel drops the moment the process dies, however it dies. A second open in the same process is
 * refused too, because SQLite keeps track of its own locks. The file itself stays empty and nobody else may open it:
 * closing any descriptor of it would drop the lock (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_).
 */
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import type { Durability } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { type Connection, type Driver, DriverError } from './driver.ts'
import { FILE_MODE, LOCK_FILE, OWNER_FILE } from './store-files.ts'

const ownerSchema = z.object({
  pid: z.int(),
  hostname: z.string(),
  since: z.string(),
  durability: z.enum(['full', 'normal']),
})

/** Who holds a store. */
export type Owner = z.infer<typeof ownerSchema>

export interface OwnerLock {
  /** Whoever held the store before. */
  readonly previousOwner: Owner | undefined
  /** Records how this owner writes. Call before the first write, once the log of the owner before has been looked at. */
  recordDurability(durability: Durability): Promise<void>
  release(): Promise<void>
}

/** @throws StoreError `STORE_LOCKED` with the owner's pid when another owner has the store open. */
export async function acquireOwnerLock(driver: Driver, dir: string): Promise<OwnerLock> {
  const path = join(dir, LOCK_FILE)
  const connection = await driver.open(path, { mode: 'create', busyTimeoutMs: 0 })
  try {
    await connection.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    await chmod(path, FILE_MODE)
  } catch (error) {
    await connection.close()
    if (error instanceof DriverError && error.code === 'BUSY') throw await locked(dir, error)
    throw error
  }
  const previousOwner = await readOwner(dir)
  // Until it writes itself, an owner that may yet be refused leaves on record how the log was written.
  const recorded = previousOwner?.durability ?? 'full'
  await recordOwner(dir, recorded)
  return {
    previousOwner,
    async recordDurability(durability) {
      if (durability !== recorded) await recordOwner(dir, durability)
    },
    release: () => releaseLock(connection),
  }
}

async function releaseLock(connection: Connection): Promise<void> {
  await connection.exec('ROLLBACK')
  await connection.close()
}

async function recordOwner(dir: string, durability: Durability): Promise<void> {
  const owner: Owner = { pid: process.pid, hostname: hostname(), since: new Date().toISOString(), durability }
  await writeFile(join(dir, OWNER_FILE), `${JSON.stringify(owner)}\n`, { mode: FILE_MODE })
}

/** The last recorded owner; it holds the store only while the lock is taken. */
export async function readOwner(dir: string): Promise<Owner | undefined> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(join(dir, OWNER_FILE), 'utf8')))
  } catch {
    return undefined
  }
}

async function locked(dir: string, cause: unknown): Promise<StoreError> {
  const owner = await readOwner(dir)
  const who = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.hostname} since ${owner.since}`
  return new StoreError(
    'STORE_LOCKED',
    `${dir} is in use by ${who}. A store has one owner: stop it first, or open with readOnly: true to look beside it.`,
    { details: { dir, pid: owner?.pid ?? null, hostname: owner?.hostname ?? null }, cause },
  )
}
