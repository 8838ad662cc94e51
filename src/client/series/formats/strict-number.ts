/**
 * Numbers as files write them. `Number` alone would read an empty cell as 0 and accept hexadecimal; a cell that is not
 * plainly a number is an error here, and NaN or infinity only where they were asked for.
 */
const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/
const DECIMAL = /^-?(?:[0-9]+(?:\.[0-9]+)?)$/
const NON_FINITE: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '+inf': Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
  '+infinity': Number.POSITIVE_INFINITY,
  '-infinity': Number.NEGATIVE_INFINITY,
}

/** undefined when it is none. */
export function strictNumber(text: string | null | undefined, allowsNonFinite: boolean): number | undefined {
  if (text === null || text === undefined) return allowsNonFinite && text === null ? Number.NaN : undefined
  const trimmed = text.trim()
  if (NUMBER.test(trimmed)) {
    const value = Number(trimmed)
    return Number.isFinite(value) ? value : undefined
  }
  return allowsNonFinite ? NON_FINITE[trimmed.toLowerCase()] : undefined
}

/** The text itself when it is a decimal without exponent. */
export function strictDecimal(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined) return undefined
  const trimmed = text.trim()
  return DECIMAL.test(trimmed) ? trimmed : undefined
}
