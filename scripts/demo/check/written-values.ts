/** The values to look for: whatever was written that is long enough not to occur by chance. */
import type { StoredState } from './state-documents.ts'

/** Seven given bytes come up by chance once in 65,000 terabytes. */
const LEAST_LENGTH = 7
/** Every so many bars: one bar is like another, and there are tens of thousands. */
const EVERY_NTH_BAR = 20

/**
 * Distinct texts, numbers among them as they are written. Times since `startedAtMs` are left out: `owner.json` and
 * `audit-head.json` say in clear when they were written, which may be the very millisecond of a document.
 */
export function writtenValues(
  documents: StoredState['documents'],
  secrets: readonly string[],
  startedAtMs: number,
): string[] {
  const values = new Set(secrets)
  for (const [name, all] of Object.entries(documents)) {
    for (const [index, document] of all.entries()) {
      if (name !== 'bars' || index % EVERY_NTH_BAR === 0) collect(document, values, startedAtMs)
    }
  }
  return [...values]
}

function collect(value: unknown, values: Set<string>, startedAtMs: number): void {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) collect(each, values, startedAtMs)
  } else if (typeof value === 'string' || typeof value === 'number') {
    if (typeof value === 'number' && value >= startedAtMs && value <= Date.now()) return
    const text = String(value)
    if (text.length >= LEAST_LENGTH) values.add(text)
  }
}
