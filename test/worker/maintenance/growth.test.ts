/** What samples of the sizes say about the days to come. */
import { describe, expect, test } from 'vitest'
import type { StoreSizes } from '../../../src/index.ts'
import { growthOf } from '../../../src/worker/maintenance/growth.ts'

const DAY_MS = 86_400_000
const NOW = 1_800_000_000_000

function sample(daysAgo: number, state: number, trades = state): StoreSizes {
  const collections = [{ name: 'trades', file: 'state' as const, bytes: trades }]
  return { atMs: NOW - daysAgo * DAY_MS, files: { state, market: 0 }, collections }
}

describe('growth', () => {
  test('is not known without a sample', () => {
    expect(growthOf([], { atMs: NOW, usedBytes: 100, diskFreeBytes: 1_000 })).toEqual({
      measured: null,
      bytesPerDay: null,
      collectionBytesPerDay: {},
      daysUntilDiskFull: null,
    })
  })

  test('is not told from less than a day', () => {
    const growth = growthOf([sample(0.9, 100)], { atMs: NOW, usedBytes: 900, diskFreeBytes: 1_000 })
    expect(growth).toMatchObject({ bytesPerDay: null, daysUntilDiskFull: null })
    expect(growth.measured?.files.state).toBe(100)
  })

  test('is what came since the oldest sample, by the day', () => {
    const growth = growthOf([sample(10, 100), sample(0, 600)], { atMs: NOW, usedBytes: 600, diskFreeBytes: 1_000 })
    expect(growth).toMatchObject({ bytesPerDay: 50, daysUntilDiskFull: 20, collectionBytesPerDay: { trades: 50 } })
  })

  test('of a store that shrinks fills no disk', () => {
    const growth = growthOf([sample(10, 600), sample(0, 100)], { atMs: NOW, usedBytes: 100, diskFreeBytes: 1_000 })
    expect(growth).toMatchObject({ bytesPerDay: -50, daysUntilDiskFull: null })
  })

  test('of a collection that is new counts from nothing', () => {
    const before = { ...sample(4, 100), collections: [] }
    const growth = growthOf([before, sample(0, 500, 400)], { atMs: NOW, usedBytes: 500, diskFreeBytes: 1_000 })
    expect(growth.collectionBytesPerDay).toEqual({ trades: 100 })
  })

  test('on a full disk leaves no day', () => {
    const growth = growthOf([sample(1, 100)], { atMs: NOW, usedBytes: 200, diskFreeBytes: 0 })
    expect(growth.daysUntilDiskFull).toBe(0)
  })
})
