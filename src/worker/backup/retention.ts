/** Which backups a retention rule keeps. Days, weeks (from Monday) and months are those of UTC. */
import type { RetentionRule } from '../../schema/retention-rule.ts'

export interface DatedBackup {
  readonly id: string
  readonly createdAt: string
}

const DAY_MS = 86_400_000
/** 1970-01-01 was a Thursday. */
const FIRST_MONDAY_DAY = 4

/**
 * The ids to keep, of backups in any order: the newest `last` ones, and the newest one of each of the last `daily` days,
 * `weekly` weeks and `monthly` months that have any. The newest of all is always kept.
 */
export function keptBackups(backups: readonly DatedBackup[], rule: RetentionRule): Set<string> {
  const newestFirst = [...backups].sort((a, b) => (a.id < b.id ? 1 : -1))
  const kept = new Set(newestFirst.slice(0, Math.max(1, rule.last ?? 0)).map(({ id }) => id))
  keepOnePerPeriod(newestFirst, rule.daily ?? 0, dayOf, kept)
  keepOnePerPeriod(newestFirst, rule.weekly ?? 0, (at) => Math.floor((dayOf(at) - FIRST_MONDAY_DAY) / 7), kept)
  keepOnePerPeriod(newestFirst, rule.monthly ?? 0, (at) => at.getUTCFullYear() * 12 + at.getUTCMonth(), kept)
  return kept
}

function dayOf(at: Date): number {
  return Math.floor(at.getTime() / DAY_MS)
}

function keepOnePerPeriod(
  newestFirst: readonly DatedBackup[],
  count: number,
  periodOf: (at: Date) => number,
  kept: Set<string>,
): void {
  const periods = new Set<number>()
  for (const { id, createdAt } of newestFirst) {
    const period = periodOf(new Date(createdAt))
    if (periods.has(period) || periods.size === count) continue
    periods.add(period)
    kept.add(id)
  }
}
