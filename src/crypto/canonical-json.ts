/**
 * Why: associated data and checksums are over bytes, while what they protect is a JSON document that may be
 * re-indented or have its members reordered by an editor or a backup tool. One value has one encoding here.
 */

/** Any value that JSON can carry; an `undefined` member is left out, as `JSON.stringify` does. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue | undefined }

const MAX_DEPTH = 32

/**
 * The canonical encoding of a JSON value as UTF-8: no white space, members sorted by their UTF-16 code units
 * (RFC 8785, JSON Canonicalization Scheme, whose number and string forms are those of `JSON.stringify`).
 *
 * @throws RangeError for a value nested deeper than 32 levels, which no document of ours is
 */
export function canonicalJson(value: JsonValue): Buffer {
  return Buffer.from(encode(value, 0), 'utf8')
}

function encode(value: JsonValue, depth: number): string {
  if (depth > MAX_DEPTH) throw new RangeError(`JSON nested deeper than ${MAX_DEPTH} levels`)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isArray(value)) return `[${value.map((item) => encode(item, depth + 1)).join(',')}]`
  const members = Object.entries(value)
    .filter((entry): entry is [string, JsonValue] => entry[1] !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${encode(member, depth + 1)}`).join(',')}}`
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}
