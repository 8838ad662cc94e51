/** An archive that does not keep up: what is written now would be lost with this machine. */
import type { ArchiveStatus } from '../../protocol/archive.ts'
import type { CheckFinding } from '../../protocol/check-finding.ts'

const MAX_INTERVALS = 10
/** A slow moment of a target far away is none yet. */
const MIN_LAG_MS = 2_000

/** `archive` is null without archiving, and beside the owner, who alone knows. */
export function archiveFindings(archive: ArchiveStatus | null): CheckFinding[] {
  if (archive === null) return []
  const { generation, lagMs, lagBytes, intervalMs, location, lastError } = archive
  // A generation that was given up does not wait for the archive any more, so it has no lag.
  const isGivenUp = generation === null && lastError !== null
  if (!isGivenUp && lagMs <= Math.max(MIN_LAG_MS, intervalMs * MAX_INTERVALS)) return []
  const reason = lastError === null ? '' : ` (${lastError.code})`
  return [
    {
      code: 'ARCHIVE_BEHIND',
      severity: 'warning',
      subject: location,
      problem: isGivenUp
        ? `nothing reaches the archive${reason}`
        : `the archive is ${Math.round(lagMs / 1_000)} s and ${lagBytes} bytes behind, where ${intervalMs} ms are wanted${reason}`,
      remedy: 'See that it can be reached, has room and is fast enough; status().archive.lastError tells more.',
      repairable: false,
    },
  ]
}
