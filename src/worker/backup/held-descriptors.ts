/**
 * Descriptors of a database's files beside SQLite's own. Closing any descriptor of a file drops every POSIX lock this
 * process has on it (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_), so they stay open until nothing in
 * the process holds a lock on that file any more, and one that would have to be closed earlier stays open for good.
 */
import { close, fstat, open } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const openDescriptor = promisify(open)
const closeDescriptor = promisify(close)
const statDescriptor = promisify(fstat)

interface Held {
  readonly descriptor: number
  readonly device: number
  readonly inode: number
}

export class HeldDescriptors {
  readonly #held: Held[] = []

  /** A descriptor to read `path` by, the same for the same file. Never close it. */
  async descriptorOf(path: string): Promise<number> {
    const { dev, ino } = await stat(path)
    const known = this.#held.find(({ device, inode }) => device === dev && inode === ino)
    if (known !== undefined) return known.descriptor
    const descriptor = await openDescriptor(path, 'r')
    const opened = await statDescriptor(descriptor)
    this.#held.push({ descriptor, device: opened.dev, inode: opened.ino })
    return descriptor
  }

  /** Call when the connections of this store to the files are closed. */
  async close(): Promise<void> {
    if (this.#held.length === 0) return
    const locks = await readFile('/proc/locks', 'utf8').catch(() => undefined)
    for (const { descriptor, inode } of this.#held.splice(0)) {
      if (locks !== undefined && !isLockedHere(locks, inode)) await closeDescriptor(descriptor)
    }
  }
}

/** Another store in this process may have the file open: `5: POSIX  ADVISORY  READ 29347 fe:00:2154963 124 124`. */
function isLockedHere(locks: string, inode: number): boolean {
  return new RegExp(`\\sPOSIX\\s+\\S+\\s+\\S+\\s+${process.pid}\\s+[0-9a-f]+:[0-9a-f]+:${inode}\\s`).test(locks)
}
