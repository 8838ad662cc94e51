/** One write may take less than it was given; a page or a chunk has to be there whole (write(2)). */
import type { FileHandle } from 'node:fs/promises'

/** Writes all of `chunk`, at `position` or where the file is. */
export async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number | null = null): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const at = position === null ? null : position + written
    written += (await file.write(chunk, written, chunk.length - written, at)).bytesWritten
  }
}
