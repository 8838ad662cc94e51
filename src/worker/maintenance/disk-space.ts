import { statfs } from 'node:fs/promises'
import type { DiskSpace } from '../../protocol/methods.ts'

export async function readDiskSpace(dir: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(dir)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
