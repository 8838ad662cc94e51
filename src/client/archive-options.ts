/** The `archive` option of `openStore`. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { ArchiveSettings } from '../protocol/archive.ts'

const DAY_MS = 86_400_000
const GIBIBYTE = 1_024 ** 3

const whole = z.int().positive()

export const archiveOptions = z.strictObject({
  dir: z.string().min(1).refine(isPlace, { error: 'name a folder, or s3://bucket/prefix' }),
  intervalMs: z.int().min(10).optional(),
  maxLagBytes: whole.optional(),
  baseEveryMs: whole.optional(),
  baseAfterBytes: whole.optional(),
  keepGenerations: whole.optional(),
})

/**
 * Continuous archiving: every commit is in the archive within `intervalMs`, as ciphertext. One archive belongs to one
 * store.
 *
 * @example
 * const store = await openStore({ dir: './state', archive: { dir: '/mnt/archive', intervalMs: 1_000 } })
 */
export interface ArchiveOptions {
  /** A folder, on another disk or machine if it is to outlive this one, or `s3://bucket/prefix?endpoint=…`. */
  readonly dir: string
  /** Default 1,000. What is lost when this machine burns is at most what was written within it. */
  readonly intervalMs?: number | undefined
  /**
   * How much may wait, in the write-ahead log, for an archive that can't be reached; default 256 MiB. Past it the
   * generation is given up and a new one begins when the archive answers again: moments between can't be restored.
   */
  readonly maxLagBytes?: number | undefined
  /** A new generation, with a copy of the whole database, after this time; default a day. */
  readonly baseEveryMs?: number | undefined
  /** The same after so many bytes of segments; default 1 GiB. */
  readonly baseAfterBytes?: number | undefined
  /** Generations to keep; default 3. Moments before the oldest can't be restored. */
  readonly keepGenerations?: number | undefined
}

export function archiveSettings(options: ArchiveOptions | undefined): ArchiveSettings | null {
  if (options === undefined) return null
  const { dir, intervalMs, maxLagBytes, baseEveryMs, baseAfterBytes, keepGenerations } = options
  return {
    location: isUrl(dir) ? dir : resolve(dir),
    intervalMs: intervalMs ?? 1_000,
    maxLagBytes: maxLagBytes ?? GIBIBYTE / 4,
    baseEveryMs: baseEveryMs ?? DAY_MS,
    baseAfterBytes: baseAfterBytes ?? GIBIBYTE,
    keepGenerations: keepGenerations ?? 3,
  }
}

/** A .tar can be read only, and of addresses those of buckets can be written to. */
function isPlace(location: string): boolean {
  return isUrl(location) ? /^s3:/i.test(location) : !/\.tar$/i.test(location)
}

function isUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location)
}
