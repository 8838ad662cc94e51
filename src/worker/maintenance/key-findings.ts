/** Keys that have been in use for longer than somebody wants them to be, and a keyring that was taken back. */
import type { Keyring } from '../../crypto/keyring.ts'
import { readKeyring } from '../../crypto/keyring-file.ts'
import type { CheckFinding } from '../../protocol/check-finding.ts'
import { olderKeyring, type Query } from '../keyring-record.ts'

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
] as const

/** The keyring on disk against what `state.db` has on record. */
export async function outdatedKeyringFindings(dir: string, queryState: Query): Promise<CheckFinding[]> {
  const older = await olderKeyring(dir, queryState)
  if (older === undefined) return []
  const { generation, recordedGeneration } = older
  return [
    {
      code: 'KEYRING_OUTDATED',
      severity: 'error',
      subject: 'keyring.json',
      problem: `it is of generation ${generation}, and ${recordedGeneration} is on record: somebody has put an older one in its place`,
      remedy:
        'Find out who, and put the newer one back: the next open is refused with this one. If there is none any more: holdfast key accept-older.',
      repairable: false,
    },
  ]
}

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
      problem: `in use since ${createdAt}, for ${spanOf(ageMs)}; ${spanOf(maxAgeMs)} are allowed`,
      remedy,
      repairable: false,
    })
  }
  return findings
}

function datedKeys(keyring: Keyring): DatedKey[] {
  const dataKeyCreatedAt = keyring.version === 1 ? keyring.createdAt : keyring.dataKeys[0]?.createdAt
  return [
    {
      subject: 'data key',
      createdAt: dataKeyCreatedAt as string,
      remedy: 'Give the store another data key: holdfast key rotate-data.',
    },
    ...keyring.slots.map(({ id, kind, label, createdAt }) => ({
      subject: `keyslot ${id} (${label === undefined ? kind : `${kind}, "${label}"`})`,
      createdAt,
      remedy:
        kind === 'password'
          ? `Put another password in its place (holdfast key rotate-password --slot ${id}), or remove it.`
          : `Add another one, then take this one away: holdfast key remove ${id}.`,
    })),
  ]
}

function spanOf(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, each]) => ms >= each) ?? (['seconds', 1_000] as const)
  return `${(ms / unitMs).toLocaleString('en-US', { maximumFractionDigits: 1 })} ${unit}`
}
