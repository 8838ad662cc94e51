/** How far the backup or restore of this worker is; the client asks for it while it waits. */
import type { BackupProgress } from '../../protocol/backup.ts'

let current: BackupProgress | null = null

export function beginPhase(phase: BackupProgress['phase'], totalBytes: number): void {
  current = { phase, doneBytes: 0, totalBytes }
}

export function advance(bytes: number): void {
  if (current !== null) current = { ...current, doneBytes: current.doneBytes + bytes }
}

export function endProgress(): void {
  current = null
}

export function backupProgress(): BackupProgress | null {
  return current
}
