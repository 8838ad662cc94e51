/** The values to look for: whatever was written that is long enough not to occur by chance. */
import type { StoredState } from './state-documents.ts'

/** Seven given bytes come up by chance once in 65,000 terabytes. */
const LEAST_LENGTH = 7
/** Every so many bars: one bar is like another, and there are tens of thousands. */
const EVERY_NTH_BAR = 20

/** Distinct texts, numbers among them as they are written. */
export function writtenValues(documents: StoredState['documents'], secrets: readonly string[]): string[] {
  const values = new Set(secrets)
  for (const [name, all] of Object.entries(documents)) {
    for (const [index, document] of all.entries()) {
      if (name !== 'bars' || index % EVERY_NTH_BAR === 0) collect(document, values)
    }
  }
  return [...values]
}

function collect(value: unknown, values: Set<string>): void {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) collect(each, values)
  } else if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value)
    if (text.length >= LEAST_LENGTH) values.add(text)
  }
}
