/** Keys that have been in use for longer than somebody wants them to be. */
import type { Keyring } from '../../crypto/keyring.ts'
import { readKeyring } from '../../crypto/keyring-file.ts'
import type { CheckFinding } from '../../protocol/check-finding.ts'

const DAY_MS = 86_400_000

interface DatedKey {
  readonly subject: string
  readonly createdAt: string
  readonly remedy: string
}

/** A time to come, which a clock that was ahead leaves behind, is not overdue. */
export async function overdueKeyFindings(dir: string, maxAgeMs: number): Promise<CheckFinding[]> {
  const found = await readKeyring(dir)
  if (found === undefined) return []
  const findings: CheckFinding[] = []
  for (const { subject, createdAt, remedy } of datedKeys(found.keyring)) {
    const ageMs = Date.now() - Date.parse(createdAt)
    if (ageMs <= maxAgeMs) continue
    findings.push({
      code: 'KEY_OVERDUE',
      severity: 'error',
      subject,
      problem: `in use since ${createdAt}, ${inDays(ageMs)} days; ${inDays(maxAgeMs)} are allowed`,
      remedy,
      repairable: false,
    })
  }
  return findings
}

function datedKeys(keyring: Keyring): DatedKey[] {
  const dataKeyCreatedAt = keyring.version === 1 ? keyring.createdAt : keyring.dataKeys[0]?.createdAt
  return [
    { subject: 'data key', createdAt: dataKeyCreatedAt as string, remedy: 'Give the store another data key.' },
    ...keyring.slots.map(({ id, kind, label, createdAt }) => ({
      subject: `keyslot ${id} (${label === undefined ? kind : `${kind}, "${label}"`})`,
      createdAt,
      remedy: 'Put another key in its place, or remove it.',
    })),
  ]
}

function inDays(ms: number): string {
  return (ms / DAY_MS).toLocaleString('en-US', { maximumFractionDigits: 1 })
}
