/**
 * Why: a small file that must not be lost is never written in place. The new content is staged beside it and made
 * durable, then renamed over the old one: after a crash at any moment the file is the old one or the new one, whole.
 *
 * Staging and publishing are two steps so that several files can be staged before the first one is replaced: a full
 * disk is met while nothing has changed yet.
 */

import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError } from './file-error.ts'
import { syncPath } from './sync-path.ts'

/** Content that is durable beside its target and not yet in its place. */
export interface StagedFile {
  readonly target: string
  readonly temporary: string
}

/**
 * Writes `content` to `<target>.tmp` with mode 0600 and fsyncs it. What a crash left under that name is replaced, so
 * leftovers never pile up; the caller sees to it that a target has one writer at a time.
 *
 * @throws StoreError DISK_FULL, PERMISSION_DENIED or IO_ERROR; nothing is left behind then
 */
export async function stageFile(target: string, content: string): Promise<StagedFile> {
  const temporary = `${target}.tmp`
  try {
    await rm(temporary, { force: true })
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.chmod(0o600)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    await discardFile({ target, temporary })
    throw fileError(error, 'write', target)
  }
  return { target, temporary }
}

/**
 * Renames a staged file over its target and fsyncs the folder: durable when the promise resolves.
 *
 * @throws StoreError PERMISSION_DENIED or IO_ERROR; the target is then the old file or the new one, whole
 */
export async function publishFile(staged: StagedFile): Promise<void> {
  try {
    await rename(staged.temporary, staged.target)
    await syncPath(dirname(staged.target))
  } catch (error) {
    throw fileError(error, 'write', staged.target)
  }
}

/** Removes a staged file that will not be published; one that cannot be removed is harmless and left. */
export async function discardFile(staged: StagedFile): Promise<void> {
  await rm(staged.temporary, { force: true }).catch(() => undefined)
}
