/** Bytes this process (all of its threads) has caused to be written to a disk: pages made dirty, each time they were. */
import { readFileSync } from 'node:fs'

export function readDiskBytesWritten(): number {
  const line = readFileSync('/proc/self/io', 'utf8').match(/^write_bytes: (\d+)$/m)
  if (line === null) throw new Error('/proc/self/io has no write_bytes: this kernel keeps no account of I/O.')
  return Number(line[1])
}
