/** A name in a folder, new or changed, survives a crash only when the folder itself has been synced (fsync(2)). */
import { open } from 'node:fs/promises'

/** Makes a file, or the names in a folder, durable. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
