/**
 * Gives the WAL its working size at once. An fsync after writing over a file's blocks costs two thirds of one that has
 * to record new blocks too (docs/decisions/0003-checkpoints.md), and a fresh WAL grows with every commit until its first
 * checkpoint. The bytes past its last frame may be anything: SQLite reads a WAL up to the first frame whose salt and
 * checksum do not fit, and a page number of zero fits none (https://sqlite.org/fileformat2.html#walread).
 */
import { open, statfs } from 'node:fs/promises'
import { CHECKPOINT_AFTER_FRAMES } from './checkpointer.ts'

/** A header, and frames of a header and a page each. */
const WORKING_BYTES = 32 + CHECKPOINT_AFTER_FRAMES.state * (24 + 4_096)
const CHUNK = Buffer.alloc(1_048_576)
const MIN_FREE_SHARE = 32

/** Call while no commit is under way. Does nothing where the disk is short of space. */
export async function preallocateWal(walPath: string): Promise<void> {
  const { bavail, bsize } = await statfs(walPath)
  if (bavail * bsize < WORKING_BYTES * MIN_FREE_SHARE) return
  const file = await open(walPath, 'r+')
  try {
    let { size } = await file.stat()
    while (size < WORKING_BYTES) {
      const { bytesWritten } = await file.write(CHUNK, 0, Math.min(CHUNK.length, WORKING_BYTES - size), size)
      size += bytesWritten
    }
    await file.sync()
  } finally {
    await file.close()
  }
}
