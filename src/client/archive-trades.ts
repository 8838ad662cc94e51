/** What `store.archiveTrades` takes, checked before the worker hears of it. */

import { StoreError } from '../protocol/store-error.ts'
import type { ArchiveTradesRequest } from '../protocol/trade-archive.ts'

export interface ArchiveTradesOptions {
  /** Trades closed before this moment move: a date, Unix milliseconds, or a date as text (ISO 8601; a day begins at 00:00 UTC). */
  readonly before: Date | number | string
  /** Only tell what would move; default false. */
  readonly dryRun?: boolean
  /** Who asks for it, for the audit trail; default `owner`. */
  readonly actor?: string
}

/** The end of the last year that a file can be named for. */
const LATEST_MS = Date.UTC(10_000, 0)
/** A local time without its zone would mean another moment on each machine. */
const ISO_DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/

/** @throws StoreError `INVALID_ARGUMENT` */
export function archiveTradesRequest({
  before,
  dryRun = false,
  actor = 'owner',
}: ArchiveTradesOptions): ArchiveTradesRequest {
  const at = momentOf(before)
  if (!Number.isInteger(at) || at < 0 || at > LATEST_MS) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'before must be a Date, Unix milliseconds, or a date as text: 2026-01-01, or 2026-01-01T00:00:00Z.',
    )
  }
  if (typeof dryRun !== 'boolean' || typeof actor !== 'string' || actor === '') {
    throw new StoreError('INVALID_ARGUMENT', 'dryRun must be true or false, and actor a text that says who asks.')
  }
  return { before: at, dryRun, actor }
}

function momentOf(before: unknown): number {
  if (typeof before === 'number') return before
  if (before instanceof Date) return before.getTime()
  return typeof before === 'string' && ISO_DATE.test(before) ? Date.parse(before) : Number.NaN
}
