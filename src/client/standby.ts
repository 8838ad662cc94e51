/** A standby, from the main thread: a worker that follows an archive. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { StandbyStatus } from '../protocol/archive.ts'
import { StoreError } from '../protocol/store-error.ts'
import { WorkerLink } from './worker-link.ts'

const DEFAULT_POLL_MS = 1_000
const CATCH_UP_POLL_MS = 20

export interface FollowArchiveOptions {
  /** The archive: `archive.dir` of the store that is followed. */
  readonly from: string
  /** A directory of its own; made when missing. */
  readonly dir: string
  /** How often to look for new segments; default 1,000. */
  readonly pollMs?: number | undefined
}

const followOptions = z.strictObject({
  from: z.string().min(1),
  dir: z.string().min(1),
  pollMs: z.int().min(10).optional(),
})

/** A directory that becomes a copy of a store, segment by segment. */
export interface Standby {
  status(): Promise<StandbyStatus>
  /** Resolves once it has everything that the archive held when it looked last. Rejects with `TIMEOUT`. */
  caughtUp(timeoutMs: number): Promise<StandbyStatus>
  /** Stops following; the directory can be opened, which promotes it, or followed on. */
  close(): Promise<void>
}

/**
 * Follows an archive without any key. The directory is locked meanwhile. To promote it, close the standby and open the
 * directory with the password: from then on it is a store, and can't follow any more.
 *
 * Rejects with `STORE_EXISTS` for a directory with a store, `STORE_LOCKED`, `STORE_CORRUPT`, `INVALID_ARGUMENT`. What
 * goes wrong later, such as a damaged segment, is in its status, and it goes on when that is put right.
 *
 * @example
 * const standby = await followArchive({ from: '/mnt/archive', dir: './standby' })
 * await standby.caughtUp(60_000)
 */
export async function followArchive(options: FollowArchiveOptions): Promise<Standby> {
  const parsed = followOptions.safeParse(options)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`)
    throw new StoreError('INVALID_ARGUMENT', `followArchive can't take these options: ${problems.join('; ')}`)
  }
  const { from, dir, pollMs = DEFAULT_POLL_MS } = parsed.data
  const link = await WorkerLink.start()
  try {
    await link.call('follow', { from: resolvedLocation(from), dir: resolve(dir), pollMs })
  } catch (error) {
    await link.terminate()
    throw error
  }
  return new FollowingStandby(link)
}

/** A folder is taken from here; an address stays what it is. */
export function resolvedLocation(location: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location) ? location : resolve(location)
}

class FollowingStandby implements Standby {
  readonly #link: WorkerLink
  #closed: Promise<void> | undefined

  constructor(link: WorkerLink) {
    this.#link = link
  }

  async status(): Promise<StandbyStatus> {
    return await this.#link.call('followed')
  }

  async caughtUp(timeoutMs: number): Promise<StandbyStatus> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const status = await this.status()
      if (status.isCaughtUp) return status
      if (performance.now() > deadline) {
        throw new StoreError('TIMEOUT', `The standby has not caught up within ${timeoutMs} ms.${lastErrorOf(status)}`)
      }
      await new Promise((resume) => setTimeout(resume, CATCH_UP_POLL_MS))
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    try {
      await this.#link.call('unfollow')
    } finally {
      await this.#link.terminate()
    }
  }
}

function lastErrorOf({ lastError }: StandbyStatus): string {
  return lastError === null ? '' : ` ${lastError.message}`
}
