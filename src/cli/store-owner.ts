/**
 * Who owns a store, told without touching its lock: the owner records itself in `owner.json`, and Linux lists who holds
 * a lock on which file. The lock file must not be opened here: closing it again would be harmless to another process,
 * but not to this one, should it ever be the owner.
 */
import { readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from '../index.ts'

const ownerSchema = z.object({ pid: z.int().positive(), hostname: z.string(), since: z.string() })

export interface StoreOwner extends z.infer<typeof ownerSchema> {
  /** `unknown`: it is on another machine, or the system doesn't tell. */
  readonly state: 'running' | 'stopped' | 'unknown'
}

/** The last owner that was recorded, and whether it still has the store open; null before there was one. */
export async function storeOwner(dir: string): Promise<StoreOwner | null> {
  const text = await readFile(join(dir, 'owner.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return null
  let parsed: z.infer<typeof ownerSchema>
  try {
    parsed = ownerSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
  return { ...parsed, state: await stateOf(parsed, dir) }
}

async function stateOf(owner: z.infer<typeof ownerSchema>, dir: string): Promise<StoreOwner['state']> {
  if (owner.hostname !== hostname()) return 'unknown'
  if (!isAlive(owner.pid)) return 'stopped'
  const locks = await readFile('/proc/locks', 'utf8').catch(() => undefined)
  const lock = await stat(join(dir, 'lock')).catch(() => undefined)
  if (locks === undefined || lock === undefined) return 'unknown'
  // 5: POSIX  ADVISORY  WRITE 29347 fe:00:2154963 1073741824 1073742335
  const held = new RegExp(`\\sWRITE\\s+${owner.pid}\\s+[0-9a-f]+:[0-9a-f]+:${lock.ino}\\s`)
  return held.test(locks) ? 'running' : 'stopped'
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
