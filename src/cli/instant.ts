/** A moment as options take it: a date, a date with a time (UTC unless it says otherwise), or Unix milliseconds. */
import { InvalidArgumentError } from 'commander'

const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?<zone>Z|[+-]\d{2}:\d{2})?)?$/i

/** Unix milliseconds. */
export function instantMs(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  const match = DATE.exec(text)
  const ms = match === null ? Number.NaN : Date.parse(text.includes('T') && !match.groups?.zone ? `${text}Z` : text)
  if (!Number.isNaN(ms)) return ms
  throw new InvalidArgumentError('Give a date such as 2026-11-21 or 2026-11-21T10:15 (UTC), or Unix milliseconds.')
}
