/** One write may take less than it was given; a page or a chunk has to be there whole (write(2)). */
import type { FileHandle } from 'node:fs/promises'
import { gentlePace, type Pace } from './pace.ts'

/** Writes all of `chunk`, at `position` or where the file is. */
export async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number | null = null): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const at = position === null ? null : position + written
    written += (await file.write(chunk, written, chunk.length - written, at)).bytesWritten
  }
}

/**
 * Writes `content`, at `position` or where the file is, and syncs it at the pace; resolves to its length. Part of it may
 * not be synced yet. Where large amounts are synced, more is written meanwhile.
 */
export async function writePaced(
  file: FileHandle,
  content: AsyncIterable<Uint8Array> | Uint8Array,
  position: number | null = null,
  pace: Pace = gentlePace,
): Promise<number> {
  let bytes = 0
  let waitingBytes = 0
  let syncing: Promise<void> = Promise.resolve()
  try {
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      await writeWhole(file, chunk, position === null ? null : position + bytes)
      bytes += chunk.length
      waitingBytes += chunk.length
      if (waitingBytes < pace.syncEveryBytes) continue
      await syncing
      waitingBytes = 0
      syncing = file.datasync()
      // It is looked at before the next one.
      syncing.catch(() => undefined)
      if (!pace.isAlone) await syncing
    }
    return bytes
  } finally {
    await syncing
  }
}
