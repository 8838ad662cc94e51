/**
 * Money keeps its digits, also on its way in: a JSON number with more digits than a double holds would be rounded by
 * `JSON.parse` without a word. Such a number is refused; as a string it keeps every digit.
 */

const EXACT_DIGITS = 15

/** Where in a valid JSON text the first number stands that would not survive; undefined when there is none. */
export function inexactNumberOffset(json: string): number | undefined {
  let index = 0
  while (index < json.length) {
    const unit = json.charCodeAt(index)
    if (unit === QUOTE) index = endOfString(json, index)
    else if (isNumberUnit(unit)) {
      const start = index
      while (index < json.length && isNumberUnit(json.charCodeAt(index))) index++
      if (index - start > EXACT_DIGITS && !survives(json.slice(start, index))) return start
    } else index++
  }
  return undefined
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

function endOfString(json: string, start: number): number {
  let index = start + 1
  while (index < json.length && json.charCodeAt(index) !== QUOTE) index += json.charCodeAt(index) === BACKSLASH ? 2 : 1
  return index + 1
}

/** Digits, sign, point and exponent; the e of `true` begins a run of its own, too short to matter. */
function isNumberUnit(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) || unit === 0x2d || unit === 0x2e || unit === 0x2b || unit === 0x65 || unit === 0x45
  )
}

function survives(token: string): boolean {
  return normalize(token) === normalize(String(Number(token)))
}

/** Digits without zeros at either end, and the power of ten they count in. */
function normalize(token: string): string {
  const match = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token)
  if (match === null) return token
  const [, whole = '', fraction = '', exponent = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}
