/**
 * A commit whose fsync failed is refused, but its frames stand whole behind the end of the write-ahead log. After a
 * crash SQLite would take them for durable, and what was refused would be back; or, half overwritten by a shorter
 * commit, they would look like damage in the middle of the log. So they are made unreadable: a frame with page number
 * zero fits nowhere (https://sqlite.org/fileformat2.html#walread).
 */
import { open } from 'node:fs/promises'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const PAGE_SIZE_OFFSET = 8
const SALT_OFFSET = 16
const FRAME_SALT_OFFSET = 8
const SALT_BYTES = 8
const ERASED = Buffer.alloc(FRAME_HEADER_BYTES)

/** Erases the frames of this log behind its first `frames`. Call while no commit is under way. */
export async function eraseWalTail(walPath: string, frames: number): Promise<void> {
  const file = await open(walPath, 'r+')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0)
    if (bytesRead < HEADER_BYTES) return
    const frameBytes = FRAME_HEADER_BYTES + header.readUInt32BE(PAGE_SIZE_OFFSET)
    const salt = header.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES)
    const frame = Buffer.alloc(FRAME_HEADER_BYTES)
    for (let offset = HEADER_BYTES + frames * frameBytes; ; offset += frameBytes) {
      const read = await file.read(frame, 0, FRAME_HEADER_BYTES, offset)
      const isOurs = salt.equals(frame.subarray(FRAME_SALT_OFFSET, FRAME_SALT_OFFSET + SALT_BYTES))
      if (read.bytesRead < FRAME_HEADER_BYTES || !isOurs) return
      await file.write(ERASED, 0, FRAME_HEADER_BYTES, offset)
    }
  } finally {
    await file.close()
  }
}
