/**
 * Gives free pages back to the file system: in steps so small that a commit which comes meanwhile waits a moment, or all
 * at once with `VACUUM`, for which commits wait to the end. Why new files can do the first:
 * docs/decisions/0013-incremental-vacuum.md.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../../protocol/store-error.ts'
import { tradingAlong } from '../backup/give-way.ts'
import type { Committer } from '../committer.ts'
import { type Connection, queryOnce } from '../driver.ts'
import { readDiskSpace } from './disk-space.ts'

/** While commits come, each of which may meet one, steps are shorter and rarer. */
const STEP_MS = { alone: 2, besideCommits: 1 } as const
const REST_SHARE = { alone: 1, besideCommits: 4 } as const
const FIRST_PAGES = 16
const MIN_PAGES = 1
const MAX_PAGES = 512
const BUSY_PAUSE_MS = 5

export interface FreeSpace {
  readonly freeBytes: number
  readonly usedBytes: number
  readonly isIncremental: boolean
}

const INCREMENTAL = 2

export const FREE_SPACE_SQL =
  'SELECT * FROM pragma_freelist_count, pragma_page_count, pragma_page_size, pragma_auto_vacuum'

export function freeSpaceOf(row: Readonly<Record<string, unknown>> | undefined): FreeSpace {
  const pageBytes = Number(row?.page_size)
  const freePages = Number(row?.freelist_count)
  return {
    freeBytes: freePages * pageBytes,
    usedBytes: (Number(row?.page_count) - freePages) * pageBytes,
    isIncremental: Number(row?.auto_vacuum) === INCREMENTAL,
  }
}

export async function readFreeSpace(connection: Connection): Promise<FreeSpace> {
  return freeSpaceOf((await queryOnce(connection, FREE_SPACE_SQL))[0])
}

/** Until nothing is free or `isStopped`; `freeSpace` is asked beside the commits. */
export async function vacuumInSteps(
  committer: Committer,
  freeSpace: () => Promise<FreeSpace>,
  isStopped: () => boolean,
): Promise<void> {
  const isTrading = tradingAlong(() => committer.status.commits)
  let { freeBytes, isIncremental } = await freeSpace()
  let pages = FIRST_PAGES
  while (isIncremental && freeBytes > 0) {
    while (committer.isBusy) await delay(BUSY_PAUSE_MS)
    if (isStopped()) return
    const startedAt = performance.now()
    await committer.maintain((connection) => connection.exec(`PRAGMA incremental_vacuum(${pages})`))
    const durationMs = performance.now() - startedAt
    const manner = isTrading() ? 'besideCommits' : 'alone'
    pages = nextPages(pages, durationMs, STEP_MS[manner])
    const before = freeBytes
    ;({ freeBytes } = await freeSpace())
    // Pages that a reader still needs stay where they are.
    if (freeBytes >= before) return
    await delay(durationMs * REST_SHARE[manner])
  }
}

function nextPages(pages: number, durationMs: number, stepMs: number): number {
  if (durationMs > stepMs) return Math.max(MIN_PAGES, Math.floor(pages / 2))
  return durationMs < stepMs / 2 ? Math.min(MAX_PAGES, pages * 2) : pages
}

/** The log takes the whole new content, and the file has the old one until the checkpoint. */
const DISK_SHARE = 2
/** What is rewritten is gathered in memory: temporary files would be one more thing to keep secret. */
const MEMORY_SHARE = 1.5

/** @throws StoreError `DISK_FULL` or `OUT_OF_MEMORY`, before anything is begun */
export async function vacuumFully(committer: Committer, dir: string): Promise<void> {
  await committer.maintain(async (connection) => {
    const { usedBytes } = await readFreeSpace(connection)
    const { freeBytes } = await readDiskSpace(dir)
    const neededBytes = usedBytes * DISK_SHARE
    if (freeBytes < neededBytes) {
      throw new StoreError(
        'DISK_FULL',
        `A full vacuum needs ${neededBytes} bytes of free space and there are ${freeBytes}. Nothing was changed.`,
        { details: { neededBytes, freeBytes } },
      )
    }
    const availableBytes = process.availableMemory()
    if (availableBytes < usedBytes * MEMORY_SHARE) {
      throw new StoreError(
        'OUT_OF_MEMORY',
        `A full vacuum takes as much memory as there is content: ${usedBytes} bytes; ${availableBytes} are available. Nothing was changed; try it where there is more.`,
        { details: { neededBytes: usedBytes * MEMORY_SHARE, availableBytes } },
      )
    }
    await connection.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM')
  })
}
