/** One write may take less than it was given; a page or a chunk has to be there whole (write(2)). */
import type { FileHandle } from 'node:fs/promises'

/**
 * What may wait in the page cache while more is written. The sync of a commit beside it waits for that, too: with a sync
 * at the end only, commits beside a backup had a p99 of 46–54 ms, with these 10–16 ms (docs/decisions/0012). RocksDB's
 * `bytes_per_sync` is the same remedy.
 */
const SYNC_EVERY_BYTES = 256 * 1024

/** Writes all of `chunk`, at `position` or where the file is. */
export async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number | null = null): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const at = position === null ? null : position + written
    written += (await file.write(chunk, written, chunk.length - written, at)).bytesWritten
  }
}

/** Writes `content`, at `position` or where the file is, in pieces that are synced; resolves to its length. */
export async function writeGently(
  file: FileHandle,
  content: AsyncIterable<Uint8Array> | Uint8Array,
  position: number | null = null,
): Promise<number> {
  let bytes = 0
  let waitingBytes = 0
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    await writeWhole(file, chunk, position === null ? null : position + bytes)
    bytes += chunk.length
    waitingBytes += chunk.length
    if (waitingBytes < SYNC_EVERY_BYTES) continue
    await file.datasync()
    waitingBytes = 0
  }
  return bytes
}
