/** Samples of the sizes, one a day and 400 at most, and what they say about the days to come. */
import * as z from 'zod'
import type { Growth, StoreSizes } from '../../protocol/maintenance.ts'
import type { Committer } from '../committer.ts'
import { queryOnce, type Row } from '../driver.ts'

const DAY_MS = 86_400_000
const MAX_SAMPLES = 400
const WINDOW_DAYS = 30

const sampleSchema = z.object({
  files: z.object({ state: z.number(), market: z.number() }),
  collections: z.array(z.object({ name: z.string(), file: z.enum(['state', 'market']), bytes: z.number() })),
})

export async function recordSample(committer: Committer, { atMs, files, collections }: StoreSizes): Promise<void> {
  const day = Math.floor(atMs / DAY_MS)
  await committer.maintain(async (connection) => {
    await queryOnce(
      connection,
      'INSERT INTO "_growth" ("day", "at", "sizes") VALUES (?, ?, ?) ON CONFLICT ("day") DO UPDATE SET "at" = excluded."at", "sizes" = excluded."sizes"',
      [day, atMs, JSON.stringify({ files, collections })],
    )
    await queryOnce(
      connection,
      `DELETE FROM "_growth" WHERE "day" NOT IN (SELECT "day" FROM "_growth" ORDER BY "day" DESC LIMIT ${MAX_SAMPLES})`,
    )
  })
}

/** The newest sample and the oldest of the last 30 days; a clock that was ahead has left some from the future. */
const SAMPLES_SQL = `SELECT "at", "sizes" FROM "_growth" WHERE "day" = (SELECT max("day") FROM "_growth" WHERE "at" <= ?1)
  OR "day" = (SELECT min("day") FROM "_growth" WHERE "at" > ?2 AND "at" <= ?1) ORDER BY "day"`

export async function readGrowth(
  query: (sql: string, parameters: readonly number[]) => Promise<Row[]>,
  usedBytes: number,
  diskFreeBytes: number,
): Promise<Growth> {
  const now = Date.now()
  const samples = (await query(SAMPLES_SQL, [now, now - WINDOW_DAYS * DAY_MS])).map(
    (row): StoreSizes => ({ atMs: Number(row.at), ...sampleSchema.parse(JSON.parse(String(row.sizes))) }),
  )
  return growthOf(samples, { atMs: now, usedBytes, diskFreeBytes })
}

export interface Today {
  readonly atMs: number
  readonly usedBytes: number
  readonly diskFreeBytes: number
}

/** From the oldest of `samples` to today; collections, which cost more to measure, up to the newest sample. */
export function growthOf(samples: readonly StoreSizes[], today: Today): Growth {
  const oldest = samples[0]
  const newest = samples.at(-1)
  const days = oldest === undefined ? 0 : (today.atMs - oldest.atMs) / DAY_MS
  if (oldest === undefined || newest === undefined || days < 1) {
    return { measured: newest ?? null, bytesPerDay: null, collectionBytesPerDay: {}, daysUntilDiskFull: null }
  }
  const bytesPerDay = (today.usedBytes - oldest.files.state - oldest.files.market) / days
  return {
    measured: newest,
    bytesPerDay,
    collectionBytesPerDay: perCollection(oldest, newest),
    daysUntilDiskFull: bytesPerDay > 0 ? today.diskFreeBytes / bytesPerDay : null,
  }
}

function perCollection(oldest: StoreSizes, newest: StoreSizes): Record<string, number> {
  const days = (newest.atMs - oldest.atMs) / DAY_MS
  if (days < 1) return {}
  const before = new Map(oldest.collections.map(({ name, bytes }) => [name, bytes]))
  return Object.fromEntries(
    newest.collections.map(({ name, bytes }) => [name, (bytes - (before.get(name) ?? 0)) / days]),
  )
}

/** True when no sample was taken on this day. */
export async function needsSample(
  query: (sql: string, parameters: readonly number[]) => Promise<Row[]>,
): Promise<boolean> {
  const day = Math.floor(Date.now() / DAY_MS)
  return (await query('SELECT 1 FROM "_growth" WHERE "day" = ?', [day])).length === 0
}
