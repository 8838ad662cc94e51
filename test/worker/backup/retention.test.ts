import { describe, expect, test } from 'vitest'
import { keptBackups } from '../../../src/worker/backup/retention.ts'

/** One a day at noon, 2026-01-01 (a Thursday) first. */
const days = Array.from({ length: 60 }, (_, day) => {
  const createdAt = new Date(Date.UTC(2026, 0, 1 + day, 12)).toISOString()
  return { id: String(day + 1).padStart(6, '0'), createdAt }
})

function keptDays(rule: Parameters<typeof keptBackups>[1], backups = days): string[] {
  const kept = keptBackups(backups, rule)
  return backups.filter(({ id }) => kept.has(id)).map(({ createdAt }) => createdAt.slice(5, 10))
}

describe('retention', () => {
  test('keeps the newest, whatever the rule', () => {
    expect(keptDays({})).toEqual(['03-01'])
    expect(keptDays({ last: 0 })).toEqual(['03-01'])
  })

  test('keeps the last ones', () => {
    expect(keptDays({ last: 3 })).toEqual(['02-27', '02-28', '03-01'])
  })

  test('keeps the newest of each day, week from Monday, and month', () => {
    const twice = [...days, { id: '000061', createdAt: '2026-03-01T23:59:59.999Z' }]
    expect(keptBackups(twice, { daily: 2 })).toEqual(new Set(['000061', '000059']))
    expect(keptDays({ weekly: 3 })).toEqual(['02-15', '02-22', '03-01'])
    expect(keptDays({ monthly: 5 })).toEqual(['01-31', '02-28', '03-01'])
  })

  test('counts days that have a backup, not days of the calendar', () => {
    const sparse = days.filter((_, day) => day % 10 === 0)
    expect(keptDays({ daily: 3 }, sparse)).toEqual(['01-31', '02-10', '02-20'])
  })

  test('goes by number when a clock has jumped back', () => {
    const jumped = [...days, { id: '000061', createdAt: '2020-01-01T00:00:00.000Z' }]
    expect(keptBackups(jumped, { last: 1 })).toEqual(new Set(['000061']))
  })
})
