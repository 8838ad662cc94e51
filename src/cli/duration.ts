/** A span of time as options take it: `90d`, `12h`, `30m`, `10s`. */
import { InvalidArgumentError } from 'commander'

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)([smhd])$/

/** Milliseconds, more than none. */
export function durationMs(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? []
  const ms = Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
  if (ms > 0) return ms
  throw new InvalidArgumentError('Give a duration such as 90d, 12h, 30m or 10s.')
}
