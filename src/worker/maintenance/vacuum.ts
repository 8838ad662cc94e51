/**
 * Gives free pages back to the file system: in steps so small that a commit which comes meanwhile waits a moment, or all
 * at once with `VACUUM`, for which commits wait to the end. Why new files can do the first:
 * docs/decisions/0013-incremental-vacuum.md.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../../protocol/store-error.ts'
import type { Committer } from '../committer.ts'
import { type Connection, queryOnce } from '../driver.ts'
import { readDiskSpace } from './disk-space.ts'

const STEP_MS = 2
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

/** Until nothing is free or `isStopped`. */
export async function vacuumInSteps(committer: Committer, isStopped: () => boolean): Promise<void> {
  let { freeBytes, isIncremental } = await committer.maintain(readFreeSpace)
  let pages = FIRST_PAGES
  while (isIncremental && freeBytes > 0) {
    while (committer.isBusy) await delay(BUSY_PAUSE_MS)
    if (isStopped()) return
    const startedAt = performance.now()
    await committer.maintain((connection) => connection.exec(`PRAGMA incremental_vacuum(${pages})`))
    const durationMs = performance.now() - startedAt
    pages = nextPages(pages, durationMs)
    const before = freeBytes
    ;({ freeBytes } = await committer.maintain(readFreeSpace))
    // Pages that a reader still needs stay where they are.
    if (freeBytes >= before) return
    await delay(durationMs)
  }
}

function nextPages(pages: number, durationMs: number): number {
  if (durationMs > STEP_MS) return Math.max(MIN_PAGES, Math.floor(pages / 2))
  return durationMs < STEP_MS / 2 ? Math.min(MAX_PAGES, pages * 2) : pages
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
