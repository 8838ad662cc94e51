/** Where backups and archives go: a place that takes whole files by name. A folder is one; an object store can be. */
import { StoreError } from '../../protocol/store-error.ts'
import { openFolderTarget } from './folder-target.ts'
import type { Pace } from './pace.ts'
import { isS3 } from './s3-location.ts'
import { openS3Target } from './s3-target.ts'
import { isTar, openTar } from './tar-target.ts'

export interface BackupTarget {
  /** As a person would write it. */
  readonly location: string
  /** Whole or absent, durable when it resolves; replaces what was there. Paths are relative, '/'-separated. */
  write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void>
  /**
   * The bytes in order, in pieces of at most 1 MiB; fewer than `range` asks for when the file ends before.
   *
   * @param isPassing each piece is done with when the next is asked for, so that its memory may be used again
   * @throws StoreError `TARGET_FILE_MISSING`
   */
  read(path: string, range?: ByteRange, isPassing?: boolean): AsyncIterable<Uint8Array>
  /** Every whole file whose path starts with `prefix`, by path; none when there is no such place. */
  list(prefix: string): Promise<readonly TargetFile[]>
  /** Durable when it resolves; no error when there is none. */
  remove(path: string): Promise<void>
  /**
   * Keeps a second backup or prune from changing `area` until the release. What writers that died have left there
   * unfinished is gone when it resolves.
   *
   * @throws StoreError `TARGET_BUSY`
   */
  lock(area: string): Promise<TargetLock>
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

export interface TargetFile {
  readonly path: string
  readonly bytes: number
}

export interface TargetLock {
  release(): Promise<void>
}

/**
 * Opens a place for backups: a folder, which is made by the first write to it, or `s3://bucket/prefix`, whose bucket is
 * there already. A `.tar` can be read only: see `createTar`.
 *
 * @throws StoreError `INVALID_ARGUMENT` for a location that is neither, `BACKUP_NOT_FOUND` and `BACKUP_DAMAGED` for a
 * `.tar`, `PERMISSION_DENIED`, `IO_ERROR`
 *
 * @param pace of writing to a folder; without one it gives way to commits that may come
 */
export async function openTarget(location: string, pace?: Pace): Promise<BackupTarget> {
  if (isS3(location)) return await openS3Target(location)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1]
  if (scheme !== undefined) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      `No place under ${scheme}:// can be written to. Name a folder, or s3://bucket/prefix.`,
    )
  }
  return isTar(location) ? await openTar(location) : await openFolderTarget(location, pace)
}
