/**
 * A commit whose fsync failed is refused, but its frames stand whole behind the end of the write-ahead log. After a
 * crash SQLite would take them for durable, and what was refused would be back; or, half overwritten by a shorter
 * commit, they would look like damage in the middle of the log. So they are made unreadable: a frame with page number
 * zero fits nowhere (https://sqlite.org/fileformat2.html#walread).
 */
import { open } from 'node:fs/promises'
import { FRAME_HEADER_BYTES, frameOffset, parseWalHeader, WAL_HEADER_BYTES } from './archive/wal-frames.ts'

const ERASED = Buffer.alloc(FRAME_HEADER_BYTES)

/** Erases the frames of this log behind its first `frames`. Call while no commit is under way. */
export async function eraseWalTail(walPath: string, frames: number): Promise<void> {
  const file = await open(walPath, 'r+')
  try {
    const bytes = Buffer.alloc(WAL_HEADER_BYTES)
    const { bytesRead } = await file.read(bytes, 0, WAL_HEADER_BYTES, 0)
    const header = bytesRead < WAL_HEADER_BYTES ? undefined : parseWalHeader(bytes)
    if (header === undefined) return
    const frame = Buffer.alloc(FRAME_HEADER_BYTES)
    for (let index = frames + 1; ; index++) {
      const offset = frameOffset(index, header.pageBytes)
      const read = await file.read(frame, 0, FRAME_HEADER_BYTES, offset)
      if (read.bytesRead < FRAME_HEADER_BYTES || frame.compare(header.salt, 0, 8, 8, 16) !== 0) return
      await file.write(ERASED, 0, FRAME_HEADER_BYTES, offset)
    }
  } finally {
    await file.close()
  }
}
