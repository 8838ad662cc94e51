/** What the documentation shows of the metrics is there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { openSharedStore, tempDir } from './fixtures/temp-store.ts'

const METRIC = /holdfast_[a-z_]+/g
/** Told only once there are samples a day apart. */
const NOT_AT_ONCE = ['holdfast_growth_bytes_per_day', 'holdfast_days_until_disk_full']

const elsewhere = tempDir(afterAll)
const store = await openSharedStore({ archive: { dir: join(elsewhere, 'archive') } })
// Not beside the archive's first generation.
await vi.waitFor(() => store.backup(join(elsewhere, 'backups')), 20_000)
await store.maintain()
await store.check()
const known = new Set([
  ...[...(await store.metrics()).matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string),
  ...NOT_AT_ONCE,
])

function named(file: string): string[] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8')
  return [...new Set(text.match(METRIC))].map((name) => name.replace(/_bucket$/, ''))
}

describe('every metric exists that is named in', () => {
  test.each(['grafana-dashboard.json', 'monitoring.md'])('%s', (file) => {
    const names = named(file)
    expect(names.length).toBeGreaterThan(15)
    expect(names.filter((name) => !known.has(name))).toEqual([])
  })
})

test('every metric is told of in monitoring.md', () => {
  const told = new Set(named('monitoring.md'))
  expect([...known].filter((name) => !told.has(name))).toEqual([])
})

test('the dashboard has panels of their own, each asking its data source', () => {
  const { panels } = JSON.parse(
    readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8'),
  ) as { panels: { id: number; targets: { expr: string }[] }[] }
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  expect(
    panels.every(({ targets }) => targets.length > 0 && targets.every(({ expr }) => expr.includes('$instance'))),
  ).toBe(true)
})
